package preflight

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"mailgate/internal/mail"
)

// explained writes tags as "p=reject: what it means", those by default in brackets,
// those that don't count with "!".
func explained(tags []DMARCTag) []string {
	var lines []string
	for _, t := range tags {
		line := fmt.Sprintf("%s=%s: %s", t.Tag, t.Value, t.Meaning)
		switch {
		case t.Default:
			line = "[" + line + "]"
		case t.Fault:
			line = "!" + line
		case t.Source == RFC7489:
			line += " (old)"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestExplainDMARC(t *testing.T) {
	tests := []struct {
		record string
		want   []string // each the beginning of a line, in order, others between
	}{
		{"v=DMARC1; p=none", []string{"p=none: mail that fails is delivered", "[sp=p: ", "[np=sp: ", "[adkim=r: ", "[aspf=r: ", "[rua=: nobody", "[t=n: ", "[psd=u: "}},
		{"v=DMARC1;p=reject;sp=quarantine;np=reject;adkim=s;aspf=s;rua=mailto:a@x.example,mailto:b@x.example!10m;ruf=mailto:c@x.example;fo=1:d;t=y;psd=n",
			[]string{"p=reject: mail that fails is refused", "sp=quarantine: sub-domains: mail that fails goes to the spam", "np=reject: sub-domains that don't exist",
				"adkim=s: d= of DKIM must", "aspf=s: MAIL FROM must", "rua=mailto:a@x.example,mailto:b@x.example!10m: daily reports, a sum per source, go to a@x.example and b@x.example!10m",
				"ruf=mailto:c@x.example: reports on single", "fo=1:d: reports on single messages are asked for when DKIM or SPF fails, or a DKIM", "t=y: a test", "psd=n: this is the organisational"}},
		{"v=DMARC1; p=quarantine; pct=20; rf=afrf; ri=3600", []string{"p=quarantine", "pct=20: older receivers apply the policy to 20 of 100", "rf=afrf: form", "ri=3600: seconds"}},
		{"v=DMARC1; p=none; pct=100", []string{"p=none", "pct=100: the policy is for all mail"}},
		{"v=DMARC1; p=block; adkim=x; pct=lots; rua=you; fo=9; what=1; rubbish; p=none", []string{"!p=block: ", "!adkim=x: ", "!pct=lots: ", "!rua=you: ", "!fo=9: ", "!what=1: not a tag", "!=rubbish: not tag=value", "!p=none: stands here a second", "[p=none: ", "[adkim=r"}},
		{"P=REJECT", []string{"p=REJECT: mail that fails is refused"}},
	}
	for _, c := range tests {
		tags := ExplainDMARC(c.record)
		for _, given := range tags {
			again := func(d DMARCTag) bool { return d.Default && d.Tag == given.Tag }
			if !given.Default && !given.Fault && slices.ContainsFunc(tags, again) {
				t.Errorf("%s: %s= is there, and has its default, too", c.record, given.Tag)
			}
		}
		lines := explained(tags)
		at := 0
		for _, want := range c.want {
			found := slices.IndexFunc(lines[at:], func(l string) bool { return strings.HasPrefix(l, want) })
			if found < 0 {
				t.Errorf("%s: no %q (in this order) in\n%s", c.record, want, strings.Join(lines, "\n"))
				break
			}
			at += found + 1
		}
	}
}

func TestDMARCView(t *testing.T) {
	tests := []struct {
		name, zone   string
		from, domain mail.Domain
		policy       Policy
		why          string
		walk         string // statuses
		tags         string // names, of a record that doesn't apply
	}{
		{"its own", "", "example.com", "example.com", PolicyNone, "own record", "found none", ""},
		{"from above, p", "news.example.com SOA ns1.host.example", "news.example.com", "example.com", PolicyNone, "with p=", "none found none", ""},
		{"from above, sp", `_dmarc.example.com TXT "v=DMARC1; p=none; sp=reject"` + "\nnews.example.com SOA ns1.host.example", "news.example.com", "example.com", PolicyReject, "with sp=", "none found none", ""},
		{"from above, np", `_dmarc.example.com TXT "v=DMARC1; p=none; np=reject"`, "nowhere.example.com", "example.com", PolicyReject, "np=, as the domain does not exist", "none found none", ""},
		{"none", "- _dmarc.example.com TXT", "example.com", "", "", "No DMARC record applies", "none none", ""},
		{"void", `_dmarc.example.com TXT "v=DMARC1; p=block"`, "example.com", "", "", "No DMARC record applies", "void none", "p"},
		{"a tag misplaced", `_dmarc.example.com TXT "p=none; v=DMARC1"`, "example.com", "", "", "No DMARC record applies", "void none", "v"},
		{"no semicolon", `_dmarc.example.com TXT "v=DMARC1 p=reject"`, "example.com", "", "", "No DMARC record applies", "void none", "v"},
		{"not even a record", `_dmarc.example.com TXT "v=dmarc1; p=none"`, "example.com", "", "", "No DMARC record applies", "void none", "v"},
		{"several", `_dmarc.example.com TXT "v=DMARC1; p=none"` + "\n" + `_dmarc.example.com TXT "v=DMARC1; p=reject"`, "example.com", "", "", "No DMARC record applies", "several none", ""},
		{"silence", "fault _dmarc.example.com TXT", "example.com", "", "", "DNS doesn't tell", "unknown none", ""},
		{"the walk ends below", `_dmarc.b.example.com TXT "v=DMARC1; p=reject; psd=n"` + "\na.b.example.com SOA ns1.host.example", "a.b.example.com", "b.example.com", PolicyReject, "differ", "none found found none", ""},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := New(newFakeDNS(goodZone, c.zone), Options{}).DMARCView(t.Context(), c.from)
				var walk []string
				for _, s := range v.Walk {
					walk = append(walk, string(s.Status))
				}
				if v.Domain != c.domain || v.Policy != c.policy || !strings.Contains(v.Why, c.why) || strings.Join(walk, " ") != c.walk {
					t.Errorf("%+v", v)
				}
				if shown := c.domain != "" || strings.HasPrefix(c.walk, "void"); (v.Record != "") != shown || (len(v.Records) == 2) != (c.name == "several") {
					t.Errorf("record %q, several %q", v.Record, v.Records)
				}
				var tags []string
				for _, tag := range v.Tags {
					if c.domain == "" {
						tags = append(tags, tag.Tag)
					}
				}
				if strings.Join(tags, " ") != c.tags || (c.domain != "") != slices.ContainsFunc(v.Tags, func(tag DMARCTag) bool { return tag.Default }) {
					t.Errorf("tags %+v, not those that matter (%s)", v.Tags, c.tags)
				}
			})
		})
	}
}

func FuzzExplainDMARC(f *testing.F) {
	f.Add("v=DMARC1; p=none; rua=mailto:a@example.com; pct=5; fo=1:d:s; t=y; psd=y; ri=1; np=reject")
	f.Add("p;=;;v=DMARC1 ; P = Reject")
	f.Fuzz(func(t *testing.T, s string) {
		tags := ExplainDMARC(s)
		for _, tag := range tags {
			if tag.Meaning == "" {
				t.Errorf("%q: nothing said of %+v", s, tag)
			}
		}
		r, err := parseDMARC(s)
		isPolicy := func(tag DMARCTag) bool { return tag.Tag == "p" && !tag.Default }
		at := slices.IndexFunc(tags, isPolicy)
		if err != nil || at < 0 || tags[at].Fault || slices.ContainsFunc(tags[at+1:], isPolicy) {
			return
		}
		if got := Policy(strings.ToLower(tags[at].Value)); got != r.Policy {
			t.Errorf("%q: p=%s is explained, and %s read", s, got, r.Policy)
		}
	})
}
