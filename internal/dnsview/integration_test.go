//go:build integration

package dnsview

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The servers of these tests: knot for two name servers, unbound as resolver.
const (
	resolverHost = "127.0.0.20"
	knotHost1    = "127.0.0.21"
	knotHost2    = "127.0.0.22"
)

const knotConf = `
server:
    rundir: %[1]s
    listen: [ 127.0.0.21@%[2]s, 127.0.0.22@%[2]s ]
control:
    listen: %[1]s/knot.sock
database:
    storage: %[1]s
log:
  - target: stderr
    any: warning
policy:
  - id: signed
    algorithm: ecdsap256sha256
template:
  - id: default
    storage: %[1]s
    file: "%%s.zone"
    semantic-checks: on
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
zone:
  - domain: example.com
  - domain: example.net
    dnssec-signing: on
    dnssec-policy: signed
  - domain: bogus.test
    dnssec-signing: on
    dnssec-policy: signed
`

const unboundConf = `
server:
    directory: "%[1]s"
    chroot: ""
    username: ""
    pidfile: "%[1]s/unbound.pid"
    use-syslog: no
    logfile: ""
    interface: 127.0.0.20@%[2]s
    port: %[2]s
    do-not-query-localhost: no
    do-ip6: no
    ede: yes
    num-threads: 1
    module-config: "validator iterator"
    local-zone: "test." nodefault
    domain-insecure: "example.com"
    trust-anchor: "%[3]s"
    trust-anchor: "bogus.test. DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000"
remote-control:
    control-enable: no
stub-zone:
    name: "example.com"
    stub-addr: 127.0.0.21@%[2]s
stub-zone:
    name: "example.net"
    stub-addr: 127.0.0.21@%[2]s
stub-zone:
    name: "bogus.test"
    stub-addr: 127.0.0.21@%[2]s
`

const servedZone = `$ORIGIN %s.
$TTL 300
@     SOA ns1 hostmaster 1 3600 600 86400 3600
      NS  ns1
      NS  ns2
ns1   A   127.0.0.21
ns2   A   127.0.0.22
www   A   192.0.2.1
*.wild TXT "wild"
alias CNAME www.example.net.
loop  CNAME loop
quote TXT "a\"b\\c\001;" "d"
`

// world is a running knotd and unbound.
type world struct {
	*testing.T
	dir, port string
}

func startWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, dir: t.TempDir(), port: freePort(t)}
	for _, zone := range []string{"example.com", "example.net", "bogus.test"} {
		w.write(zone+".zone", fmt.Sprintf(servedZone, zone))
	}
	w.write("knot.conf", fmt.Sprintf(knotConf, w.dir, w.port))
	w.start("knotd", "-c", w.path("knot.conf"))
	w.await(knotHost1, "example.com", dns.TypeSOA)
	w.await(knotHost1, "example.net", dns.TypeDNSKEY)
	ds := w.run("keymgr", "-c", w.path("knot.conf"), "example.net", "ds")
	anchor := ""
	for line := range strings.Lines(ds) {
		if strings.Contains(line, " 13 2 ") {
			anchor = strings.TrimSpace(line)
		}
	}
	w.write("unbound.conf", fmt.Sprintf(unboundConf, w.dir, w.port, anchor))
	w.start("unbound", "-d", "-c", w.path("unbound.conf"))
	w.await(resolverHost, "example.com", dns.TypeSOA)
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, text string) {
	w.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

func (w *world) run(name string, args ...string) string {
	w.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		w.Fatalf("%s %s: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func (w *world) start(name string, args ...string) {
	w.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		var exit *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
			w.Error(err)
		}
		if w.Failed() {
			w.Logf("%s said:\n%s", name, log.String())
		}
	})
}

