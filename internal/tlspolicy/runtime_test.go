package tlspolicy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/dnstest"
	"mailgate/internal/mail"
)

func TestSetOverride(t *testing.T) {
	w := demanding(t)
	ctx := t.Context()
	end := w.clock.Now().Add(30 * day)
	w.overrides(Override{Destination: "both.example", Level: Encrypt, Reason: "configured"})

	before, after, err := w.policies.SetOverride(ctx, Override{Destination: "Example.NET.", Level: Encrypt, MaxVersion: TLS12, Reason: "clash", Expires: end}, "anna", false)
	if err != nil || before.Level != Secure || after.Level != Encrypt || after.Destination != "example.net" {
		t.Fatalf("%v, %v, %v", before, after, err)
	}
	w.must(func() error {
		_, _, err := w.policies.SetOverride(ctx, Override{Destination: "both.example", Level: Secure, Reason: "run time"}, "bob", false)
		return err
	}())
	_, after, err = w.policies.SetOverride(ctx, Override{Destination: "mx:*.slow.example", Curves: Classic, Reason: "r"}, "bob", false)
	if err != nil || after.Curves != Classic || after.Level != May {
		t.Fatalf("%v, %v", after, err)
	}
	check := func() {
		t.Helper()
		if p := w.domain("example.net"); p.Level != Encrypt || p.MaxVersion != TLS12 || p.Reason != "clash" {
			t.Errorf("%v", p)
		}
		if p := w.domain("both.example"); p.Reason != "run time" {
			t.Errorf("run time and configuration: %v", p)
		}
		all := w.policies.Overrides()
		if len(all) != 4 || all[1].Destination != "example.net" || !all[1].RunTime || all[1].Actor != "anna" || all[1].Since.IsZero() || all[3].RunTime {
			t.Errorf("overrides %+v", all)
		}
	}
	check()
	w.start()
	check()
	if want := "keep example.net by anna: clash"; !slices.Contains(w.memory.acts, want) {
		t.Errorf("review log %q", w.memory.acts)
	}

	if err := w.policies.RemoveOverride(ctx, "EXAMPLE.net", "anna", "mended"); err != nil {
		t.Error(err)
	}
	if p := w.domain("example.net"); p.Level != Secure {
		t.Errorf("removed: %v", p)
	}
	w.must(w.policies.RemoveOverride(ctx, "both.example", "anna", "mended"))
	if err := w.policies.RemoveOverride(ctx, "both.example", "anna", "mended"); !errors.Is(err, ErrConfigured) || !strings.Contains(err.Error(), "[[tls]]") {
		t.Errorf("of the configuration: %v", err)
	}
	if err := w.policies.RemoveOverride(ctx, "none.example", "anna", ""); !errors.Is(err, ErrNoOverride) {
		t.Errorf("none: %v", err)
	}
	if p := w.domain("both.example"); p.Reason != "configured" {
		t.Errorf("the configuration's again: %v", p)
	}

	w.memory.fail = errDisk
	if _, _, err := w.policies.SetOverride(ctx, Override{Destination: "new.example", Level: Encrypt}, "anna", false); !errors.Is(err, errDisk) {
		t.Errorf("not kept: %v", err)
	}
	if p := w.domain("new.example"); p.Level != May {
		t.Errorf("what isn't kept is in force: %v", p)
	}
	if err := w.policies.RemoveOverride(ctx, "mx:*.slow.example", "anna", ""); !errors.Is(err, errDisk) {
		t.Errorf("not removed: %v", err)
	}
}

