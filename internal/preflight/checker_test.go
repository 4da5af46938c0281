package preflight

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// slow makes every answer take a while.
func slow(context.Context, string, string) { time.Sleep(200 * time.Millisecond) }

func TestSteadyStateNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS(goodZone)
		c := New(dns, Options{})
		id := goodIdentity()
		c.Check(t.Context(), id)
		dns.onAnswer(slow)
		reports := map[*Report]bool{}
		for range 1000 { // more than four hours, with TTLs of five minutes
			time.Sleep(15 * time.Second)
			before := time.Now()
			r := c.Check(t.Context(), id)
			if r.Worst() != Pass || r.Stale || time.Since(before) != 0 || time.Since(r.Checked) > 5*time.Minute {
				t.Fatalf("after %s, %s old:\n%s", time.Since(before), time.Since(r.Checked), r)
			}
			reports[r] = true
		}
		if n := len(reports); n > 70 {
			t.Errorf("1000 messages made DNS be asked %d times", n)
		}
		time.Sleep(time.Minute)
	})
}

func TestIdleIdentityIsServedWhileRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS(goodZone)
		c := New(dns, Options{})
		first := c.Check(t.Context(), goodIdentity())
		time.Sleep(8 * time.Minute) // expired three minutes ago
		if r := c.Check(t.Context(), goodIdentity()); r != first {
			t.Error("the good report was not served")
		}
		synctest.Wait()
		if r := c.Check(t.Context(), goodIdentity()); r == first {
			t.Error("the report was not refreshed")
		}
		time.Sleep(time.Hour)
		dns.add(noKey + noSPF)
		if r := c.Check(t.Context(), goodIdentity()); r.Worst() != Fail {
			t.Error("a report an hour past its time was served")
		}
	})
}

func TestMendedZoneIsSeenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS(goodZone, noKey+noSPF)
		c := New(dns, Options{})
		bad := c.Check(t.Context(), goodIdentity())
		if bad.Worst() != Fail || bad.Expires.Sub(bad.Checked) > badLife {
			t.Fatalf("%s lives %s", bad, bad.Expires.Sub(bad.Checked))
		}
		dns.add(goodZone)
		time.Sleep(10 * time.Second)
		if r := c.Check(t.Context(), goodIdentity()); r != bad {
			t.Error("the report was not served from memory while it holds")
		}
		time.Sleep(20 * time.Second)
		if r := c.Check(t.Context(), goodIdentity()); r.Worst() != Pass {
			t.Errorf("bad news served past its time:\n%s", r)
		}
	})
}

func TestRecheckAsksAfresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS(goodZone, noKey)
		c := New(dns, Options{})
		c.Check(t.Context(), goodIdentity())
		dns.add(goodZone)
		if r := c.Recheck(t.Context(), goodIdentity()); r.Worst() != Pass {
			t.Errorf("Recheck answers from memory:\n%s", r)
		}
		if r := c.Check(t.Context(), goodIdentity()); r.Worst() != Pass {
			t.Errorf("Check doesn't know what Recheck found:\n%s", r)
		}
		dns.down.Store(true)
		if r := c.Recheck(t.Context(), goodIdentity()); r.Stale || r.Worst() != Unknown {
			t.Errorf("Recheck hides that DNS is down:\n%s", r)
		}
	})
}

// late answers as the zone was when it was asked, once gate is open.
type late struct {
	*fakeDNS
	gate chan struct{} // nil: at once
}

func (d *late) Published(ctx context.Context, name, qtype string) dnsview.Answer {
	gate := d.gate
	a := d.fakeDNS.Published(ctx, name, qtype)
	if gate != nil {
		<-gate
	}
	return a
}

