package preflight

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailgate/internal/dnsview"
)

// spfCheck is what was found about SPF.
type spfCheck struct {
	findings  []Finding
	result    SPFResult    // where it is the same for whatever address; "" otherwise
	addresses []AddressSPF // results, in the order of the egress addresses
	plusAll   Tri
}

// checkSPF evaluates SPF for every egress address. Without any, only the record
// itself is looked at.
func (q *inquiry) checkSPF(ctx context.Context) spfCheck {
	domain := string(q.id.spfDomain())
	a := q.published(ctx, domain, "TXT")
	c := q.judgeSPFRecord(ctx, domain, a)
	if c.result == "" {
		q.evaluateAll(ctx, domain, a, &c)
	} else {
		for _, address := range q.id.Egress {
			c.addresses = append(c.addresses, AddressSPF{address, c.result})
		}
	}
	if len(q.id.Egress) == 0 {
		c.findings = append(c.findings, Finding{
			Check: SPF, Code: "egress-not-set", Status: Unknown, Name: domain, Record: spfRecordOf(a),
			Text: "The addresses that mail leaves from are not set, so SPF can't be predicted.",
		})
	}
	return c
}

// judgeSPFRecord looks at the record without regard to addresses. It sets the
// result where the record alone decides it.
func (q *inquiry) judgeSPFRecord(ctx context.Context, domain string, a dnsview.Answer) spfCheck {
	if isUnknown(a) {
		return spfCheck{findings: []Finding{unreachable(SPF, a)}, result: SPFUnknown}
	}
	var records []string
	for _, text := range a.Texts() {
		if isSPF(text) {
			records = append(records, text)
		}
	}
	f := Finding{Check: SPF, Status: Fail, Name: domain, Evidence: evidence(a)}
	switch len(records) {
	case 0:
		q.diagnoseNoSPF(ctx, domain, a, &f)
		return spfCheck{findings: []Finding{f}, result: SPFNone, plusAll: No}
	case 1:
		terms, err := spfTerms(records[0])
		if err == nil {
			return judgeUsable(a, records[0], terms)
		}
		f.Code, f.Record = "spf-syntax", records[0]
		f.Text = "The SPF record has an error: " + err.Error() + "."
	default:
		f.Code, f.Record = "spf-several-records", records[0]
		f.Text = fmt.Sprintf("There are %d SPF records at %s; receivers take that for an error.", len(records), domain)
	}
	return spfCheck{findings: []Finding{f}, result: SPFPermError, plusAll: No}
}

// judgeUsable looks for faults that don't keep a record from being evaluated.
func judgeUsable(a dnsview.Answer, record string, terms []spfTerm) spfCheck {
	c := spfCheck{plusAll: triOf(allowsEverybody(terms))}
	if c.plusAll == Yes {
		c.findings = append(c.findings, Finding{
			Check: SPF, Code: "spf-plus-all", Status: Fail, Name: a.Name, Record: record, Evidence: evidence(a),
			Text: "The SPF record lets (nearly) every address of the world send for " + a.Name + ".",
		})
	}
	servers := takeCensus(a, func(texts []string) bool { return slices.Contains(texts, record) })
	if f, disagree := servers.disagreement(SPF, a); disagree {
		f.Record = record
		c.findings, c.result = append(c.findings, f), SPFNone
	}
	return c
}

// diagnoseNoSPF tells the reasons for a missing record apart.
func (q *inquiry) diagnoseNoSPF(ctx context.Context, domain string, a dnsview.Answer, f *Finding) {
	if at := slices.IndexFunc(a.Texts(), looksLikeSPF); at >= 0 {
		f.Code, f.Record = "spf-syntax", a.Records[at].Text
		f.Text = "The record does not begin with \"v=spf1 \", so it counts for nothing."
		return
	}
	if at := slices.IndexFunc(a.Texts(), isSenderID); at >= 0 {
		f.Code, f.Record = "spf-missing", a.Records[at].Text
		f.Text = "The record is one of Sender ID (spf2.0), which nobody asks for; " + domain + " has none of SPF (v=spf1)."
		return
	}
	old := q.published(ctx, domain, "SPF")
	if old.Status == dnsview.Found && slices.ContainsFunc(old.Texts(), isSPF) {
		f.Code, f.Record, f.Evidence = "spf-type-99-only", old.Records[0].Text, evidence(a, old)
		f.Text = "The SPF record is of the abandoned type SPF (99); receivers ask for TXT only."
		return
	}
	f.Code, f.Text = "spf-missing", domain+" has no SPF record"+whoAnswered(a)
	if len(q.id.Egress) > 0 {
		f.Text += ", so it does not allow " + addressList(q.id.Egress)
	}
	f.Text += "."
}

// isSenderID tells the records of RFC 4406, which came to nothing.
func isSenderID(s string) bool {
	s = strings.TrimPrefix(strings.ToLower(s), "v=")
	return strings.HasPrefix(s, "spf2.0/") || strings.HasPrefix(s, "spf2.0 ")
}

func spfRecordOf(a dnsview.Answer) string {
	for _, text := range a.Texts() {
		if isSPF(text) {
			return text
		}
	}
	return ""
}

func addressList(addresses []netip.Addr) string {
	var words []string
	for _, a := range addresses {
		words = append(words, a.String())
	}
	return list(words)
}