func TestSetOverrideRefuses(t *testing.T) {
	w := demanding(t)
	end := w.clock.Now().Add(day)
	for _, c := range []struct {
		override Override
		anyway   bool
		fault    string // "" for none
	}{
		{Override{Destination: "example.net", Level: Encrypt}, false, "demands secure"},
		{Override{Destination: "example.net", Level: Encrypt, Reason: "r"}, true, "demands secure"},
		{Override{Destination: "example.net", MatchNames: []string{"a.example"}}, false, "other names"},
		{Override{Destination: "example.net", Level: Encrypt, Reason: "r", Expires: end}, false, ""},
		{Override{Destination: "dane.example", Level: Encrypt}, false, "DANE demands"},
		{Override{Destination: "dane.example", Level: Verify}, false, "level verify, where DANE demands dane-only"},
		{Override{Destination: "example.net", MaxVersion: TLS10}, false, "TLS 1.0, where MTA-STS demands secure"},
		{Override{Destination: "example.net", Ciphers: []string{"TLS_RSA_WITH_RC4_128_SHA"}}, false, "cipher TLS_RSA_WITH_RC4_128_SHA, where MTA-STS"},
		{Override{Destination: "plain.example", MaxVersion: TLS10}, false, ""},
		{Override{Destination: "dane.example", MaxVersion: TLS12}, false, ""},
		{Override{Destination: "gmail.com", Level: None, Reason: "r", Expires: end}, false, "5.7.29"},
		{Override{Destination: "gmail.com", Level: None, Reason: "r", Expires: end}, true, ""},
		{Override{Destination: "plain.example", Level: None, Reason: "r", Expires: end}, false, "5.7.29"},
		{Override{Destination: "plain.example", Level: None, Reason: "r", Expires: end}, true, ""},
		{Override{Destination: "mx:*.google.com", Level: None}, false, "5.7.29"},
		{Override{Destination: "other.example", Level: None}, false, ""},
		{Override{Destination: "other.example", Level: None, Expires: w.clock.Now()}, false, "ended"},
		{Override{Destination: "other example", Level: None}, false, "other example"},
		{Override{Destination: "other.example"}, false, "sets nothing"},
	} {
		_, _, err := w.policies.SetOverride(t.Context(), c.override, "anna", c.anyway)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%+v, anyway %v: %v, want %q", c.override, c.anyway, err, c.fault)
		}
	}
	to := Destination{Domain: "plain.example", MX: []mail.Domain{"aspmx.l.google.com"}, Host: "aspmx.l.google.com"}
	if p := w.lookup(to); p.Level != None {
		t.Errorf("anyway: %v", p)
	}
	w.dns.Fault("_25._tcp.mx.dane.example", dnstest.Bogus)
	w.clock.add(time.Hour)
	w.must(w.policies.RemoveOverride(t.Context(), "dane.example", "anna", ""))
	for _, level := range []Level{Encrypt, Secure} {
		if _, _, err := w.policies.SetOverride(t.Context(), Override{Destination: "dane.example", Level: level}, "anna", false); !errors.Is(err, ErrRefused) {
			t.Errorf("%s, and DNS doesn't tell: %v", level, err)
		}
	}
	if _, _, err := w.policies.SetOverride(t.Context(), Override{Destination: "dane.example", Curves: Classic}, "anna", false); err != nil {
		t.Errorf("what can't be below is refused where DNS doesn't tell: %v", err)
	}
}

func TestOverrideEnds(t *testing.T) {
	w := demanding(t)
	now := w.clock.Now()
	w.overrides(Override{Destination: "configured.example", Level: Encrypt, Expires: now.Add(9 * day)})
	_, _, err := w.policies.SetOverride(t.Context(), Override{Destination: "soon.example", Level: Encrypt, Reason: "r", Expires: now.Add(8 * day)}, "anna", false)
	w.must(err)
	_, _, err = w.policies.SetOverride(t.Context(), Override{Destination: "late.example", Level: Encrypt, Reason: "r", Expires: now.Add(80 * day)}, "anna", false)
	w.must(err)
	turn := func(d time.Duration, expiring string, announced int) {
		t.Helper()
		w.clock.add(d)
		w.policies.turn(t.Context())
		w.policies.turn(t.Context())
		var names []string
		for _, o := range w.policies.Expiring(7 * day) {
			names = append(names, o.Destination)
		}
		if got := strings.Join(names, " "); got != expiring || w.log.count("ends soon") != announced {
			t.Errorf("expiring %q, announced %d times; want %q, %d", got, w.log.count("ends soon"), expiring, announced)
		}
	}
	turn(0, "", 0)
	turn(day, "soon.example", 1)
	turn(day, "soon.example configured.example", 2)
	turn(6*day, "configured.example", 2)
	if p := w.domain("soon.example"); p.Level != May {
		t.Errorf("after its end: %v", p)
	}
	if w.log.count("has ended") != 1 {
		t.Error("the end isn't logged once")
	}
	if n := len(w.memory.notes[KindOverride]); n != 2 {
		t.Errorf("%d overrides are remembered", n)
	}
	turn(day, "", 2)
	if want := "forget soon.example by mailgate: it ended at " + now.Add(8*day).UTC().Format(time.RFC3339); w.memory.acts[len(w.memory.acts)-1] != want {
		t.Errorf("review log %q, want %q", w.memory.acts, want)
	}
	if n := len(w.memory.notes[KindOverride]); n != 1 || w.log.count("has ended") != 1 {
		t.Errorf("%d overrides are remembered", n)
	}
}