// A check that began before a re-check and ends after it doesn't bring back what was.
func TestOlderNewsComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &late{newFakeDNS(goodZone, noKey), make(chan struct{})}
		c := New(dns, Options{})
		done := make(chan *Report)
		go func() { done <- c.Check(t.Context(), goodIdentity()) }()
		synctest.Wait()
		gate := dns.gate
		dns.gate = nil
		dns.add(goodZone)
		if r := c.Recheck(t.Context(), goodIdentity()); r.Worst() != Pass {
			t.Errorf("the record isn't seen:\n%s", r)
		}
		close(gate)
		if r := <-done; r.Worst() != Pass {
			t.Errorf("older news for who waits:\n%s", r)
		}
		if r := c.Check(t.Context(), goodIdentity()); r.Worst() != Pass {
			t.Errorf("older news is kept:\n%s", r)
		}
	})
}

// twofold has some checks see another zone.
type twofold struct {
	*late
	other *fakeDNS
}

type seesOther struct{}

func (d *twofold) Published(ctx context.Context, name, qtype string) dnsview.Answer {
	if ctx.Value(seesOther{}) != nil {
		return d.other.Published(ctx, name, qtype)
	}
	return d.late.Published(ctx, name, qtype)
}

// A check that begins after a re-check may live on answers from before it: it doesn't
// keep the re-check's news out.
func TestRememberedAnswersAreOlderNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &twofold{&late{newFakeDNS(goodZone), make(chan struct{})}, newFakeDNS(goodZone, noKey)}
		c := New(dns, Options{})
		done := make(chan *Report)
		go func() { done <- c.Recheck(t.Context(), goodIdentity()) }()
		synctest.Wait()
		if r := c.Check(context.WithValue(t.Context(), seesOther{}, true), goodIdentity()); r.Worst() != Fail {
			t.Errorf("the zone as it was:\n%s", r)
		}
		close(dns.gate)
		if r := <-done; r.Worst() != Pass {
			t.Errorf("the record isn't seen:\n%s", r)
		}
		if r := c.Check(t.Context(), goodIdentity()); r.Worst() != Pass {
			t.Errorf("the re-check's news isn't kept:\n%s", r)
		}
	})
}

// What stands in for answers that DNS owes is no news: a check that has them all takes
// its place, whenever it began.
func TestStandInIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &twofold{&late{newFakeDNS(goodZone), nil}, newFakeDNS()}
		dns.other.down.Store(true)
		c := New(dns, Options{Timeout: time.Hour})
		c.Check(t.Context(), goodIdentity())
		time.Sleep(2 * time.Hour)
		gate := make(chan struct{})
		dns.gate = gate
		done := make(chan *Report)
		go func() { done <- c.Check(t.Context(), goodIdentity()) }()
		synctest.Wait()
		c.Recheck(context.WithValue(t.Context(), seesOther{}, true), goodIdentity())
		if r := c.Check(t.Context(), goodIdentity()); !r.Stale {
			t.Fatalf("nothing stands in:\n%s", r)
		}
		close(gate)
		if r := <-done; r.Stale || r.Worst() != Pass {
			t.Errorf("for who waits:\n%s", r)
		}
		if r := c.Check(t.Context(), goodIdentity()); r.Stale {
			t.Errorf("the report of two hours ago is kept:\n%s", r)
		}
	})
}

func TestOneFlightForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alone := newFakeDNS(goodZone)
		New(alone, Options{}).Check(t.Context(), goodIdentity())

		dns := newFakeDNS(goodZone)
		dns.onAnswer(slow)
		c := New(dns, Options{})
		var wait sync.WaitGroup
		for range 100 {
			wait.Go(func() { c.Check(t.Context(), goodIdentity()) })
		}
		wait.Wait()
		if got, want := dns.queries.Load(), alone.queries.Load(); got != want {
			t.Errorf("%d queries for 100 messages, %d for one", got, want)
		}
	})
}

func TestOutageServesLastReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS(goodZone)
		c := New(dns, Options{})
		id := goodIdentity()
		c.Check(t.Context(), id)
		dns.down.Store(true)
		time.Sleep(20 * time.Minute)
		r := c.Check(t.Context(), id)
		if !r.Stale || r.Worst() != Pass || Predict(Google, r, Extra{}).Verdict != Accept {
			t.Errorf("in an outage:\n%s stale %v", r, r.Stale)
		}
		time.Sleep(time.Minute)
		dns.onAnswer(slow)
		before := time.Now()
		if r = c.Check(t.Context(), id); !r.Stale || time.Since(before) != 0 {
			t.Errorf("an outage makes every message wait %s", time.Since(before))
		}
		dns.onAnswer(nil)
		time.Sleep(25 * time.Hour)
		if r = c.Check(t.Context(), id); r.Stale || r.Worst() != Unknown {
			t.Errorf("after a day:\n%s stale %v", r, r.Stale)
		}
		dns.down.Store(false)
		time.Sleep(unknownLife)
		if r = c.Check(t.Context(), id); r.Stale || r.Worst() != Pass {
			t.Errorf("after the outage:\n%s stale %v", r, r.Stale)
		}
	})
}

func TestOutageDoesNotHideNewFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS(goodZone)
		c := New(dns, Options{})
		c.Check(t.Context(), goodIdentity())
		time.Sleep(time.Hour)
		dns.add(noKey + "fault _dmarc.example.com TXT")
		r := c.Check(t.Context(), goodIdentity())
		if _, found := r.Find("dkim-missing"); r.Stale || !found {
			t.Errorf("the missing key is hidden:\n%s", r)
		}
	})
}

func TestDNSHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		dns := newFakeDNS(goodZone)
		dns.onAnswer(func(_ context.Context, name, _ string) {
			if strings.Contains(name, "_domainkey") {
				<-release
			}
		})
		c := New(dns, Options{})
		before := time.Now()
		r := c.Check(t.Context(), goodIdentity())
		if took := time.Since(before); took != 5*time.Second {
			t.Errorf("the cold check took %s", took)
		}
		f, _ := r.Find("dns-unreachable")
		if r.Worst() != Unknown || f.Selector != "mail" || r.Facts.DKIM[0].Valid != Maybe || r.Facts.SPF.Result != SPFPass {
			t.Errorf("%s%+v", r, r.Facts)
		}
		close(release)
	})
}

func TestPanicIsUnknown(t *testing.T) {
	for _, name := range []string{"mail._domainkey.example.com", "example.com", "_dmarc.example.com", "_dmarc.com", "9.113.0.203.in-addr.arpa", "mx1.example.com"} {
		dns := newFakeDNS(goodZone, `example.com TXT "v=spf1 a:mx1.example.com -all"`)
		dns.onAnswer(func(_ context.Context, asked, _ string) {
			if asked == name {
				panic("out of order")
			}
		})
		r := check(t, dns, goodIdentity())
		if worst := r.Worst(); worst != Unknown && name != "_dmarc.com" {
			t.Errorf("panic about %s: %s\n%s", name, worst, r)
		}
	}
}

func TestCallerGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS(goodZone)
		dns.onAnswer(slow)
		c := New(dns, Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		before := time.Now()
		if r := c.Check(ctx, goodIdentity()); r.Worst() != Unknown || time.Since(before) > time.Second {
			t.Errorf("after %s:\n%s", time.Since(before), r)
		}
		time.Sleep(10 * time.Second)
		before = time.Now()
		if r := c.Check(t.Context(), goodIdentity()); r.Worst() != Pass || time.Since(before) != 0 {
			t.Errorf("the check ended with its caller:\n%s", r)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(newFakeDNS(goodZone), Options{MaxEntries: 10})
		id := goodIdentity()
		for i := range 50 {
			id.MailFrom = mail.Domain("b" + strconv.Itoa(i) + ".example.com")
			c.Check(t.Context(), id)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.entries) > 10 {
			t.Errorf("%d reports are kept", len(c.entries))
		}
	})
}

func TestProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS(`
gmail.com MX 5 gmail-smtp-in.l.google.com
gmail.com MX 10 alt1.gmail-smtp-in.l.google.com
workspace.example MX 1 SMTP.GOOGLE.COM
old.example MX 10 aspmx2.googlemail.com
corp.example MX 0 corp-example.mail.protection.outlook.com
new.example MX 0 new-example.k-v1.mx.microsoft
hotmail.com MX 2 hotmail-com.olc.protection.outlook.com
yahoo.com MX 1 mta5.am0.yahoodns.net
icloud.com MX 10 mx01.mail.icloud.com
qq.com MX 10 mx3.qq.com
self.example MX 10 mx.self.example
backup.example MX 20 aspmx.l.google.com
backup.example MX 10 mx.backup.example
mixed.example MX 10 mx.mixed.example
mixed.example MX 10 aspmx.l.google.com
null.example MX 0 .
nomx.example A 192.0.2.1
fake.example MX 10 mx.notgoogle.com
demo.example MX 10 in.mx.gmail.test
fault unreachable.example MX
fault live.com MX`)
		c := New(dns, Options{Providers: map[string]Provider{"mx.gmail.test": Google}})
		tests := map[mail.Domain]Provider{
			"gmail.com": Google, "workspace.example": Google, "old.example": Google, "corp.example": Microsoft, "new.example": Microsoft,
			"hotmail.com": Microsoft, "yahoo.com": Yahoo, "icloud.com": Apple, "qq.com": QQ, "self.example": Other, "backup.example": Other,
			"mixed.example": Google, "null.example": Other, "nomx.example": Other, "nosuch.example": Other, "fake.example": Other,
			"demo.example": Google, "unreachable.example": UnknownProvider, "live.com": Microsoft, "": Other,
		}
		for domain, want := range tests {
			if got := c.Provider(t.Context(), domain); got != want {
				t.Errorf("%s is at %s, want %s", domain, got, want)
			}
		}
		dns.down.Store(true)
		for domain, want := range map[mail.Domain]Provider{"corp.example": Microsoft, "self.example": Other, "never.example": UnknownProvider, "googlemail.com": Google} {
			if got := c.Provider(t.Context(), domain); got != want {
				t.Errorf("in an outage %s is at %s, want %s", domain, got, want)
			}
		}
	})
}

func TestCacheKey(t *testing.T) {
	seen := map[string]string{}
	variants := map[string]func(*Identity){
		"same":        func(*Identity) {},
		"From":        func(id *Identity) { id.From = "example.net" },
		"null sender": func(id *Identity) { id.MailFrom = "" },
		"shifted":     func(id *Identity) { id.From, id.MailFrom = "example.comexample.com", "" },
		"HELO":        func(id *Identity) { id.Helo = "mx2.example.com" },
		"selector":    func(id *Identity) { id.Keys[0].Selector = "mail2" },
		"key":         func(id *Identity) { id.Keys[0].Public = madeUpKey("old", 2048) },
		"key type":    func(id *Identity) { id.Keys[0].Public = edKey() },
		"key unknown": func(id *Identity) { id.Keys[0].Public = nil },
		"d=":          func(id *Identity) { id.Keys[0].Domain = "a.example.com" },
		"no keys":     func(id *Identity) { id.Keys = nil },
		"standby":     func(id *Identity) { id.Keys[0].Standby = true },
		"two keys":    func(id *Identity) { id.Keys = append(id.Keys, id.Keys[0]) },
		"egress":      egress("203.0.113.10"),
		"more egress": egress("203.0.113.9", v6),
		"no egress":   egress(),
	}
	for name, change := range variants {
		id := goodIdentity()
		change(&id)
		key := id.CacheKey()
		if other, twice := seen[key]; twice {
			t.Errorf("%s and %s have one key", name, other)
		}
		seen[key] = name
	}
	if seen[goodIdentity().CacheKey()] != "same" {
		t.Error("equal identities have different keys")
	}
}

func BenchmarkCheckHit(b *testing.B) {
	c := New(newFakeDNS(goodZone), Options{})
	id := goodIdentity()
	c.Check(b.Context(), id)
	b.ReportAllocs()
	for b.Loop() {
		r := c.Check(b.Context(), id)
		if Predict(Google, r, Extra{}).Verdict != Accept {
			b.Fatal("not accepted")
		}
	}
}
