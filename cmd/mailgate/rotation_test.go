package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailgate/internal/dnstest"
	"mailgate/internal/mail"
	"mailgate/internal/web"
)

var anySignedBy = regexp.MustCompile(`(?m)^[ \t]s=([a-z0-9]+);`)

// rotationWorld is a gateway whose domain has two name servers, and a clock that goes on
// only when it is put forward.
type rotationWorld struct {
	*relaySite
	began time.Time
	ahead atomic.Int64
}

func startRotation(t *testing.T) *rotationWorld {
	t.Helper()
	w := &rotationWorld{began: time.Now(), relaySite: startRelaySite(t, "trusted = [\"127.0.0.0/8\"]\n[keys]\ngrace = \"2h\"\n")}
	w.stopGateway() // it has seen one name server only
	zone := "@ NS ada.ns.cloudflare.com.\n@ NS bob.ns.cloudflare.com.\n@ TXT \"v=spf1 ip4:127.0.0.1 -all\"\n"
	err := errors.Join(
		w.resolver.SetZone("ns.cloudflare.com", "ada A 127.0.0.2\nbob A 127.0.0.3\n"),
		w.dns.SetZone("one.example", zone), w.second.SetZone("one.example", zone),
		w.at(w.dns, "mail", w.record), w.at(w.second, "mail", w.record),
	)
	if err != nil {
		t.Fatal(err)
	}
	w.start()
	return w
}

func (w *rotationWorld) start() {
	w.t.Helper()
	by := w.wiring()
	by.rotationClock = func() time.Time { return w.began.Add(time.Duration(w.ahead.Load())) }
	g, err := startForDemo(w.t.Context(), filepath.Join(w.dir, "mailgate.toml"), by)
	if err != nil {
		w.t.Fatal(err)
	}
	w.demoGateway = g.(*demoGateway)
}

func (w *rotationWorld) restart() {
	w.t.Helper()
	w.stopGateway()
	w.start()
}

// at publishes a key's record at one name server; empty: takes it away.
func (w *rotationWorld) at(server *dnstest.Server, selector, record string) error {
	name := selector + "._domainkey.one.example"
	server.Remove(name, "TXT")
	if record == "" {
		return nil
	}
	return server.AddTXT(name, record)
}

func (w *rotationWorld) set(selector, record string, servers ...*dnstest.Server) {
	w.t.Helper()
	for _, s := range servers {
		if err := w.at(s, selector, record); err != nil {
			w.t.Fatal(err)
		}
	}
}

// forward puts the clock forward, with looks at DNS on the way.
func (w *rotationWorld) forward(d time.Duration) {
	w.t.Helper()
	for step := min(d, time.Minute); d > 0; d -= step {
		w.ahead.Add(int64(min(d, step)))
		w.gateway.rotations.Turn(w.t.Context())
	}
}

// command runs the command line.
func (w *rotationWorld) command(args ...string) (code int, out string) {
	var both bytes.Buffer
	code = run(&app{gatewayTime: hangGuard}, append(args, "--config", filepath.Join(w.dir, "mailgate.toml")), strings.NewReader(""), &both, &both)
	return code, both.String()
}

func (w *rotationWorld) rotation() web.Rotation {
	w.t.Helper()
	code, out := w.command("keys", "rotate", "--list", "--format", "json")
	var list web.RotationList
	if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil || len(list.Rotations) != 1 {
		w.t.Fatalf("keys rotate --list: %d, %v\n%s", code, err, out)
	}
	return list.Rotations[0]
}

// want sends a message and checks the state and which key signed it, which a receiver
// accepts.
func (w *rotationWorld) want(state, selector string) {
	w.t.Helper()
	if r := w.rotation(); r.State != state {
		w.t.Fatalf("%s (%s), want %s", r.State, r.Problem, state)
	}
	w.wantSigned(selector)
}

func (w *rotationWorld) wantSigned(selector string) {
	w.t.Helper()
	l := w.gateway.live.Load()
	l.view.checker.Recheck(w.t.Context(), l.gate.Identity("one.example", mail.Address{Local: "ann", Domain: "one.example"}))
	w.mustSend("signed by "+selector, "bob@gmail.test")
	a := w.awaitArrival()
	var signers []string
	for _, found := range anySignedBy.FindAllStringSubmatch(a.content, -1) {
		signers = append(signers, found[1])
	}
	if got := strings.Join(signers, " "); got != selector || a.dkim != "pass" {
		w.t.Fatalf("signed by %q, want %q; DKIM %s", got, selector, a.dkim)
	}
}

