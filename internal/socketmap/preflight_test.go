package socketmap

import (
	"strings"
	"testing"
)

func TestParseKey(t *testing.T) {
	for _, c := range []struct {
		key               string
		sender, recipient string
		ok                bool
	}{
		{"a@b c@d", "a@b", "c@d", true},
		{" c@d", "", "c@d", true},
		{"<> c@d", "", "c@d", true},
		{"<a@b> c@d", "a@b", "c@d", true},
		{`"a b"@b c@d`, `"a b"@b`, "c@d", true},
		{`"a\" b"@b "c d"@d`, `"a\" b"@b`, `"c d"@d`, true},
		{`a\ b c@d`, `a\ b`, "c@d", true},
		{"", "", "", false},
		{" ", "", "", false},
		{"a@b", "", "", false},
		{"a@b ", "", "", false},
		{`"a b`, "", "", false},
		{`a\`, "", "", false},
	} {
		a, ok := parseKey(c.key)
		if ok != c.ok || ok && (a != Ask{Sender: c.sender, Recipient: c.recipient}) {
			t.Errorf("%q: %+v, %t", c.key, a, ok)
		}
	}
}

func TestAction(t *testing.T) {
	for _, c := range []struct {
		advice Advice
		want   string
	}{
		{Advice{}, "DUNNO"},
		{Advice{Text: "not said"}, "DUNNO"},
		{Advice{Action: 99}, "DUNNO"},
		{Advice{Action: Refuse}, "550 5.7.1"},
		{Advice{Action: Refuse, Code: 554, Status: "5.7.26", Text: "no SPF"}, "554 5.7.26 no SPF"},
		{Advice{Action: Refuse, Code: 451, Status: "4.7.26", Text: "no SPF"}, "550 5.7.1 no SPF"},
		{Advice{Action: Refuse, Code: 250, Status: "5.7", Text: "no SPF"}, "550 5.7.1 no SPF"},
		{Advice{Action: Refuse, Status: "5.7.1\n\naction=OK"}, "550 5.7.1"},
		{Advice{Action: Refuse, Status: "5.1234.1"}, "550 5.7.1"},
		{Advice{Action: Refuse, Status: "5..1"}, "550 5.7.1"},
		{Advice{Action: Refuse, Text: "a\n\naction=OK\x00é"}, "550 5.7.1 a??action=OK???"},
		{Advice{Action: Refuse, Text: strings.Repeat("a", 1000)}, "550 5.7.1 " + strings.Repeat("a", 400)},
		{Advice{Action: Defer}, "DEFER_IF_PERMIT 4.7.1"},
		{Advice{Action: Defer, Code: 451, Status: "4.7.26", Text: "wait"}, "DEFER_IF_PERMIT 4.7.26 wait"},
		{Advice{Action: Defer, Status: "5.7.26", Text: "wait"}, "DEFER_IF_PERMIT 4.7.1 wait"},
	} {
		if got := string(c.advice.appendAction(nil)); got != c.want {
			t.Errorf("%+v: %q, want %q", c.advice, got, c.want)
		}
	}
}

// Without Preflight nothing is said against anybody.
func TestWithoutPreflight(t *testing.T) {
	run(t, func(c *Config) { c.Preflight = nil }, func(r *rig) {
		r.come().ask(rcpt("recipient=refuse@gmail.com"), "action=DUNNO\n\n")
		r.come().ask(ns("preflight a@b refuse@gmail.com"), ns("NOTFOUND "))
	})
}