// TestRecallInvalid: what was valid when it was made, and isn't by now, is told, and
// is in force as far as it can be.
func TestRecallInvalid(t *testing.T) {
	const known = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
	w := newWorld(t)
	w.memory.notes[KindOverride] = map[string]Note{}
	for name, data := range map[string]string{
		"suite.example":            `{"destination":"suite.example","level":"encrypt","ciphers":["TLS_GONE","` + known + `"]}`,
		"suites.example":           `{"destination":"suites.example","level":"encrypt","ciphers":["TLS_GONE"]}`,
		"fine.example":             `{"destination":"fine.example","level":"encrypt","ciphers":["` + known + `"]}`,
		"[smtp-relay.gmail.com]":   `{"destination":"[smtp-relay.gmail.com]","level":"none"}`,
		"[aspmx.l.google.com]:587": `{"destination":"[aspmx.l.google.com]:587","level":"none","anyway":true}`,
	} {
		w.memory.notes[KindOverride][name] = Note{Kind: KindOverride, Name: name, Data: []byte(data)}
	}
	w.start()
	for _, c := range []struct {
		to     Destination
		level  Level
		suites int // nil for 0: crypto/tls's own
		told   string
	}{
		{Destination{Domain: "suite.example"}, Encrypt, 1, `destination=suite.example error="cipher suite`},
		{Destination{Domain: "suites.example"}, Encrypt, 0, `destination=suites.example error="cipher suite`},
		{Destination{Domain: "fine.example"}, Encrypt, 1, ""},
		{Destination{NextHop: "[smtp-relay.gmail.com]"}, May, 0, `destination=[smtp-relay.gmail.com] error="level none`},
		{Destination{NextHop: "[aspmx.l.google.com]:587"}, None, 0, ""},
	} {
		p := w.lookup(c.to)
		config := p.TLSConfig("mx.example")
		if p.Level != c.level || config != nil && len(config.CipherSuites) != c.suites {
			t.Errorf("%+v: %+v", c.to, p)
		}
		if c.told != "" && w.log.count(c.told) != 1 {
			t.Errorf("%+v: not told", c.to)
		}
	}
	if n := w.log.count("isn't valid any more"); n != 3 {
		t.Errorf("%d overrides are told of", n)
	}
}

// TestOverrideEndsWhileDown: its end is in the review log even so.
func TestOverrideEndsWhileDown(t *testing.T) {
	w := newWorld(t)
	_, _, err := w.policies.SetOverride(t.Context(), Override{Destination: "a.example", Level: Encrypt, Reason: "r", Expires: w.clock.Now().Add(day)}, "anna", false)
	w.must(err)
	if note := w.memory.notes[KindOverride]["a.example"]; !note.Until.IsZero() { // Recall would not give it back
		t.Errorf("it is kept until %s only", note.Until)
	}
	w.policies.Close()
	w.clock.add(9 * day)
	w.start()
	if p := w.domain("a.example"); p.Level != May || len(w.policies.Overrides()) != 0 {
		t.Errorf("it is in force: %v", p)
	}
	w.policies.turn(t.Context())
	w.clock.add(day)
	w.policies.turn(t.Context())
	if n := len(w.memory.notes[KindOverride]); n != 0 || len(w.memory.acts) != 2 || w.log.count("has ended") != 1 {
		t.Errorf("%d overrides are remembered; review log %q", n, w.memory.acts)
	}
}

// TestOverrideAndWrongClock: a clock that was wrong for a while ends nothing for good.
func TestOverrideAndWrongClock(t *testing.T) {
	w := newWorld(t)
	_, _, err := w.policies.SetOverride(t.Context(), Override{Destination: "a.example", Level: Encrypt, Reason: "r", Expires: w.clock.Now().Add(90 * day)}, "anna", false)
	w.must(err)
	for range 2 {
		w.clock.add(200 * day)
		for range 3 {
			w.policies.turn(t.Context())
			w.clock.add(time.Minute)
		}
		w.clock.add(-200 * day)
		w.policies.turn(t.Context())
		if p := w.domain("a.example"); p.Level != Encrypt || len(w.memory.acts) != 1 {
			t.Errorf("%v; review log %q", p, w.memory.acts)
		}
		w.clock.add(2 * day)
	}
}
