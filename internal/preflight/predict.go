package preflight

import (
	"net/netip"
	"slices"
	"strings"

	"mailgate/internal/mail"
)

// Extra is what the message itself adds to the facts.
type Extra struct {
	Bulk      bool          // the sender counts as a bulk sender
	Signature []mail.Domain // d= of valid signatures already on the message: verified, not ours
	Unsigned  bool          // our keys won't sign (foreign mail)
}

// Verdict is what a provider is predicted to do.
type Verdict string

const (
	Accept         Verdict = "accept"
	Refuse         Verdict = "refuse"
	UnknownVerdict Verdict = "unknown" // it hangs on what DNS gave no answer about
)

// Prediction is what one provider would answer. It is a prediction and must be
// called so wherever it is shown.
type Prediction struct {
	Provider Provider `json:"provider"`
	Verdict  Verdict  `json:"verdict"`
	Rule     string   `json:"rule,omitempty"`     // "gmail-unauthenticated"
	Reply    string   `json:"reply,omitempty"`    // "550 5.7.26 …", with the domain and address filled in
	Source   string   `json:"source,omitempty"`   // where the rule is known from
	Why      string   `json:"why"`                // one sentence
	Codes    []string `json:"codes,omitempty"`    // finding codes it rests on
	Warnings []string `json:"warnings,omitempty"` // rules that would apply to a bulk sender, or may some day
}

// Predict tells what a provider would answer to mail with this report. A refusal
// is never predicted from a stale report: that gives UnknownVerdict, because DNS
// may have been mended since.
func Predict(p Provider, r *Report, x Extra) Prediction {
	if p == UnknownProvider {
		return predictForAnybody(r, x)
	}
	prediction := Prediction{Provider: p, Verdict: Accept}
	m := mailing{by: p, from: r.From, facts: &r.Facts, extra: &x}
	var refusing, open *rule
	for i := range rules {
		rule := &rules[i]
		if rule.Provider != p {
			continue
		}
		holds := rule.When(m)
		switch {
		case rule.For == warnOnly || rule.For == bulkSenders && !x.Bulk:
			if holds == Yes {
				prediction.Warnings = append(prediction.Warnings, rule.warning(r))
			}
		case holds == Yes && refusing == nil:
			refusing = rule
		case holds == Maybe && open == nil:
			open = rule
		}
	}
	switch {
	case refusing != nil:
		prediction.refuse(refusing, r.asSigned(m), x)
	case open != nil:
		prediction.leaveOpen(open, r.asSigned(m))
	default:
		prediction.Why = capital(p.Title()) + " has no reason to refuse that we know of."
	}
	return prediction
}

// predictForAnybody is for receivers whose MX is not known: unknown unless every
// provider would accept.
func predictForAnybody(r *Report, x Extra) Prediction {
	for _, p := range KnownProviders() {
		if one := Predict(p, r, x); one.Verdict != Accept {
			return Prediction{
				Provider: UnknownProvider, Verdict: UnknownVerdict, Rule: one.Rule, Source: one.Source, Codes: one.Codes,
				Why: "DNS gives no answer about who receives; if it is " + p.Title() + ": " + one.Why,
			}
		}
	}
	return Prediction{
		Provider: UnknownProvider, Verdict: Accept,
		Why: "Whoever receives, there is no reason to refuse that we know of.",
	}
}

func (p *Prediction) refuse(rule *rule, r *Report, x Extra) {
	reply := rule.fill(r)
	p.Verdict, p.Rule, p.Reply, p.Source = Refuse, rule.ID, reply, rule.Source
	findings := rule.grounds(r)
	p.Codes = codesOf(findings)
	p.Why = reasonsText(findings, r, x, slices.Contains(rule.Rests, DKIM)) +
		p.Provider.Title() + " would answer " + replyCode(reply) + "."
	if r.Stale {
		p.Verdict, p.Reply = UnknownVerdict, ""
		p.Why = "DNS gives no answer now; as it was at " + r.Checked.UTC().Format("15:04 UTC") + ": " + p.Why
	}
}