// From the order to the end: the signature changes only after the new record was on
// both name servers for longer than the old one's TTL, and each message can be verified
// when it arrives.
func TestRotationOnTheWire(t *testing.T) {
	w := startRotation(t)
	w.wantSigned("mail")

	code, out := w.command("keys", "rotate", "one.example")
	r := w.rotation()
	next := r.New.Selector
	for _, want := range []string{"mail -> " + next + ", RSA 2048", "1 ✓ new key " + next + " written", "2 ⏸ record on every name server", "on 0 of 2 name servers; publish it",
		"Publish at Cloudflare:", "Name " + next + "._domainkey   Content v=DKIM1; k=rsa; p=", "--wait 2h"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d; %q is missing:\n%s", code, want, out)
		}
	}
	w.want("publishing", "mail")
	w.set(next, r.Record, w.dns)
	w.forward(time.Hour)
	w.want("publishing", "mail")
	w.set(next, r.Record, w.second)
	w.forward(4 * time.Minute)
	w.want("holding", "mail")
	w.command("keys", "rotate", "one.example") // looks at once
	w.want("holding", "mail")
	if code, out := w.command("keys", "rotate", "one.example", "--cancel", "--dry-run"); code != exitUsage {
		t.Errorf("--cancel --dry-run: %d\n%s", code, out)
	}
	w.forward(6 * time.Minute)
	w.want("signing", next)

	// A restart changes nothing; the configuration still names the old key.
	w.restart()
	w.want("signing", next)
	if _, out := w.command("keys", "rotate", "one.example", "--selector", "mail"); !strings.Contains(out, fmt.Sprintf("{ selector = %q, file = %q }", next, r.New.File)) {
		t.Errorf("it doesn't say what to configure:\n%s", out)
	}
	// The new record is gone: the old key, on standby, signs.
	w.set(next, "", w.dns, w.second)
	w.wantSigned("mail")
	w.set(next, r.Record, w.dns, w.second)
	w.wantSigned(next)

	w.forward(4 * time.Hour)
	w.want("revoking", next)
	if keys := w.gateway.live.Load().gate.Keys().Keys(); len(keys) != 1 || keys[0].Selector != next {
		t.Errorf("the keyring has %v", keys)
	}
	if err := os.Remove(filepath.Join(w.dir, "keys", "one.pem")); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.want("revoking", next)
	if code, out := w.command("keys", "rotate", "one.example", "--cancel"); code != exitFail || !strings.Contains(out, "too late") {
		t.Errorf("--cancel: %d %s", code, out)
	}
	w.set("mail", "v=DKIM1; p=", w.dns, w.second)
	w.forward(time.Hour)
	w.want("done", next)
	// check asks about the key that signs, whatever the configuration names.
	checker := &app{config: filepath.Join(w.dir, "mailgate.toml"), gatewayTime: hangGuard}
	site, err := checker.checkSite()
	if err != nil {
		t.Fatal(err)
	}
	if keys := site.keys.Keys(); len(keys) != 1 || keys[0].Selector != next {
		t.Errorf("check asks about %v", keys)
	}
	if _, out := w.command("keys", "rotate", "one.example"); !strings.Contains(out, "may be deleted") || w.rotation().State != "done" {
		t.Errorf("at the end:\n%s", out)
	}
	// The configuration names the new key itself: the same key, once.
	w.reconfigure(`selector = "mail", file = "keys/one.pem"`, fmt.Sprintf("selector = %q, file = %q", next, r.New.File))
	w.want("done", next)
	if _, out := w.command("quarantine", "log", "--action", "rotate"); strings.Count(out, "-> mail._domainkey.one.example") != 5 {
		t.Errorf("the review log has:\n%s", out)
	}
}

// The record that one server loses while it is held begins its wait anew.
func TestRotationLostRecord(t *testing.T) {
	w := startRotation(t)
	if code, out := w.command("keys", "rotate", "one.example"); code != 0 {
		t.Fatalf("%d %s", code, out)
	}
	r := w.rotation()
	w.set(r.New.Selector, r.Record, w.dns, w.second)
	w.ahead.Add(int64(time.Minute))
	w.gateway.rotations.Turn(t.Context())
	w.want("holding", "mail")
	w.set(r.New.Selector, "", w.second)
	w.ahead.Add(int64(2 * time.Minute))
	w.gateway.rotations.Turn(t.Context())
	w.want("publishing", "mail")
	if code, out := w.command("keys", "rotate", "one.example", "--cancel"); code != 0 || !strings.Contains(out, "may be deleted") {
		t.Errorf("--cancel: %d %s", code, out)
	}
	w.forward(time.Hour)
	w.want("cancelled", "mail")
}