// await asks until the server answers.
func (w *world) await(host, name string, qtype uint16) {
	w.Helper()
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), qtype)
	deadline := time.Now().Add(2 * time.Minute)
	for time.Now().Before(deadline) {
		m, err := dns.Exchange(q, net.JoinHostPort(host, w.port))
		if err == nil && len(m.Answer) > 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.Fatalf("%s doesn't answer for %s", host, name)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.20:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func (w *world) resolver() *Resolver {
	w.Helper()
	var port int
	fmt.Sscan(w.port, &port)
	r, err := New(Options{
		Resolvers: []string{net.JoinHostPort(resolverHost, w.port)}, AuthorityPort: port,
		Timeout: 20 * time.Second, LookupTime: time.Minute,
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(r.Close)
	return r
}

// told looks a name up until there is an answer: of name servers that are too slow for
// it, the resolver says SERVFAIL.
func told(look func(ctx context.Context, name, qtype string) Answer, name, qtype string) Answer {
	a := look(background, name, qtype)
	for end := time.Now().Add(2 * time.Minute); a.Status == Unknown && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		a = look(Fresh(background, 0), name, qtype)
	}
	return a
}

func TestRealServers(t *testing.T) {
	w := startWorld(t)
	r := w.resolver()
	for _, c := range []struct{ name, qtype, want string }{
		{"www.example.com", "A", "found 192.0.2.1"},
		{"www.example.com", "TXT", "nodata"},
		{"mail._domainkey.example.com", "TXT", "nxdomain"},
		{"a.b.wild.example.com", "TXT", "found wild"},
		{"alias.example.com", "A", "found 192.0.2.1 via www.example.net"},
		{"quote.example.com", "TXT", "found a\"b\\c\x01;d"},
		{"www.example.net", "A", "found 192.0.2.1"},
	} {
		expect(t, told(r.Published, c.name, c.qtype), c.want)
		expect(t, told(r.Recursive, c.name, c.qtype), c.want)
	}
	expect(t, r.Published(background, "loop.example.com", "A"), "nodata via loop.example.com")
	if a := r.Recursive(background, "www.example.net", "A"); !a.Authentic {
		t.Errorf("the signed zone is not authentic: %+v", a)
	}
	if a := r.Recursive(background, "www.example.com", "A"); a.Authentic {
		t.Error("the unsigned zone is authentic")
	}
}

// A zone whose signatures don't fit is SERVFAIL to receivers, though its
// servers answer.
func TestRealBogusZone(t *testing.T) {
	w := startWorld(t)
	r := w.resolver()
	bogus := func(a Answer) bool {
		o := a.Observations[0]
		return o.Rcode == "SERVFAIL" && (strings.Contains(o.Error, "DNSKEY Missing") || strings.Contains(o.Error, "Bogus"))
	}
	a := r.Recursive(background, "www.bogus.test", "A")
	// Of name servers that are too slow for it, the resolver says SERVFAIL, too.
	for end := time.Now().Add(2 * time.Minute); !bogus(a) && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		a = r.Recursive(Fresh(background, 0), "www.bogus.test", "A")
	}
	expect(t, a, "unknown")
	if !bogus(a) {
		t.Errorf("observed %+v", a.Observations[0])
	}
}

// After a mend the authoritative view sees the record while the resolver still
// remembers that there was none.
func TestRealMend(t *testing.T) {
	w := startWorld(t)
	r := w.resolver()
	const name = "mail._domainkey.example.com"
	expect(t, r.Published(background, name, "TXT"), "nxdomain")
	expect(t, r.Recursive(background, name, "TXT"), "nxdomain")
	w.write("example.com.zone", fmt.Sprintf(servedZone, "example.com")+"mail._domainkey TXT \"v=DKIM1; p=x\"\n")
	w.run("knotc", "-c", w.path("knot.conf"), "-b", "zone-reload", "example.com")
	w.await(knotHost2, name, dns.TypeTXT)
	expect(t, r.Published(Fresh(background, 0), name, "TXT"), "found v=DKIM1; p=x")
	expect(t, r.Recursive(Fresh(background, 0), name, "TXT"), "nxdomain")
}
