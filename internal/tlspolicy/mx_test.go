package tlspolicy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/dnstest"
	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// TestMXUnknown: overrides for MX hosts aren't passed over where DNS doesn't tell
// these.
func TestMXUnknown(t *testing.T) {
	w := newWorld(t)
	w.view.Store(&View{DNS: w.view.Load().DNS})
	w.dns.Fault("", dnstest.ServFail)
	to := Destination{Domain: "plain.example"}
	encrypt := Override{Destination: "mx:*.host.example", Level: Encrypt}
	for _, c := range []struct {
		name      string
		to        Destination
		overrides []Override
		level     Level // zero: an error
	}{
		{"one that secures", to, []Override{encrypt}, 0},
		{"one of a host", to, []Override{{Destination: "mx:mx.host.example", Level: DANE}}, 0},
		{"one that doesn't", to, []Override{{Destination: "mx:*.host.example", Level: May}, {Destination: "mx:*.b.example", MaxVersion: TLS12}}, May},
		{"one that has ended", to, []Override{{Destination: "mx:*.host.example", Level: Encrypt, Expires: w.clock.Now()}}, May},
		{"a closer one", to, []Override{encrypt, {Destination: ".example", Level: Verify}}, Verify},
		{"a closer one without a level", to, []Override{encrypt, {Destination: "plain.example", MaxVersion: TLS12}}, 0},
		{"the host is known", Destination{Domain: "plain.example", Host: "mx.host.example"}, []Override{encrypt}, Encrypt},
		{"the hosts are known", Destination{Domain: "plain.example", MX: []mail.Domain{"mx.other.example"}}, []Override{encrypt}, May},
		{"a next hop", Destination{Domain: "plain.example", NextHop: "[relay.example]"}, []Override{encrypt}, May},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.overrides(c.overrides...)
			p, err := w.policies.Lookup(t.Context(), c.to)
			if p.Level != c.level || (c.level == 0) != errors.Is(err, ErrUnsettled) {
				t.Errorf("%v, %v; want %s", p, err, c.level)
			}
			if err != nil && !strings.Contains(err.Error(), "plain.example MX: SERVFAIL") {
				t.Errorf("%v doesn't say why", err)
			}
		})
	}
}

// TestLookupEnds: all that is asked for a look-up together takes five seconds at most,
// MX hosts included.
func TestLookupEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newTable(t, time.Now(), Override{Destination: "mx:*.host.example", MaxVersion: TLS12}, Override{Destination: "plain.example", Level: None})
		p, err := New(t.Context(), Options{View: func() View { return View{DNS: silentDNS{}, Validating: true, STS: true} }, Table: func() *Table { return table }})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for _, domain := range []mail.Domain{"example.net", "plain.example"} {
			begun := time.Now()
			if got, err := p.Lookup(t.Context(), Destination{Domain: domain}); !errors.Is(err, ErrUnsettled) {
				t.Errorf("%s: %v, %v", domain, got, err)
			}
			if took := time.Since(begun); took > 5*time.Second { // of a clock that isn't the machine's
				t.Errorf("%s: it took %s", domain, took)
			}
		}
	})
}

// patientDNS answers at once, and looks whether somebody waits.
type patientDNS struct {
	warmDNS
	waiting bool
}

func (d *patientDNS) Recursive(ctx context.Context, name, qtype string) dnsview.Answer {
	p, ok := ctx.(*patience)
	d.waiting = d.waiting || !ok || p.timed != nil
	return d.warmDNS.Recursive(ctx, name, qtype)
}

// TestWarmLookup begins no timer, as nobody waits.
func TestWarmLookup(t *testing.T) {
	table := newTable(t, time.Now(), Override{Destination: "mx:mx.example.net", Level: Encrypt})
	dns := &patientDNS{warmDNS: warmDNS{time.Now().Add(time.Hour)}}
	p, err := New(t.Context(), Options{View: func() View { return View{DNS: dns} }, Table: func() *Table { return table }})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got, err := p.Lookup(t.Context(), Destination{Domain: "example.net"}); err != nil || got.Level != Encrypt || dns.waiting {
		t.Errorf("%v, %v; waiting: %v", got, err, dns.waiting)
	}
}

func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		ctx, stop := within(t.Context(), time.Second)
		defer stop()
		if context.Cause(ctx) != nil || ctx.Err() != nil {
			t.Error("it has ended too early")
		}
		time.Sleep(400 * time.Millisecond) // before somebody waits counts, too
		child, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		<-child.Done()
		if end, ok := ctx.Deadline(); !ok || !end.Equal(begun.Add(time.Second)) || time.Since(begun) != time.Second {
			t.Errorf("it ended after %s, its end is %s", time.Since(begun), end.Sub(begun))
		}
		if ctx.Err() != context.DeadlineExceeded || context.Cause(ctx) != errCold || context.Cause(child) != errCold {
			t.Errorf("%v, because of %v", ctx.Err(), context.Cause(ctx))
		}
	})
	ctx, stop := within(t.Context(), time.Hour)
	done := ctx.Done()
	stop()
	<-done
}
