package publish

import (
	"context"
	"fmt"
	"testing"

	"mailgate/internal/dnsview"
)

// answered is a View that always gives the same answer.
type answered dnsview.Answer

func (a answered) Published(context.Context, string, string) dnsview.Answer { return dnsview.Answer(a) }

func TestLook(t *testing.T) {
	c := Change{Name: "example.com", Type: "TXT", Add: []string{"new"}, Remove: []string{"old"}}
	said := func(server, rcode, fault string, records ...string) dnsview.Observation {
		return dnsview.Observation{View: dnsview.Authoritative, Server: server, Name: "example.com", Type: "TXT", Rcode: rcode, Error: fault, Records: records}
	}
	for _, test := range []struct {
		name string
		a    dnsview.Answer
		want string
	}{
		{"all have it", dnsview.Answer{Records: []dnsview.Record{{Text: "new"}, {Text: "x"}}, Observations: []dnsview.Observation{said("a", "NOERROR", "", "new", "x"), said("b", "NOERROR", "", "x", "new")}},
			"a true; b true; "},
		{"one lags", dnsview.Answer{Disagree: true, Records: []dnsview.Record{{Text: "new"}}, Observations: []dnsview.Observation{said("a", "NOERROR", "", "new"), said("b", "NOERROR", "", "old"), said("c", "NXDOMAIN", "")}},
			"a true; b false an older answer; c false NXDOMAIN; "},
		{"both values", dnsview.Answer{Records: []dnsview.Record{{Text: "new"}, {Text: "old"}}, Observations: []dnsview.Observation{said("a", "NOERROR", "", "new", "old")}},
			"a false an older answer; "},
		{"one is silent", dnsview.Answer{Records: []dnsview.Record{{Text: "new"}}, Observations: []dnsview.Observation{said("a", "NOERROR", "", "new"), said("b", "", "timeout")}},
			"a true; b false no answer: timeout; "},
		{"more than an observation holds", dnsview.Answer{Records: []dnsview.Record{{Text: "x"}, {Text: "new"}}, Observations: []dnsview.Observation{said("a", "NOERROR", "", "x", "… and 1 more")}},
			"a true; "},
		{"only a resolver answers", dnsview.Answer{Fallback: "port 53 is shut", Records: []dnsview.Record{{Text: "new"}}, Observations: []dnsview.Observation{{View: dnsview.Recursive, Server: "r", Name: "example.com", Type: "TXT", Rcode: "NOERROR", Records: []string{"new"}}}},
			""},
	} {
		got := ""
		for _, s := range c.Look(t.Context(), answered(test.a)) {
			got += fmt.Sprintf("%s %v", s.Server, s.Has)
			if s.Why != "" {
				got += " " + s.Why
			}
			got += "; "
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
