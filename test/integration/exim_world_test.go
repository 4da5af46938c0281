//go:build integration

package integration

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// eximWorld is one in which Exim gives its mail to mailgate's relay, which delivers
// it to the MX hosts.
type eximWorld struct {
	*world
	exim  *exim
	relay string // host:port, on the address that Exim knows as its own machine's
}

// newEximWorld starts everything but Exim. relay is more of its section.
func newEximWorld(t *testing.T, p plan, relay string) *eximWorld {
	t.Helper()
	dir := makeDir(t)
	mx := elsewhere(t)
	w := &eximWorld{
		world: &world{domains: map[string]domain{}, receiver: startReceiverAt(t, mx+":25")},
		relay: freePort(t, "127.0.0.1"),
	}
	zones, panel := hostZones(), map[string][]string{}
	zones["google.com"] = []string{"gmail-smtp-in.l A " + mx}
	zones["other.test"] = []string{"@ MX 5 mx.other.test.", "mx A " + mx}
	if p.publish == nil {
		p.publish = complete
	}
	for _, name := range p.ours {
		d := makeDomain(t, filepath.Join(dir, "gate"), name)
		w.domains[name] = d
		zones[name] = p.publish(d)
		if p.panel != nil {
			panel[name] = p.panel(d)
		}
	}
	w.dns = startInternet(t, filepath.Join(dir, "dns"), zones, panel)
	w.configure(t, filepath.Join(dir, "gate"), p.extra, relay)
	w.serve(t)
	w.exim = prepareExim(t, filepath.Join(dir, "exim"))
	return w
}

// elsewhere is an address that isn't this machine's own as far as mailgate can see,
// which takes an MX host at a loopback address for a loop. The kernel keeps what is
// sent to it on the loopback device.
func elsewhere(t *testing.T) string {
	t.Helper()
	const at = "198.18.0.25"
	routeToSelf(t, at+"/32")
	return at
}

// routeToSelf keeps what is sent to some addresses on the loopback device, and has
// this machine answer for them.
func routeToSelf(t *testing.T, network string) {
	t.Helper()
	if out, err := exec.Command("ip", "route", "replace", "local", network, "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("ip route replace local %s: %v; in a container, this needs NET_ADMIN\n%s", network, err, out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "route", "del", "local", network, "dev", "lo").Run() })
}

// freePort is an address on which nobody listens.
func freePort(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// configure writes what docs/exim.md has, and what keeps the gateway in this world.
func (w *eximWorld) configure(t *testing.T, dir, extra, relay string) {
	t.Helper()
	w.gate = &gateway{dir: dir, config: filepath.Join(dir, "mailgate.toml"), socket: filepath.Join(dir, "control.sock")}
	var b strings.Builder
	fmt.Fprintf(&b, `hostname = "mx1.gate.test"
egress = ["203.0.113.9"]
[control]
socket = %q
[store]
url = "sqlite:%s"
[dns]
resolvers = [%q]
panel = %q
[hold]
recheck = "1s"
[queue]
retry_first = "1s"
%s[relay]
listen = %q
`, w.gate.socket, filepath.Join(dir, "mailgate.db"), w.dns.resolver, w.dns.panel, extra, w.relay)
	if relay == "" {
		relay = "trusted = [\"127.0.0.0/8\", \"::1/128\"]\n"
	}
	b.WriteString(relay)
	for _, d := range w.domains {
		fmt.Fprintf(&b, "[[domain]]\nname = %q\nkeys = [\n", d.name)
		for _, k := range d.keys {
			fmt.Fprintf(&b, "  { selector = %q, file = %q },\n", k.selector, k.file)
		}
		b.WriteString("]\n")
	}
	writeFile(t, w.gate.config, b.String(), 0o600)
}

// serve starts the gateway.
func (w *eximWorld) serve(t *testing.T) {
	t.Helper()
	w.gate.process = start(t, w.gate.dir, "mailgate", binary, "serve", "--config", w.gate.config)
	w.gate.ready(t, func() bool { return listening("tcp", w.relay) && listening("unix", w.gate.socket) })
}

// startExim starts an Exim with the router and transport of docs/exim.md.
func (w *eximWorld) startExim(t *testing.T, relay string) {
	t.Helper()
	m := readManual(t)
	host, port, err := net.SplitHostPort(relay)
	if err != nil {
		t.Fatal(err)
	}
	w.exim.writeConfig(t, m.router(t, host), m.transport(t, host, port))
	w.exim.serve(t)
}
