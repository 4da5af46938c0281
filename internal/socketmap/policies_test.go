package socketmap

import (
	"fmt"
	"strings"
	"testing"

	"mailgate/internal/tlspolicy"
)

func TestParseVersion(t *testing.T) {
	for s, want := range map[string]Version{
		"3.7": {3, 7}, "3.7.11": {3, 7}, "3.10": {3, 10}, "3.11-20250101": {3, 11}, "4.0": {4, 0},
	} {
		if v, err := ParseVersion(s); v != want || err != nil {
			t.Errorf("%q: %v, %v", s, v, err)
		}
	}
	for _, s := range []string{"", "3", "3.", ".7", "new", "3.x", "-3.7", "3.99999999999999999999"} {
		if v, err := ParseVersion(s); err == nil || v.known() {
			t.Errorf("%q is read as %v", s, v)
		}
	}
}

// answers to a version of Postfix, by the name of the map.
func wantAnswer(t *testing.T, v Version, mapName string, p tlspolicy.Policy, want string) {
	t.Helper()
	change := func(c *Config) {
		c.Policies = fakePolicies{"example.org": p}
		c.Postfix = func() Version { return v }
	}
	run(t, change, func(r *rig) {
		r.come().ask(ns(mapName+" example.org"), ns(want))
	})
}

func TestVersions(t *testing.T) {
	p := tlspolicy.Policy{Level: tlspolicy.Encrypt, MaxVersion: tlspolicy.TLS12, Source: tlspolicy.FromOverride}
	const old = "OK encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.3"
	for v, want := range map[Version]string{
		{}:      old,
		{3, 4}:  old,
		{3, 5}:  old,
		{3, 6}:  "OK encrypt protocols=>=TLSv1.2:<=TLSv1.2",
		{3, 10}: "OK encrypt protocols=>=TLSv1.2:<=TLSv1.2",
		{4, 0}:  "OK encrypt protocols=>=TLSv1.2:<=TLSv1.2",
	} {
		wantAnswer(t, v, "mailgate", p, want)
		wantAnswer(t, v, "QUERYwithTLSRPT", p, want)
	}
}

// The version may change with the configuration.
func TestVersionChanges(t *testing.T) {
	v := Version{3, 5}
	change := func(c *Config) {
		c.Policies = fakePolicies{"example.org": {Level: tlspolicy.Encrypt, MinVersion: tlspolicy.TLS13}}
		c.Postfix = func() Version { return v }
	}
	run(t, change, func(r *rig) {
		client := r.come()
		client.ask(ns("mailgate example.org"), ns("OK encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.2"))
		v = Version{3, 6}
		client.ask(ns("mailgate example.org"), ns("OK encrypt protocols=>=TLSv1.3"))
	})
}

// Where nobody demands anything, main.cf decides.
func TestLeaveToPostfix(t *testing.T) {
	for _, c := range []struct {
		p    tlspolicy.Policy
		want string
	}{
		{tlspolicy.Policy{Level: tlspolicy.May, Source: tlspolicy.FromDefault}, "NOTFOUND "},
		{tlspolicy.Policy{Level: tlspolicy.May, Source: tlspolicy.FromMTASTS, Testing: true, Hosts: []string{"mx.example.org"}}, "NOTFOUND "},
		{tlspolicy.Policy{Level: tlspolicy.May, Source: tlspolicy.FromDefault, MaxVersion: tlspolicy.TLS12, Origins: tlspolicy.Origins{Versions: tlspolicy.FromLearned, Curves: tlspolicy.FromLearned}}, "NOTFOUND "},
		{tlspolicy.Policy{Level: tlspolicy.May, Source: tlspolicy.FromOverride}, "OK may"},
		{tlspolicy.Policy{Level: tlspolicy.May, Source: tlspolicy.FromDefault, MaxVersion: tlspolicy.TLS12, Origins: tlspolicy.Origins{Versions: tlspolicy.FromOverride}}, "OK may protocols=>=TLSv1.2:<=TLSv1.2"},
		{tlspolicy.Policy{Level: tlspolicy.May, Source: tlspolicy.FromDefault, ServerName: "a.example", Origins: tlspolicy.Origins{ServerName: tlspolicy.FromOverride}}, "OK may servername=a.example"},
		{tlspolicy.Policy{Level: tlspolicy.None, Source: tlspolicy.FromOverride}, "OK none"},
		{tlspolicy.Policy{Level: tlspolicy.DANE, Source: tlspolicy.FromDANE}, "OK dane protocols=>=TLSv1.2"},
	} {
		wantAnswer(t, Version{3, 7}, "mailgate", c.p, c.want)
	}
}

