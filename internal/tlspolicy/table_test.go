package tlspolicy

import (
	"errors"
	"slices"
	"testing"
	"time"

	"mailgate/internal/mail"
)

func newTable(t *testing.T, now time.Time, overrides ...Override) *Table {
	t.Helper()
	table, err := NewTable(overrides, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func lookup(t *testing.T, table *Table, d Destination) Policy {
	t.Helper()
	p, err := table.Lookup(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLookupOrder(t *testing.T) {
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	var overrides []Override
	for _, d := range []string{
		"Example.NET.", ".example.net", ".mail.example.net", "[Relay.example.org]:587", "[plain.example.org]:25",
		"hop.example.org:2525", "mx:*.google.com", "mx:*.l.google.com", "mx:mx.other.example",
	} {
		overrides = append(overrides, Override{Destination: d, Level: Encrypt, Reason: d})
	}
	table := newTable(t, now, overrides...)

	mx := func(hosts ...mail.Domain) []mail.Domain { return hosts }
	for _, c := range []struct {
		name string
		to   Destination
		want string // the override's normal destination, "" for the default
	}{
		{"exact", Destination{Domain: "example.net"}, "example.net"},
		{"sub-domain", Destination{Domain: "a.example.net"}, ".example.net"},
		{"longest parent", Destination{Domain: "a.b.mail.example.net"}, ".mail.example.net"},
		{"a parent is not its own sub-domain", Destination{Domain: "mail.example.net"}, ".example.net"},
		{"not by letters only", Destination{Domain: "badexample.net"}, ""},
		{"next hop", Destination{NextHop: "[relay.example.org]:587"}, "[relay.example.org]:587"},
		{"other port", Destination{NextHop: "[relay.example.org]:588"}, ""},
		{"SMTP port", Destination{NextHop: "[plain.example.org]"}, "[plain.example.org]"},
		{"next hop looked up by MX", Destination{NextHop: "hop.example.org:2525"}, "hop.example.org:2525"},
		{"recipient before next hop", Destination{Domain: "example.net", NextHop: "[relay.example.org]:587"}, "example.net"},
		{"next hop for another recipient", Destination{Domain: "x.example", NextHop: "[relay.example.org]:587"}, "[relay.example.org]:587"},
		{"MX host", Destination{Domain: "x.example", MX: mx("mx.other.example")}, "mx:mx.other.example"},
		{"MX under", Destination{Domain: "x.example", MX: mx("a.google.com")}, "mx:*.google.com"},
		{"nearest MX parent", Destination{Domain: "x.example", MX: mx("a.b.l.google.com")}, "mx:*.l.google.com"},
		{"one MX of several", Destination{Domain: "x.example", MX: mx("mx.x.example", "a.google.com")}, "mx:*.google.com"},
		{"MX itself isn't under itself", Destination{Domain: "x.example", MX: mx("google.com")}, ""},
		{"recipient before MX", Destination{Domain: "a.example.net", MX: mx("a.google.com")}, ".example.net"},
		{"none", Destination{Domain: "x.example"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := lookup(t, table, c.to)
			want := Policy{Level: Encrypt, Source: FromOverride, Destination: c.want}
			if c.want == "" {
				want = Policy{Level: May, Source: FromDefault}
			}
			if p.Destination != want.Destination || p.Level != want.Level || p.Source != want.Source {
				t.Errorf("got %+v, want %+v", p, want)
			}
		})
	}
}

func TestLookupExpiry(t *testing.T) {
	end := time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC)
	overrides := []Override{
		{Destination: "a.example.net", Level: None, Expires: end, Reason: "old gateway"},
		{Destination: ".example.net", Level: Encrypt},
	}
	before := lookup(t, newTable(t, end.Add(-1), overrides...), Destination{Domain: "a.example.net"})
	if before.Level != None || before.Reason != "old gateway" || !before.Expires.Equal(end) {
		t.Errorf("before its end: %+v", before)
	}
	after := newTable(t, end, overrides...)
	if p := lookup(t, after, Destination{Domain: "a.example.net"}); p.Level != Encrypt || p.Destination != ".example.net" {
		t.Errorf("from its end on: %+v, want the next override", p)
	}
	if all := after.Overrides(); len(all) != 2 || !all[0].Expired(end) || all[1].Expired(end) {
		t.Errorf("Overrides: %+v", all)
	}
}

func TestLookupNames(t *testing.T) {
	table := newTable(t, time.Now(),
		Override{Destination: "example.net", Level: Secure},
		Override{Destination: "named.example", Level: Secure, MatchNames: []string{"mx.host.example"}},
		Override{Destination: "[relay.example]:587", Level: Secure},
		Override{Destination: "[2001:db8::9]", Level: Secure},
		Override{Destination: "may.example", MaxVersion: TLS12},
	)
	for _, c := range []struct {
		to   Destination
		want []string
	}{
		{Destination{Domain: "example.net"}, []string{"example.net", ".example.net"}},
		{Destination{Domain: "named.example"}, []string{"mx.host.example"}},
		{Destination{Domain: "x.example", NextHop: "[relay.example]:587"}, []string{"relay.example", ".relay.example"}},
		{Destination{NextHop: "[2001:db8::9]"}, []string{"2001:db8::9"}},
	} {
		if p := lookup(t, table, c.to); p.Level != Secure || !slices.Equal(p.MatchNames, c.want) {
			t.Errorf("%+v: %s %q, want secure %q", c.to, p.Level, p.MatchNames, c.want)
		}
	}
	if p := lookup(t, table, Destination{Domain: "may.example"}); p.Level != May || p.Source != FromDefault || p.MaxVersion != TLS12 || p.Origins.Versions != FromOverride {
		t.Errorf("level left out: %+v, want the default's", p)
	}
	if _, err := table.Lookup(t.Context(), Destination{}); !errors.Is(err, ErrNoDestination) {
		t.Errorf("no destination: %v", err)
	}
}

func TestNewTableRefuses(t *testing.T) {
	for name, o := range map[string]Override{
		"empty":                {Level: May},
		"no domain":            {Destination: "exa mple.net"},
		"no bracket":           {Destination: "[mx.example.net"},
		"after the bracket":    {Destination: "[mx.example.net]x"},
		"port":                 {Destination: "[mx.example.net]:0"},
		"no port":              {Destination: "mx.example.net:"},
		"large port":           {Destination: "mx.example.net:70000"},
		"star":                 {Destination: "*.example.net"},
		"mx":                   {Destination: "mx:"},
		"bare dot":             {Destination: "."},
		"level":                {Destination: "example.net", Level: 99},
		"version":              {Destination: "example.net", MaxVersion: 0x0300},
		"versions crossed":     {Destination: "example.net", MinVersion: TLS13, MaxVersion: TLS12},
		"curves":               {Destination: "example.net", Curves: "quantum"},
		"names at may":         {Destination: "example.net", Level: May, MatchNames: []string{"a.example"}},
		"nothing set":          {Destination: "example.net"},
		"cipher":               {Destination: "example.net", Ciphers: []string{"AES128-SHA"}},
		"cipher of TLS 1.3":    {Destination: "example.net", Ciphers: []string{"TLS_AES_128_GCM_SHA256"}},
		"name with space":      {Destination: "example.net", Level: Secure, MatchNames: []string{"a match=b"}},
		"server name, comma":   {Destination: "example.net", ServerName: "a,b"},
		"Gmail without TLS":    {Destination: "GMail.com", Level: None},
		"Google's MX, no TLS":  {Destination: "mx:*.l.google.com", Level: None},
		"Google itself no TLS": {Destination: "mx:*.Google.com", Level: None},
		"Google's host no TLS": {Destination: "[Smtp-Relay.gmail.com]:587", Level: None},
		"Google, other port":   {Destination: "gmail.com:587", Level: None},
	} {
		if _, err := NewTable([]Override{o}, nil); err == nil {
			t.Errorf("%s: %+v was accepted", name, o)
		}
	}
	twice := []Override{{Destination: "example.net", Level: May}, {Destination: "EXAMPLE.net.", Level: May}}
	if _, err := NewTable(twice, nil); err == nil {
		t.Error("a destination named twice was accepted")
	}
	if _, err := NewTable([]Override{{Destination: "nogmail.com", Level: None}}, nil); err != nil {
		t.Errorf("level none elsewhere: %v", err)
	}
}

func FuzzParseNextHop(f *testing.F) {
	for _, s := range []string{"example.net", "[mx.example.net]:587", "a:smtp", "[ipv6:2001:db8::1]", "[127.0.0.1]:25", "[", "]:", "a:b:c", "[a]:025"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseNextHop(s)
		if err != nil {
			return
		}
		again, err := ParseNextHop(string(d.Domain) + d.NextHop)
		if err != nil || again.Domain != d.Domain || again.NextHop != d.NextHop {
			t.Errorf("%q gives %+v, that gives %+v, %v", s, d, again, err)
		}
		if d.name() == "" {
			t.Errorf("%q gives %+v without a name", s, d)
		}
	})
}
