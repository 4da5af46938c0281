//go:build integration

package integration

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tlsWorld is one in which mailgate's relay delivers to MX hosts that differ in their
// TLS. Each destination NAME.test has one, mx.NAME.test, at an address of its own.
type tlsWorld struct {
	dir    string
	ca     *authority
	dns    *signedInternet
	gate   *gateway
	relay  string // host:port
	lookup string // the socketmap door, host:port
	our    domain
	peers  map[string]*peer
	zones  map[string][]string

	unsigned []string // zones

	// What configure writes.
	unvalidated bool   // without dns.validating
	extra       string // more of the configuration
}

// newTLSWorld starts nothing yet but an authority, which mailgate is to trust.
func newTLSWorld(t *testing.T) *tlsWorld {
	t.Helper()
	w := &tlsWorld{dir: makeDir(t), ca: newAuthority(t), peers: map[string]*peer{}, zones: hostZones()}
	t.Setenv("SSL_CERT_FILE", w.ca.file)
	routeToSelf(t, "198.19.0.0/24")
	w.our = makeDomain(t, filepath.Join(w.dir, "gate"), "good.test")
	w.zones["good.test"] = complete(w.our)
	return w
}

// destination starts the MX host of NAME.test, and has records in its zone beside MX
// and address.
func (w *tlsWorld) destination(t *testing.T, name string, config *tls.Config, records ...string) *peer {
	t.Helper()
	at := fmt.Sprintf("198.19.0.%d", len(w.peers)+1)
	w.zones[name+".test"] = append([]string{"@ MX 10 mx", "mx A " + at}, records...)
	w.peers[name] = startPeer(t, at, config)
	return w.peers[name]
}

// shows is a receiver's TLS with a certificate.
func shows(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }

// start starts DNS and the gateway.
func (w *tlsWorld) start(t *testing.T) {
	t.Helper()
	w.dns = startSignedInternet(t, filepath.Join(w.dir, "dns"), w.zones, w.unsigned)
	w.configure(t)
	w.serve(t)
}

func (w *tlsWorld) configure(t *testing.T) {
	t.Helper()
	dir := filepath.Join(w.dir, "gate")
	w.relay, w.lookup = address(0, 9)+":2525", address(0, 9)+":8461"
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
validating = %v
[mta_sts]
private = true
[queue]
retry_first = "1s"
[relay]
listen = %q
[socketmap]
listen = "inet:%s"
postfix = "3.7"
[[domain]]
name = %q
keys = [
`, w.gate.socket, filepath.Join(dir, "mailgate.db"), w.dns.resolver, !w.unvalidated, w.relay, w.lookup, w.our.name)
	for _, k := range w.our.keys {
		fmt.Fprintf(&b, "  { selector = %q, file = %q },\n", k.selector, k.file)
	}
	b.WriteString("]\n" + w.extra)
	writeFile(t, w.gate.config, b.String(), 0o600)
}

func (w *tlsWorld) serve(t *testing.T) {
	t.Helper()
	w.gate.process = start(t, w.gate.dir, "mailgate", binary, "serve", "--config", w.gate.config)
	w.gate.ready(t, func() bool {
		return listening("tcp", w.relay) && listening("tcp", w.lookup) && listening("unix", w.gate.socket)
	})
}

// restart stops the gateway and starts it again.
func (w *tlsWorld) restart(t *testing.T) {
	t.Helper()
	w.gate.stop()
	w.serve(t)
}

// submit gives a message for bob@NAME.test to the relay.
func (w *tlsWorld) submit(t *testing.T, name string) {
	t.Helper()
	to := "bob@" + name + ".test"
	c := connect(t, w.relay, "")
	if err := send(c, "ann@good.test", []string{to}, compose("ann@good.test", to, "to "+name, "Hello.\r\n")); err != nil {
		t.Fatalf("submission for %s refused: %v", to, err)
	}
	if err := c.Quit(); err != nil {
		t.Fatalf("QUIT: %v", err)
	}
}

// logged returns the last line of the gateway's log about a message to bob@NAME.test
// that has some word as its verdict.
func (w *tlsWorld) logged(t *testing.T, name, verdict string) string {
	t.Helper()
	text, err := os.ReadFile(w.gate.log)
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "bob@"+name+".test") && strings.Contains(line, "verdict="+verdict) && strings.Contains(line, "delivery: ") {
			found = line
		}
	}
	return found
}

// arrives waits until a message to NAME.test is delivered, secured in some way.
func (w *tlsWorld) arrives(t *testing.T, name, how string) {
	t.Helper()
	w.peers[name].wait(t, "bob@"+name+".test")
	line := ""
	eventually(t, "a line on the delivery to "+name, func() bool {
		line = w.logged(t, name, "delivered")
		return line != ""
	})
	if !strings.Contains(line, `tls="`+how+`"`) {
		t.Errorf("to %s: want tls=%q, the log says\n%s", name, how, line)
	}
	if shown := w.shown(t, line); !strings.Contains(shown, "delivered after") || !strings.Contains(shown, ", "+how) {
		t.Errorf("to %s: queue show says\n%s", name, shown)
	}
}

// waits waits until a message to NAME.test was tried and is deferred for a reason,
// and checks that nothing of it has left.
func (w *tlsWorld) waits(t *testing.T, name string, reason ...string) {
	t.Helper()
	line, shown := "", ""
	defer func() {
		if t.Failed() {
			t.Logf("to %s, the log and queue show say\n%s%s", name, line, shown)
		}
	}()
	eventually(t, fmt.Sprintf("a try for %s that ends with %q", name, reason), func() bool {
		if line = w.logged(t, name, "deferred"); line == "" {
			return false
		}
		shown = w.shown(t, line)
		return !slices.ContainsFunc(reason, func(part string) bool { return !strings.Contains(line, part) || !strings.Contains(shown, part) })
	})
	if n := w.peers[name].count(); n != 0 {
		t.Errorf("%s got %d messages, want none", name, n)
	}
}

// shown is what `queue show` says of the message in a line of the log.
func (w *tlsWorld) shown(t *testing.T, line string) string {
	t.Helper()
	_, id, _ := strings.Cut(line, "id=")
	id, _, _ = strings.Cut(id, " ")
	text, _ := w.gate.run(t, "queue", "show", id)
	return text
}

// tlsPolicy is what is read of `tls policy --format json`.
type tlsPolicy struct {
	InForce          tlsLevel `json:"in_force"`
	Demanded         tlsLevel
	Postfix, Problem string
	STS              struct{ Mode, ID, Error string } `json:"mta_sts"`
	Probe            *struct {
		Works  bool
		Answer string
	}
}

type tlsLevel struct {
	Level, Source string
	Testing       bool
}

// policy asks the gateway for the policy of NAME.test, until DNS has told all that it
// depends on.
func (w *tlsWorld) policy(t *testing.T, name string) tlsPolicy {
	t.Helper()
	var p tlsPolicy
	becomes(t, "what keeps from a policy of "+name, "", func() string {
		text, _ := w.gate.run(t, "tls", "policy", name+".test", "--format", "json")
		p = tlsPolicy{}
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatalf("tls policy: %v\n%s", err, text)
		}
		return p.Problem
	})
	return p
}