func (p *Prediction) leaveOpen(rule *rule, r *Report) {
	p.Verdict, p.Rule, p.Source = UnknownVerdict, rule.ID, rule.Source
	findings := rule.unknowns(r)
	p.Codes = codesOf(findings)
	p.Why = "What " + p.Provider.Title() + " would answer hangs on what DNS gives no answer about."
	if len(findings) > 0 {
		p.Why = strings.TrimSuffix(findings[0].Text, ".") + ": what " + p.Provider.Title() + " would answer hangs on it."
	}
}

// grounds returns the findings that explain why the rule applies: the worst of
// each check it rests on.
func (rule *rule) grounds(r *Report) []Finding {
	var grounds []Finding
	for _, check := range append(slices.Clone(rule.Rests), DNS) {
		of := r.Of(check)
		worst := (&Report{Findings: of}).Worst()
		for _, f := range of {
			if f.Status == worst && worst != Pass && (check != DNS || worst != Warn) {
				grounds = append(grounds, f)
			}
		}
	}
	return grounds
}

// unknowns returns the findings DNS owes an answer about, among those the rule
// rests on.
func (rule *rule) unknowns(r *Report) []Finding {
	var unknowns []Finding
	for _, f := range r.Findings {
		if f.Status == Unknown && (f.Check == DNS || slices.Contains(rule.Rests, f.Check)) {
			unknowns = append(unknowns, f)
		}
	}
	return unknowns
}

func codesOf(findings []Finding) []string {
	var codes []string
	for _, f := range findings {
		if !slices.Contains(codes, f.Code) {
			codes = append(codes, f.Code)
		}
	}
	return codes
}

// reasonsText joins what the findings say, up to their semicolons, ready for the
// consequence after a colon.
func reasonsText(findings []Finding, r *Report, x Extra, dkim bool) string {
	const most = 3
	var texts []string
	if dkim && (x.Unsigned || len(r.Facts.DKIM) == 0) {
		texts = append(texts, "No key signs for "+string(r.From))
	}
	for _, f := range findings[:min(len(findings), most)] {
		fact, _, _ := strings.Cut(f.Text, ";")
		texts = append(texts, strings.TrimSuffix(fact, "."))
	}
	if len(texts) == 0 {
		return ""
	}
	return strings.Join(texts, "; ") + ": "
}

// replyCode returns the basic and the enhanced code of a reply.
func replyCode(reply string) string {
	words := strings.SplitN(reply, " ", 3)
	if len(words) > 1 && strings.Count(words[1], ".") == 2 {
		return words[0] + " " + words[1]
	}
	return words[0]
}

func (rule *rule) warning(r *Report) string {
	whom := "may be answered"
	if rule.For == bulkSenders {
		whom = "a bulk sender would be answered"
	}
	return rule.ID + ": " + whom + " " + rule.fill(r)
}

// fill puts the names and addresses into the reply.
func (rule *rule) fill(r *Report) string {
	address := r.Facts.SPF.Address
	if address == "" && len(r.Egress) > 0 {
		address = r.Egress[0].String()
	}
	sender := r.Facts.SPF.Domain
	if sender == "" {
		sender = r.From
	}
	return strings.NewReplacer(
		"{domain}", string(r.From), "{sender}", string(sender), "{address}", address,
		"{address4}", firstNameless(r, false), "{address6}", firstNameless(r, true),
	).Replace(rule.Reply)
}

// firstNameless returns the address of a family that a reply is about: the first
// without a confirmed name, or else the first.
func firstNameless(r *Report, six bool) string {
	var first netip.Addr
	for _, p := range r.Facts.PTR {
		if p.Address.Is6() != six {
			continue
		}
		if p.Confirmed == No {
			return p.Address.String()
		}
		if !first.IsValid() {
			first = p.Address
		}
	}
	if !first.IsValid() {
		return ""
	}
	return first.String()
}
