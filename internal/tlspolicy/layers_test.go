package tlspolicy

import (
	"strings"
	"testing"
	"time"
)

// TestLayers: an override without a level leaves the level of the one beneath it.
func TestLayers(t *testing.T) {
	w := demanding(t)
	end := w.clock.Now().Add(30 * day)
	for _, c := range []struct {
		name       string
		configured []Override
		made       Override // at run time
		want       string   // part of the words
	}{
		{"of the same destination", []Override{{Destination: "plain.example", Level: Encrypt, MinVersion: TLS12}},
			Override{Destination: "plain.example", Curves: Classic, Reason: "r"},
			"encrypt, at least TLS 1.2, no post-quantum key share (level of the override for plain.example; override for plain.example: r)"},
		{"of a parent", []Override{{Destination: ".plain.example", Level: Secure, MatchNames: []string{"a.example"}}},
			Override{Destination: "a.plain.example", MaxVersion: TLS12},
			"secure, at most TLS 1.2 (level of the override for .plain.example; override for a.plain.example)"},
		{"of MX hosts, of three", []Override{{Destination: "plain.example", MaxVersion: TLS12}, {Destination: "mx:*.google.com", Level: Encrypt}},
			Override{Destination: "plain.example", Curves: Classic},
			"encrypt, at most TLS 1.2, no post-quantum key share (level of the override for mx:*.google.com; override for plain.example)"},
		{"below what is demanded", []Override{{Destination: "example.net", Level: Encrypt}},
			Override{Destination: "example.net", Curves: Classic}, "secure, no post-quantum key share (MTA-STS enforce"},
		{"one with a level stands alone", []Override{{Destination: "plain.example", Level: Secure, MaxVersion: TLS12}},
			Override{Destination: "plain.example", Level: May}, "may (override for plain.example)"},
		{"excused beneath", []Override{{Destination: "example.net", Level: May, Reason: "r", Expires: end}},
			Override{Destination: "example.net", MaxVersion: TLS12}, "may, at most TLS 1.2"},
		{"none of anyway beneath", []Override{{Destination: ".example", Level: None, Anyway: true}},
			Override{Destination: "plain.example", ServerName: "b.example"}, "none, server name b.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.overrides(c.configured...)
			_, after, err := w.policies.SetOverride(t.Context(), c.made, "anna", false)
			w.must(err)
			if got := after.String(); !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			w.must(w.policies.RemoveOverride(t.Context(), c.made.Destination, "anna", ""))
		})
	}
	w.overrides(Override{Destination: "example.net", Level: Encrypt})
	_, _, err := w.policies.SetOverride(t.Context(), Override{Destination: "example.net", Curves: Classic}, "anna", false)
	w.must(err)
	if p := w.domain("example.net"); !strings.Contains(p.Raised, "asks for level encrypt") {
		t.Errorf("the one beneath is raised: %+v", p)
	}
}

// TestLayersOfPatterns: what a command shows of a pattern has the level beneath, too.
func TestLayersOfPatterns(t *testing.T) {
	w := demanding(t)
	w.overrides(Override{Destination: ".example", Level: Encrypt}, Override{Destination: "mx:*.google.com", Level: Verify})
	for destination, want := range map[string]Level{".corp.example": Encrypt, ".example": Encrypt, "mx:aspmx.l.google.com": Verify, "mx:*.l.google.com": Verify, "mx:*.com": May} {
		_, after, err := w.policies.SetOverride(t.Context(), Override{Destination: destination, Curves: Classic}, "anna", false)
		if err != nil || after.Level != want || after.Curves != Classic {
			t.Errorf("%s: %v, %v; want %s", destination, after, err, want)
		}
	}
}

func TestLayersInTable(t *testing.T) {
	end := time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC)
	table := newTable(t, end.Add(-1),
		Override{Destination: "a.example.net", MaxVersion: TLS12, Expires: end}, Override{Destination: ".example.net", Level: Secure})
	if p := lookup(t, table, Destination{Domain: "a.example.net"}); p.Level != Secure || p.MaxVersion != TLS12 || p.LevelOf != ".example.net" || !p.Expires.Equal(end) {
		t.Errorf("%+v", p)
	}
}
