package gate

import (
	"encoding/json"
	"fmt"
	"slices"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
)

// Disposition is what mailgate does for one recipient.
type Disposition string

const (
	Pass   Disposition = "pass"
	Hold   Disposition = "hold"
	Reject Disposition = "reject"
	Defer  Disposition = "defer"
)

// Cause says why a recipient doesn't simply pass.
type Cause string

const (
	CauseNone    Cause = ""
	CauseRefused Cause = "refused" // the receiver would refuse it for good
	CauseWaiting Cause = "waiting" // DNS gave no answer
	CauseForeign Cause = "foreign" // From domain without a key here
)

// Recipient is the verdict on one recipient.
type Recipient struct {
	Address     mail.Address
	Disposition Disposition
	Cause       Cause
	Prediction  preflight.Prediction // zero for mail that was not pre-flighted
}

// Reply is an answer to the SMTP client (RFC 5321 section 4.2, RFC 3463).
type Reply struct {
	Code     int    // 550
	Enhanced string // "5.7.26"
	Text     string // one line
}

// Outcome is what became of a message.
type Outcome struct {
	Refusal    *Reply            // the whole message is rejected or deferred; the rest then only explains
	Signatures []mail.Field      // to put before the message, in this order
	Recipients []Recipient       // in the envelope's order
	Report     *preflight.Report // nil for mail that was not pre-flighted
	From       mail.Address      // author
	Why        string            // one sentence
}

// Held returns the recipients that are held.
func (o *Outcome) Held() []Recipient {
	var held []Recipient
	for _, r := range o.Recipients {
		if r.Disposition == Hold {
			held = append(held, r)
		}
	}
	return held
}

// Evidence is the report as it is kept in custody, in JSON; nil for mail that was
// not pre-flighted.
func (o *Outcome) Evidence() ([]byte, error) {
	if o.Report == nil {
		return nil, nil
	}
	b, err := json.Marshal(o.Report)
	if err != nil {
		return nil, fmt.Errorf("write the evidence: %w", err)
	}
	return b, nil
}

// Verdict is the gravest disposition, for the log and the metrics.
func (o *Outcome) Verdict() Disposition { return gravest(o.Recipients) }

func gravest(recipients []Recipient) Disposition {
	worst := Pass
	for _, r := range recipients {
		if r.Disposition.gravity() > worst.gravity() {
			worst = r.Disposition
		}
	}
	return worst
}

func (d Disposition) gravity() int {
	return slices.Index([]Disposition{Pass, Hold, Defer, Reject}, d)
}

func someAre(recipients []Recipient, d Disposition) bool {
	return slices.ContainsFunc(recipients, func(r Recipient) bool { return r.Disposition == d })
}