// sts is what an MTA-STS policy of example.org demands, with a change.
func sts(change func(*tlspolicy.Policy)) tlspolicy.Policy {
	p := tlspolicy.Policy{
		Level: tlspolicy.Secure, Source: tlspolicy.FromMTASTS,
		MatchNames: []string{"mx.example.org", ".mail.example.org"},
		Hosts:      []string{"mx.example.org", "*.mail.example.org"},
	}
	if change != nil {
		change(&p)
	}
	return p
}

const stsAttributes = " policy_type=sts policy_domain=example.org mx_host_pattern=mx.example.org mx_host_pattern=*.mail.example.org" +
	" { policy_string = version: STSv1 } { policy_string = mode: enforce }" +
	" { policy_string = mx: mx.example.org } { policy_string = mx: *.mail.example.org }"

// Postfix before 3.10 refuses a policy with these attributes.
func TestSTSAttributes(t *testing.T) {
	for _, c := range []struct {
		v          Version
		mapName    string
		attributes bool
	}{
		{Version{3, 9}, "mailgate", false},
		{Version{3, 9}, "QUERYwithTLSRPT", false},
		{Version{3, 10}, "mailgate", true},
		{Version{3, 10}, "QUERYwithTLSRPT", true},
		{Version{}, "mailgate", false},
		{Version{}, "QUERYwithTLSRPT", true},
	} {
		p := sts(nil)
		want := "OK " + p.Postfix()
		if c.v == (Version{}) {
			want = "OK " + p.PostfixLegacy()
		}
		if c.attributes {
			want += stsAttributes
		}
		wantAnswer(t, c.v, c.mapName, p, want)
	}
}

// These attributes belong to a policy of MTA-STS in force, and can't be made to say
// anything else by what the destination writes into it.
func TestSTSAttributesOnly(t *testing.T) {
	for name, change := range map[string]func(*tlspolicy.Policy){
		"DANE":               func(p *tlspolicy.Policy) { p.Source, p.Level = tlspolicy.FromDANE, tlspolicy.DANEOnly },
		"override":           func(p *tlspolicy.Policy) { p.Source = tlspolicy.FromOverride },
		"lower level":        func(p *tlspolicy.Policy) { p.Level = tlspolicy.Encrypt },
		"names by hand":      func(p *tlspolicy.Policy) { p.Origins.MatchNames = tlspolicy.FromOverride },
		"testing":            func(p *tlspolicy.Policy) { p.Testing = true },
		"no hosts":           func(p *tlspolicy.Policy) { p.Hosts = nil },
		"an empty host":      func(p *tlspolicy.Policy) { p.Hosts = []string{"mx.example.org", ""} },
		"only a star":        func(p *tlspolicy.Policy) { p.Hosts = []string{"*."} },
		"another attribute":  func(p *tlspolicy.Policy) { p.Hosts = []string{"mx.example.org match=a"} },
		"a comma":            func(p *tlspolicy.Policy) { p.Hosts = []string{"mx.example.org,policy_failure=validation-failure"} },
		"a brace":            func(p *tlspolicy.Policy) { p.Hosts = []string{"mx.example.org}"} },
		"a line":             func(p *tlspolicy.Policy) { p.Hosts = []string{"mx.example.org\nmay"} },
		"a host beyond size": func(p *tlspolicy.Policy) { p.Hosts = []string{strings.Repeat("a", 60_000)} },
	} {
		t.Run(name, func(t *testing.T) {
			p := sts(change)
			wantAnswer(t, Version{3, 10}, "mailgate", p, "OK "+p.Postfix())
		})
	}
}

// What is too long for Postfix isn't sent, and isn't called unknown.
func TestTooLong(t *testing.T) {
	many := sts(func(p *tlspolicy.Policy) {
		for i := range 10_000 {
			p.MatchNames = append(p.MatchNames, fmt.Sprintf("mx%d.example.org", i))
		}
	})
	wantAnswer(t, Version{3, 7}, "mailgate", many, "TEMP the policy is too long")
}
