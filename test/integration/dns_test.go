//go:build integration

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"
)

// internet is the DNS of a test: a root and all public zones on two authoritative
// servers, a hosting panel's server that nobody delegates to, and a resolver.
type internet struct {
	resolver, panel string
	servers         []*nameServer // both authoritative ones, then the panel's
	unbound         *process
}

// Names of the two authoritative servers.
const ada, bob = "ada.ns.cloudflare.com.", "bob.ns.cloudflare.com."

// startInternet serves zones, each a list of records in presentation form.
func startInternet(t *testing.T, dir string, zones, panelZones map[string][]string) *internet {
	t.Helper()
	in := &internet{resolver: address(0, 53), panel: address(0, 3)}
	all := map[string][]string{"cloudflare.com": {"ada.ns A " + address(0, 1), "bob.ns A " + address(0, 2)}}
	for name, records := range zones {
		all[name] = records
	}
	all["."] = rootZone(all)
	for i, served := range []map[string][]string{all, all, panelZones} {
		in.servers = append(in.servers, startNameServer(t, filepath.Join(dir, fmt.Sprintf("ns%d", i)), address(0, i+1), served))
	}
	in.unbound = startResolver(t, filepath.Join(dir, "unbound"), in.resolver)
	return in
}

// rootZone delegates every zone to the two authoritative servers.
func rootZone(zones map[string][]string) []string {
	records := []string{ada + " A " + address(0, 1), bob + " A " + address(0, 2)}
	for name := range zones {
		records = append(records, name+". NS "+ada, name+". NS "+bob)
	}
	return records
}

// publish replaces a zone on both authoritative servers.
func (in *internet) publish(t *testing.T, zone string, records ...string) {
	t.Helper()
	for _, s := range in.servers[:2] {
		s.load(t, zone, records)
	}
}

// pause makes every DNS server deaf; resume lets them hear again.
func (in *internet) pause()  { in.signal(syscall.SIGSTOP) }
func (in *internet) resume() { in.signal(syscall.SIGCONT) }

func (in *internet) signal(s syscall.Signal) {
	in.unbound.signal(s)
	for _, server := range in.servers {
		server.signal(s)
	}
}

// nameServer is one Knot DNS.
type nameServer struct {
	*process
	dir, socket string
	serial      int
}

func startNameServer(t *testing.T, dir, at string, zones map[string][]string) *nameServer {
	t.Helper()
	s := &nameServer{dir: dir, socket: filepath.Join(dir, "knot.sock")}
	conf := fmt.Sprintf(`server:
    listen: %s@53
    rundir: %s
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
control:
    listen: %s
log:
  - target: stderr
    any: warning
database:
    storage: %s/db
template:
  - id: default
    storage: %s
    journal-content: none
    zonefile-load: whole
    semantic-checks: off
zone:
`, at, dir, s.socket, dir, dir)
	for name, records := range zones {
		conf += fmt.Sprintf("  - domain: %q\n    file: %q\n", name, zoneFile(name))
		s.write(t, name, records)
	}
	writeFile(t, filepath.Join(dir, "knot.conf"), conf, 0o644)
	s.process = start(t, dir, "knotd", "knotd", "-c", filepath.Join(dir, "knot.conf"))
	s.ready(t, func() bool {
		for name := range zones {
			if !answers(at, name, dns.TypeSOA) {
				return false
			}
		}
		return true
	})
	return s
}

// load replaces one zone and returns when the server has it.
func (s *nameServer) load(t *testing.T, zone string, records []string) {
	t.Helper()
	s.write(t, zone, records)
	out, err := exec.Command("knotc", "-s", s.socket, "-b", "zone-reload", zone).CombinedOutput()
	if err != nil {
		t.Fatalf("reload zone %s: %v\n%s", zone, err, out)
	}
}

func (s *nameServer) write(t *testing.T, zone string, records []string) {
	t.Helper()
	s.serial++
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s.\n$TTL 60\n", strings.TrimSuffix(zone, "."))
	fmt.Fprintf(&b, "@ SOA %s hostmaster.%s %d 3600 600 86400 5\n@ NS %s\n@ NS %s\n", ada, ada, s.serial, ada, bob)
	for _, r := range records {
		fmt.Fprintln(&b, r)
	}
	writeFile(t, filepath.Join(s.dir, zoneFile(zone)), b.String(), 0o644)
}

func zoneFile(zone string) string { return "zone-" + strings.TrimSuffix(zone, ".") + ".txt" }

// startResolver starts Unbound, which resolves from the test's own root. It
// remembers for a second at most.
func startResolver(t *testing.T, dir, at string) *process {
	t.Helper()
	hints := filepath.Join(dir, "root.hints")
	conf := fmt.Sprintf(`server:
    directory: %[1]q
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    interface: %[2]s
    access-control: 127.0.0.0/8 allow
    do-ip6: no
    do-not-query-localhost: no
    root-hints: %[3]q
    module-config: "iterator"
    num-threads: 1
    cache-max-ttl: 1
    cache-max-negative-ttl: 1
    unblock-lan-zones: yes
    insecure-lan-zones: yes
    local-zone: "test." nodefault
    local-zone: "127.in-addr.arpa." nodefault
remote-control:
    control-enable: no
`, dir, at, hints)
	writeFile(t, hints, ". 60 NS "+ada+"\n"+ada+" 60 A "+address(0, 1)+"\n", 0o644)
	file := filepath.Join(dir, "unbound.conf")
	writeFile(t, file, conf, 0o644)
	p := start(t, dir, "unbound", "unbound", "-d", "-c", file)
	p.ready(t, func() bool { return answers(at, "cloudflare.com", dns.TypeSOA) })
	return p
}

// answers reports whether a server knows a name.
func answers(server, name string, qtype uint16) bool {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	r, err := dns.Exchange(m, server+":53")
	return err == nil && r.Rcode == dns.RcodeSuccess && len(r.Answer) > 0
}

// txt writes a TXT record in strings of at most 255 bytes.
func txt(name, value string) string {
	var b strings.Builder
	b.WriteString(name + " TXT")
	for len(value) > 0 {
		n := min(255, len(value))
		fmt.Fprintf(&b, " %q", value[:n])
		value = value[n:]
	}
	return b.String()
}

// TestInternet shows that the test's own DNS works: delegation, a changed zone, a
// panel that only its own clients see.
func TestInternet(t *testing.T) {
	dir := makeDir(t)
	in := startInternet(t, dir,
		map[string][]string{"good.test": {"mx A 192.0.2.1"}},
		map[string][]string{"good.test": {"panel A 192.0.2.2"}})
	eventually(t, "the resolver to find mx.good.test", func() bool { return answers(in.resolver, "mx.good.test", dns.TypeA) })
	eventually(t, "the panel's server to know panel.good.test", func() bool { return answers(in.panel, "panel.good.test", dns.TypeA) })
	if answers(in.resolver, "panel.good.test", dns.TypeA) {
		t.Error("panel.good.test: only the panel's server should know it")
	}
	in.publish(t, "good.test", "new A 192.0.2.3")
	eventually(t, "the changed zone", func() bool { return answers(in.resolver, "new.good.test", dns.TypeA) })
	if _, err := os.Stat(filepath.Join(dir, "ns0", "knot.sock")); err != nil {
		t.Error(err)
	}
}
