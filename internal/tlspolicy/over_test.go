package tlspolicy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mailgate/internal/dnstest"
	"mailgate/internal/mail"
)

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
		{"instead of DANE", Override{Destination: "dane.example", Level: Secure}, "mx.dane.example", DANEOnly, FromDANE, "level secure, where DANE demands dane-only", "mx.dane.example dane.example"},
		{"instead of DANE, with both", Override{Destination: "dane.example", Level: Secure, Reason: "r", Expires: end}, "mx.dane.example", Secure, FromOverride, "", "dane.example .dane.example"},
		{"dane, with records", Override{Destination: "dane.example", Level: DANE}, "mx.dane.example", DANEOnly, FromDANE, "", "mx.dane.example dane.example"},
		{"dane, without records", Override{Destination: "plain.example", Level: DANE}, "aspmx.l.google.com", May, FromOverride, "", ""},
		{"dane, for Postfix", Override{Destination: "plain.example", Level: DANE}, "", DANE, FromOverride, "", ""},
		{"dane-only, without records", Override{Destination: "plain.example", Level: DANEOnly}, "aspmx.l.google.com", DANEOnly, FromOverride, "", ""},
		{"versions and server name", Override{Destination: "example.net", MinVersion: TLS12, MaxVersion: TLS12, ServerName: "sni.example"}, "", Secure, FromMTASTS, "", "mx.example.net"},
		{"none to Google's MX", Override{Destination: "plain.example", Level: None, Reason: "r", Expires: end}, "aspmx.l.google.com", May, FromOverride, "5.7.29", ""},
		{"none to Google's MX, for Postfix", Override{Destination: "plain.example", Level: None, Reason: "r", Expires: end}, "", May, FromOverride, "5.7.29", ""},
		{"none elsewhere", Override{Destination: "other.example", Level: None}, "", None, FromOverride, "", ""},
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

// TestNoneToGoogle: overrides that aren't about Google alone don't reach it.
func TestNoneToGoogle(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		to     Destination
		anyway bool
		level  Level
	}{
		{Destination{Domain: "any.example", NextHop: "[smtp-relay.gmail.com]:587"}, false, May},
		{Destination{Domain: "any.example", NextHop: "gmail.com:587"}, false, May},
		{Destination{Domain: "any.example", Host: "aspmx.l.google.com"}, false, May},
		{Destination{Domain: "any.example", NextHop: "[relay.example]:587"}, false, None},
		{Destination{Domain: "any.example", NextHop: "[127.0.0.1]"}, false, None},
		{Destination{Domain: "gmail.example", MX: []mail.Domain{"mx.google.com.example"}}, false, None},
		{Destination{Domain: "any.example", NextHop: "[smtp-relay.gmail.com]:587"}, true, None},
	} {
		w.overrides(Override{Destination: ".example", Level: None, Anyway: c.anyway})
		if p := w.lookup(c.to); p.Level != c.level || (p.Raised != "") != (c.level == May) {
			t.Errorf("%+v, anyway %v: %v", c.to, c.anyway, p)
		}
	}
	w.overrides(Override{Destination: ".com", Level: None})
	w.dns.Fault("", dnstest.ServFail)
	w.view.Store(&View{DNS: w.view.Load().DNS})
	if p := w.domain("gmail.com"); p.Level != May {
		t.Errorf("DNS doesn't tell: %v", p)
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
	if p, err := w.policies.Lookup(t.Context(), Destination{Domain: "plain.example"}); !errors.Is(err, ErrUnsettled) {
		t.Errorf("DNS doesn't tell: %v, %v", p, err)
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
		{Override{Level: Verify}, 0},
		{Override{Level: Secure}, 0},
		{Override{Level: Secure, Reason: "r", Expires: end}, Secure},
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
