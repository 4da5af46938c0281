package preflight

import (
	"fmt"
	"slices"
	"strings"
)

// DMARCTag is one tag of a DMARC record, in words.
type DMARCTag struct {
	Tag     string `json:"tag"` // "" for what isn't tag=value
	Value   string `json:"value"`
	Meaning string `json:"meaning"`
	Source  string `json:"source,omitempty"`  // where the tag is defined: "RFC 9989", or "RFC 7489" for those gone since
	Default bool   `json:"default,omitempty"` // not in the record: this is what counts without it
	Fault   bool   `json:"fault,omitempty"`   // not valid, so that receivers pass over it
}

// dmarcTag is what both RFCs say of one tag.
type dmarcTag struct {
	name, source string
	byDefault    string // value that counts where the tag is missing; "": none
	without      string // what that means
	mean         func(value string) string
}

// Sources of tags.
const (
	RFC9989 = "RFC 9989"
	RFC7489 = "RFC 7489" // and gone from RFC 9989
)

// dmarcTags are the tags in the order they are explained; RFC 9989 section 4.7 and
// RFC 7489 section 6.3.
func dmarcTags() []dmarcTag {
	return []dmarcTag{
		{"p", RFC9989, "none", "nothing is asked of receivers", policyMeaning("")},
		{"sp", RFC9989, "p", "sub-domains: the same as p", policyMeaning("sub-domains: ")},
		{"np", RFC9989, "sp", "sub-domains that don't exist: the same as sp", policyMeaning("sub-domains that don't exist: ")},
		{"adkim", RFC9989, "r", "d= of DKIM may be any domain of the same organisation", choiceMeaning(map[string]string{
			"r": "d= of DKIM may be any domain of the same organisation", "s": "d= of DKIM must be the From domain itself"})},
		{"aspf", RFC9989, "r", "MAIL FROM may be any domain of the same organisation", choiceMeaning(map[string]string{
			"r": "MAIL FROM may be any domain of the same organisation", "s": "MAIL FROM must be the From domain itself"})},
		{"rua", RFC9989, "", "nobody gets reports", func(v string) string { return "daily reports, a sum per source, go to " + reportTo(v) }},
		{"ruf", RFC9989, "", "", func(v string) string {
			return "reports on single messages go to " + reportTo(v) + "; few receivers send them"
		}},
		{"fo", RFC9989, "", "", failureMeaning},
		{"t", RFC9989, "n", "the policy is meant as it says", choiceMeaning(map[string]string{
			"y": "a test: receivers are asked to be one step milder than the policy; older ones don't know this tag", "n": "the policy is meant as it says"})},
		{"psd", RFC9989, "u", "no public suffix is declared here", choiceMeaning(map[string]string{
			"y": "a public suffix: the domains under it are organisations of their own", "n": "this is the organisational domain: the walk up ends here",
			"u": "no public suffix is declared here"})},
		{"pct", RFC7489, "", "", percentMeaning},
		{"rf", RFC7489, "", "", func(string) string {
			return "form of the reports on single messages; gone from RFC 9989, may be left out"
		}},
		{"ri", RFC7489, "", "", func(v string) string {
			return "seconds between reports; gone from RFC 9989 (they are daily), may be left out"
		}},
	}
}

func policyMeaning(whose string) func(string) string {
	meanings := map[string]string{
		"none":       "mail that fails is delivered all the same",
		"quarantine": "mail that fails goes to the spam folder",
		"reject":     "mail that fails is refused",
	}
	return func(v string) string { return whose + meanings[strings.ToLower(v)] }
}

func choiceMeaning(meanings map[string]string) func(string) string {
	return func(v string) string { return meanings[strings.ToLower(v)] }
}

func reportTo(uris string) string {
	var to []string
	for uri := range strings.SplitSeq(uris, ",") {
		to = append(to, strings.TrimPrefix(trimFWS(uri), "mailto:"))
	}
	return list(to)
}

func failureMeaning(v string) string {
	meanings := map[string]string{"0": "DKIM and SPF both fail", "1": "DKIM or SPF fails", "d": "a DKIM signature fails", "s": "SPF fails"}
	var when []string
	for _, option := range colonList(strings.ToLower(v)) {
		if m := meanings[option]; m != "" {
			when = append(when, m)
		}
	}
	if len(when) == 0 {
		return ""
	}
	return "reports on single messages are asked for when " + strings.Join(when, ", or ")
}

func percentMeaning(v string) string {
	if v == "100" {
		return "the policy is for all mail; gone from RFC 9989, may be left out"
	}
	return fmt.Sprintf("older receivers apply the policy to %s of 100 messages that fail, and are one step milder with the others; newer ones don't know the tag and apply it to all", clip(v, 5))
}

// ExplainDMARC says what each tag of a DMARC record means, in the order of the
// record, and then what counts for tags that it lacks. It explains void records,
// too, as far as they can be read; v= is left out where it is right.
func ExplainDMARC(record string) []DMARCTag {
	var tags []DMARCTag
	first := true
	for spec := range strings.SplitSeq(record, ";") {
		if spec = trimFWS(spec); spec == "" {
			continue
		}
		name, value, found := strings.Cut(spec, "=")
		name, value = strings.ToLower(trimFWS(name)), trimFWS(value)
		switch {
		case name == "v" && !first:
			tags = append(tags, DMARCTag{Tag: name, Value: value, Meaning: "must be the first tag of the record, and once", Fault: true})
		case name == "v" && value != "DMARC1":
			tags = append(tags, DMARCTag{Tag: name, Value: value, Meaning: "must be DMARC1, in capitals, and end with a semicolon", Fault: true})
		case name == "v":
		case !found || !isTagName(name):
			tags = append(tags, DMARCTag{Value: spec, Meaning: "not tag=value: passed over", Fault: true})
		default:
			tags = append(tags, explainTag(name, value, tags))
		}
		first = false
	}
	return append(tags, defaultTags(tags)...)
}

func explainTag(name, value string, before []DMARCTag) DMARCTag {
	t := DMARCTag{Tag: name, Value: value, Meaning: "not a tag of DMARC: passed over", Fault: true}
	all := dmarcTags()
	at := slices.IndexFunc(all, func(known dmarcTag) bool { return known.name == name })
	if at < 0 {
		return t
	}
	t.Source = all[at].source
	twice := slices.ContainsFunc(before, func(b DMARCTag) bool { return b.Tag == name })
	if fault := tagFault(name, value); fault != "" {
		t.Meaning = fault
		return t
	}
	t.Meaning, t.Fault = all[at].mean(value), twice
	if t.Meaning == "" {
		t.Meaning, t.Fault = "not a value that this tag has: passed over", true
	}
	if twice {
		t.Meaning = "stands here a second time; receivers differ in which they take"
	}
	return t
}

// tagFault is what reading the record holds against one tag's value.
func tagFault(name, value string) string {
	r := dmarcRecord{Percent: -1}
	r.set(name, value)
	gone := name == "rf" || name == "ri" || name == "pct" && r.Percent >= 0 // told of in words
	if gone || len(r.Problems) == 0 {
		return ""
	}
	return r.Problems[0]
}

// defaultTags are those that the record lacks, and what counts without them.
func defaultTags(given []DMARCTag) []DMARCTag {
	var tags []DMARCTag
	for _, known := range dmarcTags() {
		has := slices.ContainsFunc(given, func(t DMARCTag) bool { return t.Tag == known.name && !t.Fault })
		if has || known.without == "" {
			continue
		}
		tags = append(tags, DMARCTag{Tag: known.name, Value: known.byDefault, Meaning: known.without, Source: known.source, Default: true})
	}
	return tags
}
