package tlspolicy

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailgate/internal/dnstest"
	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// demanding is a world in which dane.example demands DANE, sts.example MTA-STS, and
// plain.example nothing; the last is received by Google.
func demanding(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.zone("dane.example", true, "@ MX 10 mx", "mx A 127.0.0.1", "_25._tcp.mx TLSA 3 1 1 "+digest)
	w.zone("example.net", false, "@ MX 10 mx", "mta-sts A 127.0.0.1", `_mta-sts TXT "v=STSv1; id=1"`)
	w.sts.serve("mta-sts.example.net", text(stsText("enforce", 30*day, "mx.example.net")))
	w.zone("plain.example", false, "@ MX 10 aspmx.l.google.com.")
	return w
}

func TestOverrideOver(t *testing.T) {
	w := demanding(t)
	end := w.clock.Now().Add(day)
	for _, c := range []struct {
		name     string
		override Override
		host     mail.Domain
		level    Level
		source   Source
		raised   string
		names    string
	}{
		{"no level, nothing demanded", Override{Destination: "plain.example", MaxVersion: TLS12}, "", May, FromDefault, "", ""},
		{"no level, MTA-STS", Override{Destination: "example.net", MaxVersion: TLS12}, "", Secure, FromMTASTS, "", "mx.example.net"},
		{"no level, DANE", Override{Destination: "dane.example", Curves: Classic}, "mx.dane.example", DANEOnly, FromDANE, "", "mx.dane.example dane.example"},
		{"level where nothing is demanded", Override{Destination: "plain.example", Level: Encrypt}, "", Encrypt, FromOverride, "", ""},
		{"may, as by default", Override{Destination: "plain.example", Level: May}, "", May, FromOverride, "", ""},
		{"below MTA-STS", Override{Destination: "example.net", Level: Encrypt}, "", Secure, FromMTASTS, "encrypt, where MTA-STS demands secure", "mx.example.net"},
		{"below MTA-STS, with a reason", Override{Destination: "example.net", Level: Encrypt, Reason: "r"}, "", Secure, FromMTASTS, "no end", "mx.example.net"},
		{"below MTA-STS, with an end", Override{Destination: "example.net", Level: May, Expires: end}, "", Secure, FromMTASTS, "no reason", "mx.example.net"},
		{"below MTA-STS, with both", Override{Destination: "example.net", Level: Encrypt, Reason: "r", Expires: end}, "", Encrypt, FromOverride, "", ""},
		{"other names than MTA-STS", Override{Destination: "example.net", MatchNames: []string{"a.example"}}, "", Secure, FromMTASTS, "other names", "mx.example.net"},
		{"other names, with both", Override{Destination: "example.net", MatchNames: []string{"a.example"}, Reason: "r", Expires: end}, "", Secure, FromMTASTS, "", "a.example"},
		{"verify is below secure", Override{Destination: "example.net", Level: Verify}, "", Secure, FromMTASTS, "verify", "mx.example.net"},
		{"secure, as MTA-STS", Override{Destination: "example.net", Level: Secure}, "", Secure, FromMTASTS, "", "mx.example.net"},
		{"dane-only is never below", Override{Destination: "example.net", Level: DANEOnly}, "", DANEOnly, FromOverride, "", ""},
		{"dane, where MTA-STS demands", Override{Destination: "example.net", Level: DANE}, "", Secure, FromMTASTS, "", "mx.example.net"},
		{"below DANE", Override{Destination: "dane.example", Level: Encrypt}, "mx.dane.example", DANEOnly, FromDANE, "DANE demands dane-only", "mx.dane.example dane.example"},
		{"below DANE, with both", Override{Destination: "dane.example", Level: May, Reason: "r", Expires: end}, "mx.dane.example", May, FromOverride, "", ""},
		{"above DANE", Override{Destination: "dane.example", Level: Secure}, "mx.dane.example", Secure, FromOverride, "", "dane.example .dane.example"},
		{"dane, with records", Override{Destination: "dane.example", Level: DANE}, "mx.dane.example", DANEOnly, FromDANE, "", "mx.dane.example dane.example"},
		{"dane, without records", Override{Destination: "plain.example", Level: DANE}, "aspmx.l.google.com", May, FromOverride, "", ""},
		{"dane, for Postfix", Override{Destination: "plain.example", Level: DANE}, "", DANE, FromOverride, "", ""},
		{"dane-only, without records", Override{Destination: "plain.example", Level: DANEOnly}, "aspmx.l.google.com", DANEOnly, FromOverride, "", ""},
		{"versions and server name", Override{Destination: "example.net", MinVersion: TLS12, MaxVersion: TLS12, ServerName: "sni.example"}, "", Secure, FromMTASTS, "", "mx.example.net"},
		{"none to Google's MX", Override{Destination: "plain.example", Level: None, Reason: "r", Expires: end}, "aspmx.l.google.com", May, FromOverride, "5.7.29", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.overrides(c.override)
			to := Destination{Domain: mail.Domain(c.override.Destination), Host: c.host}
			if c.host != "" {
				to.MX = []mail.Domain{c.host}
			}
			p := w.lookup(to)
			if p.Level != c.level || p.Source != c.source || !strings.Contains(p.Raised, c.raised) || (p.Raised == "") != (c.raised == "") {
				t.Errorf("%+v; want %s from %s, raised %q", p, c.level, c.source, c.raised)
			}
			if got := strings.Join(p.MatchNames, " "); got != c.names {
				t.Errorf("names %q, want %q", got, c.names)
			}
			if p.Destination != c.override.Destination || p.MaxVersion != c.override.MaxVersion || p.Curves != c.override.Curves {
				t.Errorf("%+v lacks what the override sets", p)
			}
			if d, err := w.policies.Demanded(t.Context(), to); err != nil || d.Destination != "" || d.Raised != "" {
				t.Errorf("demanded: %+v, %v", d, err)
			}
		})
	}
	w.overrides(Override{Destination: "example.net", Level: None})
	for range 3 {
		w.domain("example.net")
	}
	if n := w.log.count("asks for level none, where MTA-STS"); n != 1 {
		t.Errorf("a raised override is logged %d times", n)
	}
}

