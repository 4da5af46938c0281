package preflight

import (
	"context"
	"slices"
	"strings"

	"mailgate/internal/dnsview"
)

// keyCheck is what was found about one signing key.
type keyCheck struct {
	findings []Finding
	valid    Tri
	testing  bool
	servers  int // that were asked
	serving  int // of them, those with this very key
}

// checkKey finds out whether receivers can verify with the key: its record is
// published, on every authoritative server, and holds this very key.
func (q *inquiry) checkKey(ctx context.Context, key Key) keyCheck {
	a := q.published(ctx, key.name(), "TXT")
	var c keyCheck
	switch {
	case isUnknown(a):
		c = keyCheck{findings: []Finding{unreachable(DKIM, a)}}
	case isNegative(a):
		c = keyCheck{findings: []Finding{q.diagnoseMissing(ctx, key, a)}, valid: No}
	default:
		c = q.checkPublished(ctx, key, a)
	}
	asked := takeCensus(a, key.isIn)
	c.serving = len(asked.have)
	c.servers = c.serving + len(asked.lack) + len(asked.lame)
	for i := range c.findings {
		f := &c.findings[i]
		f.Selector = key.Selector
		if f.Check == "" {
			f.Check = DKIM
		}
		if f.Name == "" {
			f.Name = a.Name
		}
		if f.Evidence == nil {
			f.Evidence = evidence(a)
		}
	}
	return c
}

// checkPublished judges records that are there.
func (q *inquiry) checkPublished(ctx context.Context, key Key, a dnsview.Answer) keyCheck {
	c := takeCensus(a, key.isIn)
	if f, disagree := c.disagreement(DKIM, a); disagree {
		return keyCheck{findings: []Finding{f}, valid: No}
	}
	v := judgeKey(key, a.Records)
	if !v.valid {
		return keyCheck{findings: q.explainBad(ctx, key, a, v), valid: No}
	}
	found := keyCheck{findings: v.findings, valid: Yes, testing: v.testing}
	if len(v.findings) == 0 {
		found.findings = []Finding{keyIsGood(key, a)}
	}
	if f, lame := c.lameness(a); lame {
		found.findings = append(found.findings, f)
	}
	if f, differs := q.seenByResolvers(ctx, key, a); differs {
		found.findings = append(found.findings, f)
		if f.Status == Unknown {
			found.valid = Maybe
		}
	}
	return found
}

// isIn reports whether the TXT values at the key's name are its record.
func (k Key) isIn(texts []string) bool {
	return len(texts) > 0 && judgeKey(k, textRecords(texts)).valid
}

func keyIsGood(key Key, a dnsview.Answer) Finding {
	text := "The published key is the one that signs"
	if key.Public == nil {
		text = "A valid key is published"
	}
	return Finding{
		Code: "dkim-ok", Status: Pass, Record: shortKey(a.Records[0].Text),
		Text: text + whoAnswered(a) + ".",
	}
}

// explainBad adds what more can be found out about records that don't fit the
// key.
func (q *inquiry) explainBad(ctx context.Context, key Key, a dnsview.Answer, v keyVerdict) []Finding {
	if q.byWildcard(ctx, a) {
		return []Finding{{
			Check: DKIM, Code: "wildcard-txt", Status: Fail, Record: shortKey(a.Records[0].Text),
			Text: "The selector is not published; a wildcard record answers in its place.",
		}}
	}
	if n := len(a.CNAMEs); n > 0 {
		v.findings[0].Text += " The name is an alias (CNAME): the record is that of " + a.CNAMEs[n-1] + "."
	}
	if panel, configured := q.panel(ctx, key.name(), "TXT"); configured && panel.Status == dnsview.Found &&
		judgeKey(key, panel.Records).valid {
		v.findings[0].Text += " The panel's own server has the right one."
		v.findings[0].Evidence = evidence(a, panel)
	}
	return v.findings
}

// byWildcard asks for a name nobody has beside the one an answer is about, to see
// whether the same comes back: an alias or records of a wildcard. RFC 4592.
func (q *inquiry) byWildcard(ctx context.Context, a dnsview.Answer) bool {
	_, parent, _ := strings.Cut(a.Name, ".")
	probe := q.published(ctx, WildcardProbe+"."+parent, "TXT")
	there := probe.Status == dnsview.Found || len(probe.CNAMEs) > 0
	return there && slices.Equal(probe.CNAMEs, a.CNAMEs) && sameTexts(probe.Texts(), a.Texts())
}

// WildcardProbe is a label nobody has: what DNS tells of it under a name, a wildcard
// there tells of every label.
const WildcardProbe = "mailgate-wildcard-probe"

func sameTexts(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	count := map[string]int{}
	for i := range a {
		count[a[i]]++
		count[b[i]]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// textRecords makes records of an observation's texts.
func textRecords(texts []string) []dnsview.Record {
	records := make([]dnsview.Record, len(texts))
	for i, text := range texts {
		records[i] = dnsview.Record{Text: text, Strings: []string{text}}
	}
	return records
}

// ed25519Only is the finding for a set of keys without RSA among them.
func ed25519Only(keys []Key) (Finding, bool) {
	var names []string
	for _, k := range keys {
		if k.Standby {
			continue
		}
		if algorithm, _ := describeKey(k.Public); algorithm != "ed25519" {
			return Finding{}, false
		}
		names = append(names, k.Selector)
	}
	if len(names) == 0 {
		return Finding{}, false
	}
	return Finding{
		Check: DKIM, Code: "dkim-ed25519-only", Status: Warn, Name: keys[0].name(), Selector: strings.Join(names, ", "),
		Text: "All keys are Ed25519: Gmail does not verify these, so the mail is unsigned to it.",
	}, true
}
