package preflight_test

import (
	"slices"
	"strings"
	"testing"

	"mailgate/internal/advise"
	"mailgate/internal/preflight"
)

// notByARecord are codes that stay when the records advised are published: their
// mend is another key, another server, another's record, or patience.
var notByARecord = strings.Fields(`dkim-key-short dkim-ed25519-only dkim-no-key ns-disagree ns-lame dns-unreachable dnssec-bogus
negative-cached-until old-record-cached-until spf-include-missing spf-too-many-void-lookups egress-not-set helo-not-set
helo-unresolvable ptr-missing ptr-not-confirmed ipv6-without-ptr soa-missing dmarc-unaligned-dkim dmarc-unaligned-spf dmarc-orgdomain-differs`)

// others are fixtures whose fault is in another's record, or takes what isn't known.
var others = []string{"error in an include", "eleven includes", "two include each other", "everybody in two networks",
	"cut at 255, no key of ours known", "no egress set, no SPF either"}

// Publishing what is advised mends what was found: every mangled record is checked,
// its records are put into the zone as advised, and it is checked again.
func TestAdviceMends(t *testing.T) {
	for _, w := range preflight.WildZones() {
		if slices.Contains(others, w.Name) {
			continue
		}
		t.Run(w.Name, func(t *testing.T) {
			report, id := w.Report(t)
			advice := advise.For(report, want(t, w, id))
			for _, r := range advice.Records {
				if r.Type != "TXT" {
					continue
				}
				gone := len(r.Replaces) > 0 || r.Alias != ""
				if r.State == advise.ToAdd && gone || r.State == advise.ToReplace && !gone {
					t.Errorf("%s of %s, which replaces %q and the alias %q", r.State, r.Name, r.Replaces, r.Alias)
				}
				if r.State == advise.ToAdd || r.State == advise.ToReplace {
					w.Publish(r.Name, r.Value, r.Replaces, r.Alias != "")
				}
			}
			again, id := w.Report(t)
			for _, f := range again.Findings {
				stays := slices.Contains(notByARecord, f.Code) || f.Code == "dmarc-syntax" && f.Status == preflight.Warn
				if f.Status != preflight.Pass && !stays {
					t.Errorf("still %s: %s\nadvised %+v", f.Code, f.Text, advice)
				}
			}
			for _, r := range advise.For(again, want(t, w, id)).Records {
				if r.Type == "TXT" && (r.State == advise.ToAdd || r.State == advise.ToReplace) {
					t.Errorf("published as advised, and still %s: %+v", r.State, r)
				}
			}
		})
	}
}

func want(t *testing.T, w *preflight.Wild, id preflight.Identity) advise.Want {
	want := advise.Want{All: true, Zones: []string{"example.com"}}
	for _, k := range id.Keys {
		want.Keys = append(want.Keys, advise.Key{Domain: string(k.Domain), Selector: k.Selector, Record: preflight.KeyRecord(k)})
	}
	want.Now = func(name string) advise.Now {
		values, known, alias := w.Texts(t, name)
		return advise.Now{Known: known, Values: values, Alias: alias}
	}
	return want
}