// TestOverrideByMX: the MX hosts are looked up for one who doesn't name them, as
// Postfix.
func TestOverrideByMX(t *testing.T) {
	w := demanding(t)
	w.overrides(Override{Destination: "mx:*.l.google.com", Level: Encrypt, MaxVersion: TLS12})
	for _, to := range []Destination{
		{Domain: "plain.example"},
		{Domain: "plain.example", Host: "aspmx.l.google.com"},
		{Domain: "plain.example", MX: []mail.Domain{"aspmx.l.google.com"}},
	} {
		if p := w.lookup(to); p.Level != Encrypt || p.MaxVersion != TLS12 {
			t.Errorf("%+v: %v", to, p)
		}
	}
	for _, to := range []Destination{
		{Domain: "dane.example"},
		{Domain: "plain.example", NextHop: "[relay.example]"},
		{Domain: "plain.example", MX: []mail.Domain{"mx.other.example"}},
	} {
		if p := w.lookup(to); p.Destination != "" {
			t.Errorf("%+v: %v", to, p)
		}
	}
	w.dns.Fault("", dnstest.ServFail)
	w.clock.add(2 * time.Hour)
	if p := w.domain("plain.example"); p.Level != May {
		t.Errorf("DNS doesn't tell: %v", p)
	}
}

