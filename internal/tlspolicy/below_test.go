package tlspolicy

import (
	"strings"
	"testing"

	"mailgate/internal/dnstest"
)

// TestBelowBySettings: versions and ciphers are below what is demanded, too.
func TestBelowBySettings(t *testing.T) {
	w := demanding(t)
	end := w.clock.Now().Add(day)
	weak, fine := []string{"TLS_RSA_WITH_RC4_128_SHA"}, []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}
	for _, c := range []struct {
		name     string
		override Override
		raised   string
		want     Policy // of it, versions and ciphers
	}{
		{"old versions only", Override{MaxVersion: TLS11}, "TLS 1.1, where MTA-STS demands secure", Policy{}},
		{"old versions too", Override{MinVersion: TLS10, Level: Secure}, "TLS 1.0", Policy{}},
		{"1.2 only", Override{MaxVersion: TLS12}, "", Policy{MaxVersion: TLS12}},
		{"1.3 and higher", Override{MinVersion: TLS13}, "", Policy{MinVersion: TLS13}},
		{"insecure cipher", Override{Ciphers: append(fine[:1:1], weak...), MaxVersion: TLS12}, "cipher TLS_RSA_WITH_RC4_128_SHA", Policy{MaxVersion: TLS12}},
		{"cipher", Override{Ciphers: fine}, "", Policy{Ciphers: fine}},
		{"with both", Override{MaxVersion: TLS10, Ciphers: weak, Reason: "r", Expires: end}, "", Policy{MaxVersion: TLS10, Ciphers: weak}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.override.Destination = "example.net"
			w.overrides(c.override)
			p := w.domain("example.net")
			if p.Level != Secure || p.MinVersion != c.want.MinVersion || p.MaxVersion != c.want.MaxVersion || len(p.Ciphers) != len(c.want.Ciphers) {
				t.Errorf("%+v", p)
			}
			if !strings.Contains(p.Raised, c.raised) || (p.Raised == "") != (c.raised == "") {
				t.Errorf("raised %q, want %q", p.Raised, c.raised)
			}
		})
	}
	w.overrides(Override{Destination: "plain.example", MaxVersion: TLS10, Ciphers: weak})
	if p := w.domain("plain.example"); p.MaxVersion != TLS10 || len(p.Ciphers) != 1 || p.Raised != "" {
		t.Errorf("where nothing is demanded: %+v", p)
	}
	w.overrides(Override{Destination: ".net", Level: May, Reason: "r", Expires: end}, Override{Destination: "example.net", MaxVersion: TLS10})
	if p := w.domain("example.net"); p.MaxVersion != 0 || p.Raised == "" {
		t.Errorf("the reason of the one beneath is none for this: %+v", p)
	}
}

// TestBelowDANEOfSome: what Postfix is told where TLSA records are those of some hosts
// is at least what the override asks for.
func TestBelowDANEOfSome(t *testing.T) {
	w := newWorld(t)
	w.zone("example.net", true, "some MX 10 mx1", "some MX 20 bare", "open MX 10 bare", "open MX 20 lame", "mx1 A 127.0.0.1",
		"_25._tcp.mx1 TLSA 3 1 1 "+digest, "bare A 127.0.0.1")
	w.dns.Fault("lame.example.net", dnstest.ServFail)
	for _, c := range []struct{ level, some, open Level }{
		{None, DANE, DANE},
		{May, DANE, DANE},
		{Encrypt, DANEOnly, Encrypt},
		{DANE, DANE, DANE},
		{DANEOnly, DANEOnly, DANEOnly},
		{Verify, DANEOnly, Verify},
		{Secure, DANEOnly, Secure},
	} {
		w.overrides(Override{Destination: ".example.net", Level: c.level})
		if some, open := w.domain("some.example.net"), w.domain("open.example.net"); some.Level != c.some || open.Level != c.open {
			t.Errorf("%s: %v, %v; want %s, %s", c.level, some, open, c.some, c.open)
		}
	}
}
