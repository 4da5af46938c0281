package spool

import (
	"time"

	"mailgate/internal/mail"
)

// Move changes the state of some recipients of one message, and is the only way
// to. It happens to all of them or none: only if every one is still in From
// (compare and swap), with the review log written in the same transaction.
type Move struct {
	ID         string
	To         []mail.Address // recipients; empty: all that are in From
	From, Into State
	Actor      string // "recheck", "release", "uid 0 (root)", …
	Reason     string // the actor's, in words
	Where      string // Postfix queue id or the receiver's answer
	Codes      []string
	Verdict    string    // what pre-flight says at this moment: "accept", "refuse", "unknown"; empty if it was not asked
	Next       time.Time // with Into Queued: our relay delivers it, first at that time; zero: it leaves by another way
	Now        *Hold     // with Into Held: replaces what the recipients are held for
	Notice     bool      // from Held into Held: the sender was told; the message is no longer Unnoticed
	At         time.Time // zero: the store's clock
}

// Hold is what a recipient is held for.
type Hold struct {
	Reason      Reason
	Provider    string // empty: as before
	Codes       []string
	Rule, Reply string
}