// TestOverrideUnsettled: an override that could not be below, or may be, decides
// also where DNS doesn't tell what is demanded.
func TestOverrideUnsettled(t *testing.T) {
	w := demanding(t)
	w.dns.Fault("_25._tcp.mx.dane.example", dnstest.Bogus)
	end := w.clock.Now().Add(day)
	to := Destination{Domain: "dane.example", Host: "mx.dane.example"}
	for _, c := range []struct {
		override Override
		level    Level // zero: an error
	}{
		{Override{MaxVersion: TLS12}, 0},
		{Override{MaxVersion: TLS12, Reason: "r", Expires: end}, 0},
		{Override{Level: Encrypt}, 0},
		{Override{Level: Encrypt, Reason: "r", Expires: end}, Encrypt},
		{Override{Level: None, Reason: "r", Expires: end}, None},
		{Override{Level: Verify}, Verify},
		{Override{Level: Secure}, Secure},
		{Override{Level: DANEOnly, Reason: "r", Expires: end}, 0},
		{Override{Level: DANE}, 0},
	} {
		c.override.Destination = "dane.example"
		w.overrides(c.override)
		p, err := w.policies.Lookup(t.Context(), to)
		if p.Level != c.level || (err == nil) != (c.level != 0) || err != nil && !errors.Is(err, ErrUnsettled) {
			t.Errorf("%+v: %v, %v", c.override, p, err)
		}
	}
}

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
		{Override{Destination: "dane.example", Level: Verify}, false, ""},
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
	if _, _, err := w.policies.SetOverride(t.Context(), Override{Destination: "dane.example", Level: Encrypt}, "anna", false); !errors.Is(err, ErrRefused) {
		t.Errorf("DNS doesn't tell: %v", err)
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
	if w.log.count("has ended") != 1 || !slices.Contains(w.memory.acts, "forget soon.example by mailgate: it has ended") {
		t.Errorf("the end isn't told once: %q", w.memory.acts)
	}
	if n := len(w.memory.notes[KindOverride]); n != 1 {
		t.Errorf("%d overrides are remembered", n)
	}
	turn(day, "", 2)
}

func TestLearned(t *testing.T) {
	w := demanding(t)
	ctx := t.Context()
	w.must(w.policies.Learn(ctx, "mx.old.example", Learned{MaxVersion: TLS12, Curves: Classic, Why: "reset"}))
	w.must(w.policies.Learn(ctx, "mx.dane.example", Learned{MaxVersion: TLS12, Why: "reset"}))
	old := Destination{Domain: "old.example", Host: "mx.old.example"}
	check := func() {
		t.Helper()
		p := w.lookup(old)
		if p.Level != May || p.MaxVersion != TLS12 || p.Curves != Classic || p.Reason != "reset" || p.Origins.Curves != FromLearned || p.Source != FromDefault {
			t.Errorf("%+v", p)
		}
		if n := len(w.policies.Learned()); n != 2 {
			t.Errorf("%d hosts", n)
		}
	}
	check()
	w.start()
	check()
	if p := w.domain("old.example"); p.MaxVersion != 0 {
		t.Errorf("without a host: %v", p)
	}
	if p := w.lookup(Destination{Domain: "dane.example", Host: "mx.dane.example"}); p.MaxVersion != 0 || p.Level != DANEOnly {
		t.Errorf("above may: %v", p)
	}
	if p, err := w.policies.Demanded(ctx, old); err != nil || p.MaxVersion != 0 {
		t.Errorf("demanded: %v, %v", p, err)
	}
	w.overrides(Override{Destination: "old.example", MinVersion: TLS13, Reason: "because"})
	if p := w.lookup(old); p.MinVersion != TLS13 || p.MaxVersion != 0 || p.Curves != Classic || p.Reason != "because" {
		t.Errorf("beside an override: %+v", p)
	}
	w.overrides(Override{Destination: "old.example", Level: Encrypt})
	if p := w.lookup(old); p.MaxVersion != 0 || p.Curves != AnyCurves {
		t.Errorf("override above may: %+v", p)
	}
	w.overrides()
	w.clock.add(day)
	if p := w.lookup(old); p.MaxVersion != 0 || len(w.policies.Learned()) != 0 {
		t.Errorf("a day later: %v", p)
	}
	w.policies.turn(ctx)
	if n := len(*w.policies.learned.Load()); n != 0 {
		t.Errorf("%d are kept", n)
	}
	w.memory.fail = errDisk
	if err := w.policies.Learn(ctx, "mx.old.example", Learned{MaxVersion: TLS12}); !errors.Is(err, errDisk) {
		t.Errorf("not kept: %v", err)
	}
}

