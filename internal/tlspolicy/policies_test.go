package tlspolicy

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
	for _, data := range []string{"{", "{}", `{"destination":"a.example","level":"strong"}`} {
		m.notes[KindOverride] = map[string]Note{"a.example": {Kind: KindOverride, Name: "a.example", Data: []byte(data)}}
		if _, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "a.example") {
			t.Errorf("an override that can't be read: %s: %v", data, err)
		}
	}
}

func TestWithoutDNS(t *testing.T) {
	table := newTable(t, time.Now(), Override{Destination: "mx:*.example.com", MaxVersion: TLS12})
	p, err := New(t.Context(), Options{View: func() View { return View{Validating: true, STS: true} }, Table: func() *Table { return table }})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got, err := p.Lookup(t.Context(), Destination{Domain: "example.net"}); err != nil || got.Level != May {
		t.Errorf("%v, %v", got, err)
	}
}

// panicDNS is what a fault in our own code would do.
type panicDNS struct{}

func (panicDNS) Recursive(context.Context, string, string) dnsview.Answer { panic("broken") }

// TestPanic: a fault of our own ends no process, and nothing unsecured leaves.
func TestPanic(t *testing.T) {
	w := newWorld(t)
	w.view.Store(&View{DNS: panicDNS{}, STS: true})
	if p := w.domain("example.net"); p.Level != May || w.log.count("panic: broken") != 1 {
		t.Errorf("MTA-STS: %v", p)
	}
	w.view.Store(&View{DNS: panicDNS{}, Validating: true})
	if p, err := w.policies.Lookup(t.Context(), Destination{Domain: "example.net"}); !errors.Is(err, ErrUnsettled) {
		t.Errorf("DANE: %v, %v", p, err)
	}
}

// silentDNS never answers.
type silentDNS struct{}

func (silentDNS) Recursive(ctx context.Context, name, qtype string) dnsview.Answer {
	<-ctx.Done()
	return dnsview.Answer{Name: name, Type: qtype, Status: dnsview.Unknown}
}

// TestSilentDNS: a look-up takes five seconds at most, and of many at once all do.
func TestSilentDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := New(t.Context(), Options{View: func() View { return View{DNS: silentDNS{}, Validating: true, STS: true} }})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		begun := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if got, err := p.Lookup(t.Context(), Destination{Domain: "example.net", Host: "mx.example.net"}); err != nil || got.Level != May {
					t.Errorf("%v, %v", got, err)
				}
			})
		}
		all.Wait()
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// TestRun: it goes on by itself, and ends with its context.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newTable(t, time.Now(), Override{Destination: "a.example", Level: Encrypt, Expires: time.Now().Add(week + time.Hour)})
		log := &logged{}
		p, err := New(t.Context(), Options{View: func() View { return View{} }, Table: func() *Table { return table },
			Log: slog.New(slog.NewTextHandler(log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		time.Sleep(59 * time.Minute)
		if log.count("ends soon") != 0 {
			t.Error("announced too early")
		}
		time.Sleep(2 * time.Minute)
		if log.count("ends soon") != 1 {
			t.Error("not announced")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestRunBesideSlowChecks: announcements don't wait for checks of MTA-STS policies.
func TestRunBesideSlowChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newTable(t, time.Now(), Override{Destination: "a.example", Level: Encrypt, Expires: time.Now().Add(week + time.Hour)})
		log := &logged{}
		p, err := New(t.Context(), Options{View: func() View { return View{DNS: silentDNS{}, STS: true} }, Table: func() *Table { return table },
			Log: slog.New(slog.NewTextHandler(log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		policy, err := parseSTS(stsText("enforce", 10*day, "mx1.example.net"))
		if err != nil {
			t.Fatal(err)
		}
		policy.expires = time.Now().Add(time.Hour + 10*time.Minute)
		p.sts.set("example.net", &stsEntry{policy: policy, demand: policy.policy()})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		time.Sleep(61 * time.Minute)
		if log.count("ends soon") != 1 {
			t.Error("not announced")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		p.Close()
	})
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
