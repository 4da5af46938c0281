// Package spool is custody: the messages mailgate holds, the state of each
// recipient, and the contract of the store that keeps them.
//
// A message in custody is its original bytes, which never change, the envelope
// it came with, and one row per recipient. A recipient's state changes only by a
// Move, which is compare-and-swap and writes the review log in the same
// transaction.
package spool

import (
	"time"

	"mailgate/internal/mail"
)

// Message is one message in custody. The original bytes (header and body as they
// came in) are read with Bodies.Open.
type Message struct {
	ID         string        // short, speakable, unique: "q7f3a"; set by Take
	Source     string        // the door it came through: "milter" or "relay"
	Received   time.Time     // set by Take if zero
	Envelope   mail.Envelope // Envelope.To: the recipients in custody
	From       mail.Address  // RFC 5322 From
	Subject    string        // decoded, for lists
	MessageID  string        // with its angle brackets, as in the header
	Size       int64         // header and body, bytes; set by Take
	Evidence   []byte        // JSON of the preflight.Report at the time of holding; not filled by List
	Prefix     []byte        // trace fields and signatures that go before the original bytes on the way out; empty for what the milter holds; not filled by List
	Signed     time.Time     // when the signatures in Prefix were made; zero: there is none
	EnvelopeID string        // ENVID (RFC 3461 section 4.4)
	Return     string        // RET (RFC 3461 section 4.3): "", "FULL" or "HDRS"
	TLSReport  bool          // our report on TLS with a domain (RFC 8460): it goes out whatever TLS policies demand
	Recipients []Recipient   // in the envelope's order
}

// Recipient is one recipient of a message in custody.
type Recipient struct {
	Address  mail.Address
	State    State
	Reason   Reason   // why it was held; kept when it moves on
	Provider string   // "google", "other", …
	Codes    []string // finding codes the verdict rests on
	Rule     string   // rule that predicts the refusal: "gmail-unauthenticated"
	Reply    string   // predicted reply
	Changed  time.Time
	Delivery Delivery // what our relay has to do with it
}

// In returns the recipients of m that are in state s, in order.
func (m *Message) In(s State) []Recipient {
	var in []Recipient
	for _, r := range m.Recipients {
		if r.State == s {
			in = append(in, r)
		}
	}
	return in
}