func TestRecallFails(t *testing.T) {
	m := newMemory()
	m.fail = errDisk
	o := Options{View: func() View { return View{} }, Memory: m}
	if _, err := New(t.Context(), o); !errors.Is(err, errDisk) {
		t.Errorf("memory fails: %v", err)
	}
	m.fail = nil
	for _, kind := range []Kind{KindSTS, KindLearned} {
		w := newWorld(t)
		w.memory.notes[kind] = map[string]Note{"a.example": {Kind: kind, Name: "a.example", Data: []byte("{")}}
		w.start()
		if w.log.count("can't be read") != 1 {
			t.Errorf("%s: not logged", kind)
		}
	}
	m.notes[KindOverride] = map[string]Note{"a.example": {Kind: KindOverride, Name: "a.example", Data: []byte("{")}}
	if _, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "a.example") {
		t.Errorf("an override that can't be read: %v", err)
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	w := demanding(t)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if err := w.policies.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			for range 50 {
				for _, d := range []mail.Domain{"dane.example", "example.net", "plain.example"} {
					w.domain(d)
				}
				w.clock.add(time.Second)
				host := mail.Domain([]string{"a.example", "b.example"}[i%2])
				w.must(w.policies.Learn(ctx, host, Learned{MaxVersion: TLS12}))
				_, _, err := w.policies.SetOverride(ctx, Override{Destination: string(host), Level: Encrypt}, "anna", false)
				w.must(err)
				w.policies.Overrides()
				w.policies.Learned()
				w.policies.STS("example.net")
				if err := w.policies.RemoveOverride(ctx, string(host), "anna", ""); err != nil && !errors.Is(err, ErrNoOverride) {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	cancel()
	all.Wait()
	w.policies.Close()
	if p, err := w.policies.Lookup(t.Context(), Destination{Domain: "new.example"}); err == nil && p.Level != May {
		t.Errorf("after the end: %v, %v", p, err)
	}
}

func TestOverrideJSON(t *testing.T) {
	want := Override{Destination: "example.net", Level: Encrypt, MinVersion: TLS11, MaxVersion: TLS12, Curves: Classic, ServerName: "a.example",
		Ciphers: []string{"TLS_RSA_WITH_AES_128_CBC_SHA"}, Reason: "r", Expires: time.Unix(1e9, 0).UTC(), Anyway: true, RunTime: true, Actor: "anna"}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Override
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(got)
	if err != nil || string(again) != string(data) || got.Level != Encrypt || got.Ciphers[0] != want.Ciphers[0] {
		t.Errorf("%s, then %s: %v", data, again, err)
	}
}

// warmDNS answers at once.
type warmDNS struct{ expires time.Time }

func (d warmDNS) Recursive(_ context.Context, name, qtype string) dnsview.Answer {
	a := dnsview.Answer{Name: name, Type: qtype, Status: dnsview.NoData, Authentic: true, Expires: d.expires}
	text := map[string]string{"MX": "mx.example.net", "A": "127.0.0.1", "TLSA": "3 1 1 " + digest}[qtype]
	if text != "" {
		a.Status, a.Records = dnsview.Found, []dnsview.Record{{Text: text}}
	}
	return a
}

func BenchmarkLookup(b *testing.B) {
	table, err := NewTable([]Override{{Destination: ".example.org", Level: Secure}, {Destination: "mx:*.example.com", MaxVersion: TLS12}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	p, err := New(b.Context(), Options{
		View:  func() View { return View{DNS: warmDNS{time.Now().Add(time.Hour)}, Validating: true, STS: true} },
		Table: func() *Table { return table },
	})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	sts := &stsPolicy{mode: "enforce", mx: []string{"mx.sts.example"}, expires: time.Now().Add(day)}
	p.sts.set("sts.example", &stsEntry{policy: sts, demand: sts.policy(), checkAt: time.Now().Add(day)})
	mx := []mail.Domain{"mx1.example.com", "mx2.example.com", "mx3.example.com"}
	for name, d := range map[string]Destination{
		"dane":     {Domain: "example.net", Host: "mx.example.net"},
		"postfix":  {Domain: "example.net"},
		"sts":      {Domain: "sts.example"},
		"override": {Domain: "a.b.example.org"},
		"mx":       {Domain: "a.b.c.example", MX: mx, Host: mx[0]},
	} {
		b.Run(name, func(b *testing.B) {
			if _, err := p.Lookup(b.Context(), d); err != nil {
				b.Fatal(err)
			}
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Lookup(ctx, d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
