//go:build integration

package integration

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// signedInternet is the DNS of a test with DNSSEC: a signed root, signed zones below
// it, and a resolver that validates from that root.
type signedInternet struct {
	resolver string
	server   *nameServer
}

// startSignedInternet serves zones, signed but for those in unsigned.
func startSignedInternet(t *testing.T, dir string, zones map[string][]string, unsigned []string) *signedInternet {
	t.Helper()
	in := &signedInternet{resolver: address(0, 53)}
	all := map[string][]string{"cloudflare.com": {"ada.ns A " + address(0, 1), "bob.ns A " + address(0, 2)}}
	maps.Copy(all, zones)
	s := &nameServer{dir: filepath.Join(dir, "ns"), socket: filepath.Join(dir, "ns", "knot.sock")}
	in.server = s
	conf := s.signedConf(t, all, unsigned)
	root := rootZone(all)
	for _, zone := range slices.Sorted(maps.Keys(all)) {
		if slices.Contains(unsigned, zone) {
			continue
		}
		root = append(root, s.makeKey(t, conf, zone))
	}
	all["."] = root
	s.makeKey(t, conf, ".")
	for name, records := range all {
		s.write(t, name, records)
	}
	s.process = start(t, s.dir, "knotd", "knotd", "-c", conf)
	s.ready(t, func() bool {
		return answers(address(0, 1), ".", dns.TypeDNSKEY) && answers(address(0, 2), "cloudflare.com", dns.TypeSOA)
	})
	startValidator(t, filepath.Join(dir, "unbound"), in.resolver, s.rootKey(t, conf))
	return in
}

// signedConf writes the server's configuration, and returns its path.
func (s *nameServer) signedConf(t *testing.T, zones map[string][]string, unsigned []string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `server:
    listen: [ %[1]s@53, %[2]s@53 ]
    rundir: %[3]s
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
control:
    listen: %[4]s
log:
  - target: stderr
    any: warning
database:
    storage: %[3]s/db
policy:
  - id: manual
    manual: on
    single-type-signing: on
    algorithm: ecdsap256sha256
template:
  - id: default
    storage: %[3]s
    journal-content: none
    zonefile-load: whole
    zonefile-sync: -1
    semantic-checks: off
zone:
`, address(0, 1), address(0, 2), s.dir, s.socket)
	for _, name := range append(slices.Sorted(maps.Keys(zones)), ".") {
		fmt.Fprintf(&b, "  - domain: %q\n    file: %q\n", name, zoneFile(name))
		if !slices.Contains(unsigned, name) {
			b.WriteString("    dnssec-signing: on\n    dnssec-policy: manual\n")
		}
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "db"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.dir, "knot.conf")
	writeFile(t, path, b.String(), 0o644)
	return path
}

// makeKey makes a zone's key and returns its DS record.
func (s *nameServer) makeKey(t *testing.T, conf, zone string) string {
	t.Helper()
	s.keymgr(t, conf, zone, "generate", "ksk=yes", "zsk=yes")
	for line := range strings.Lines(s.keymgr(t, conf, zone, "ds")) {
		if f := strings.Fields(line); len(f) == 6 && f[4] == "2" { // SHA-256
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("no DS record of %s", zone)
	return ""
}

// rootKey is the root's key, for those who trust it.
func (s *nameServer) rootKey(t *testing.T, conf string) string {
	t.Helper()
	return strings.TrimSpace(s.keymgr(t, conf, ".", "dnskey"))
}

func (s *nameServer) keymgr(t *testing.T, conf string, args ...string) string {
	t.Helper()
	cmd := exec.Command("keymgr", append([]string{"-c", conf}, args...)...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("keymgr %v: %v\n%s", args, err, &said)
	}
	return string(out)
}

// startValidator starts Unbound, which trusts one key for the root.
func startValidator(t *testing.T, dir, at, rootKey string) {
	t.Helper()
	hints := filepath.Join(dir, "root.hints")
	writeFile(t, hints, ". 60 NS "+ada+"\n"+ada+" 60 A "+address(0, 1)+"\n", 0o644)
	file := filepath.Join(dir, "unbound.conf")
	writeFile(t, file, fmt.Sprintf(`server:
    directory: %[1]q
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    val-log-level: 1
    interface: %[2]s
    access-control: 127.0.0.0/8 allow
    do-ip6: no
    do-not-query-localhost: no
    root-hints: %[3]q
    trust-anchor: %[4]q
    module-config: "validator iterator"
    num-threads: 1
    cache-max-ttl: 1
    cache-max-negative-ttl: 1
    unblock-lan-zones: yes
    insecure-lan-zones: yes
    local-zone: "test." nodefault
    local-zone: "127.in-addr.arpa." nodefault
remote-control:
    control-enable: no
`, dir, at, hints, rootKey), 0o644)
	p := start(t, dir, "unbound", "unbound", "-d", "-c", file)
	p.ready(t, func() bool { return answers(at, "cloudflare.com", dns.TypeSOA) })
}

// brokenTrust is what a zone has of another below it, so that nothing in that can be
// validated: a DS record of no key.
func brokenTrust(below string) []string {
	return []string{below + " NS " + ada, below + " DS 1 13 2 " + strings.Repeat("00", sha256.Size)}
}

// authentic asks a resolver: what it answers, and whether it vouches for it. A name
// server that is too slow for the resolver is a SERVFAIL, too, so it is asked until the
// answer is the one that is wanted.
func authentic(t *testing.T, server, name string, qtype uint16, want string) {
	t.Helper()
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	m.AuthenticatedData = true
	becomes(t, name, want, func() string {
		r, err := dns.Exchange(m, server+":53")
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(dns.RcodeToString[r.Rcode], " ", r.AuthenticatedData)
	})
}

// TestSignedInternet shows that the test's own DNSSEC works.
func TestSignedInternet(t *testing.T) {
	zone := []string{"@ MX 10 mx", "mx A 198.51.100.1"}
	in := startSignedInternet(t, makeDir(t), map[string][]string{
		"signed.test": append(brokenTrust("broken"), zone...), "broken.signed.test": zone, "unsigned.test": zone,
	}, []string{"unsigned.test"})
	for name, want := range map[string]string{
		"signed.test": "NOERROR true", "unsigned.test": "NOERROR false", "broken.signed.test": "SERVFAIL false",
	} {
		authentic(t, in.resolver, name, dns.TypeMX, want)
	}
}

// publish replaces a zone.
func (in *signedInternet) publish(t *testing.T, zone string, records []string) {
	t.Helper()
	in.server.load(t, zone, records)
}

// has waits until the resolver has forgotten what a name's TXT record was.
func (in *signedInternet) has(t *testing.T, name, value string) {
	t.Helper()
	eventually(t, value+" at "+name, func() bool {
		r, err := dns.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeTXT), in.resolver+":53")
		if err != nil || len(r.Answer) == 0 {
			return false
		}
		record, ok := r.Answer[0].(*dns.TXT)
		return ok && strings.Join(record.Txt, "") == value
	})
}
