//go:build integration

package integration

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// exchangeWorld is one in which Exchange gives its mail to mailgate, and mailgate
// delivers by next hops, as everything here is on loopback addresses.
type exchangeWorld struct {
	dns            *internet
	gate           *gateway
	hop, plain     *hop // the second knows no DSN, and takes what is for plain.test
	domains        map[string]domain
	modern, legacy string // listeners
}

// Both egress addresses of these worlds.
const egress4, egress6 = "203.0.113.9", "2001:db8::9"

// newExchangeWorld has two domains: all is well with good.test; nospf.test has
// published neither keys nor SPF. mailgate signs its own reports.
func newExchangeWorld(t *testing.T) *exchangeWorld {
	t.Helper()
	dir := makeDir(t)
	w := &exchangeWorld{
		hop:     startHop(t, address(0, 26)+":25", "8BITMIME", "SIZE 50000000", "ENHANCEDSTATUSCODES", "DSN"),
		plain:   startHop(t, address(0, 27)+":25", "8BITMIME"),
		domains: map[string]domain{},
		modern:  address(0, 9) + ":2525",
		legacy:  address(0, 9) + ":2526",
	}
	zones := hostZones()
	for _, name := range []string{"good.test", "nospf.test", "mx1.gate.test"} {
		d := makeDomain(t, filepath.Join(dir, "gate"), name)
		w.domains[name] = d
		switch name {
		case "good.test":
			zones[name] = append(d.records(), "@ MX 10 mx1.gate.test.", bothEgress(), txt("_dmarc", "v=DMARC1; p=reject"))
		case "nospf.test":
			zones[name] = unauthenticated(d)
		default:
			zones[name] = append(d.records(), "@ A "+egress4, "@ AAAA "+egress6, txt("@", "v=spf1 a -all"))
		}
	}
	w.dns = startInternet(t, filepath.Join(dir, "dns"), zones, nil)
	w.gate = w.configure(t, filepath.Join(dir, "gate"))
	w.gate.process = start(t, w.gate.dir, "mailgate", binary, "serve", "--config", w.gate.config)
	w.gate.ready(t, func() bool {
		return listening("tcp", w.modern) && listening("tcp", w.legacy) && listening("unix", w.gate.socket)
	})
	return w
}

func bothEgress() string { return txt("@", "v=spf1 ip4:"+egress4+" ip6:"+egress6+" -all") }

func (w *exchangeWorld) configure(t *testing.T, dir string) *gateway {
	t.Helper()
	g := &gateway{dir: dir, config: filepath.Join(dir, "mailgate.toml"), socket: filepath.Join(dir, "control.sock")}
	certificate, key := filepath.Join(dir, "tls", "mx1.pem"), filepath.Join(dir, "tls", "mx1.key.pem")
	writeRSACertificate(t, certificate, key)
	login := relayPassword(t, "secret")
	var b strings.Builder
	fmt.Fprintf(&b, `hostname = "mx1.gate.test"
egress = [%q, %q]
[control]
socket = %q
[store]
url = "sqlite:%s"
[dns]
resolvers = [%q]
[hold]
recheck = "1s"
[queue]
retry_first = "1s"
[relay]
listen = %q
trusted = ["127.0.0.1/32"]
next_hop = %q
tls = "offered"
certificate = %q
key = %q
`, egress4, egress6, g.socket, filepath.Join(dir, "mailgate.db"), w.dns.resolver, w.modern, w.hop.address, certificate, key)
	fmt.Fprintf(&b, "[[relay.listener]]\nlisten = %q\ntls = \"offered\"\nprofile = \"legacy\"\ncertificate = %q\nkey = %q\n", w.legacy, certificate, key)
	fmt.Fprintf(&b, "[[relay.user]]\nname = \"exchange\"\n%sfrom = [\"good.test\"]\n", login)
	fmt.Fprintf(&b, "[[route]]\ndestination = \"plain.test\"\nvia = %q\n", w.plain.address)
	for _, d := range w.domains {
		fmt.Fprintf(&b, "[[domain]]\nname = %q\nkeys = [\n", d.name)
		for _, k := range d.keys {
			fmt.Fprintf(&b, "  { selector = %q, file = %q },\n", k.selector, k.file)
		}
		b.WriteString("]\n")
	}
	writeFile(t, g.config, b.String(), 0o600)
	return g
}

// relayPassword is the line that `mailgate relay passwd` prints.
func relayPassword(t *testing.T, password string) string {
	t.Helper()
	cmd := exec.Command(binary, "relay", "passwd")
	cmd.Stdin = strings.NewReader(password + "\n")
	line, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(line), `password = "$argon2id$`) {
		t.Fatalf("relay passwd: %v\n%s", err, line)
	}
	return string(line)
}

// writeRSACertificate makes an RSA certificate of one day.
func writeRSACertificate(t *testing.T, certificate, key string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mx1.gate.test"}, NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})), 0o600)
}

// wantSigned checks a message that Exchange submitted: untouched but for what was put
// before it, and signed by a domain's keys, of which somebody else is asked.
func (w *exchangeWorld) wantSigned(t *testing.T, domain string, m handed, submitted []byte) {
	t.Helper()
	wantSigned(t, w.dns.resolver, domain, receipt{raw: m.raw}, submitted, w.domains[domain].selectors()...)
}
