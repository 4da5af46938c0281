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

// What is said of a record that isn't simply there or missing.
func TestAdviceStates(t *testing.T) {
	states := map[string]string{
		"all is well":                              "dkim published, spf published, dmarc published",
		"include without record":                   "dkim published, spf faulty, dmarc published",
		"eleven includes":                          "dkim published, spf faulty, dmarc published",
		"zone transfer lags":                       "dkim partly, spf published, dmarc published",
		"SPF on one server only":                   "dkim published, spf partly, dmarc published",
		"name servers out of reach":                "dkim unknown, spf published, dmarc published",
		"broken DNSSEC":                            "dkim unknown, spf published, dmarc published",
		"include that doesn't answer":              "dkim published, spf unknown, dmarc published",
		"wildcard SPF":                             "dkim add, spf published, dmarc published",
		"CNAME to nowhere":                         "dkim replace, spf published, dmarc published",
		"CNAME to the key":                         "dkim published, spf published, dmarc published",
		"alias to a provider that changed the key": "dkim replace, spf published, dmarc published",
		"resolvers remember there was none":        "dkim published, spf published, dmarc published",
		"1024 bits":                                "dkim published, spf published, dmarc published",
		"768 bits":                                 "dkim faulty, spf published, dmarc published",
		"testing":                                  "dkim replace, spf published, dmarc published",
		"type 99":                                  "dkim published, spf add, dmarc published",
		"no DMARC":                                 "dkim published, spf published, dmarc add",
		"alias to nowhere":                         "dkim published, spf published, dmarc replace",
		"alias to a provider's record":             "dkim published, spf published, dmarc published",
		"tags out of date":                         "dkim published, spf published, dmarc published",
	}
	for _, w := range preflight.WildZones() {
		wanted, listed := states[w.Name]
		if !listed {
			continue
		}
		delete(states, w.Name)
		report, id := w.Report(t)
		var got []string
		for _, r := range advise.For(report, want(t, w, id)).Records {
			got = append(got, string(r.Check)+" "+string(r.State))
		}
		if strings.Join(got, ", ") != wanted {
			t.Errorf("%s: %s, want %s", w.Name, strings.Join(got, ", "), wanted)
		}
	}
	for name := range states {
		t.Errorf("no zone is called %q", name)
	}
}
