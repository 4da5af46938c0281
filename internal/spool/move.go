package spool

import (
	"cmp"
	"slices"
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
	Changed    time.Time // with Next, of what goes back into the relay's queue as it was: its Recipient.Changed; zero: At
	Now        *Hold     // with Into Held: replaces what the recipients are held for
	Each       []Found   // one for each of To: what is so of that recipient alone; empty: Codes, Verdict and Reason are of all
	Notice     bool      // from Held into Held: the sender was told; the message is no longer Unnoticed
	Return     bool      // from Held into Queued: on its way back to the sender, not out
	At         time.Time // zero: the store's clock
}

// Found is what pre-flight says of one recipient at the moment of a Move, in place
// of the Move's own.
type Found struct {
	Codes   []string
	Verdict string
	Reason  string // empty: the Move's
}

// Action is the review log's word for m, and whether there is such a move.
func (m *Move) Action() (Action, bool) {
	action, ok := ActionOf(m.From, m.Into)
	switch {
	case m.From == "":
		return "", false // only Take does that
	case m.Notice && action == ActionAssess:
		return ActionNotify, true
	case m.Return && action == ActionRelease:
		return ActionReturn, true
	}
	return action, ok && !m.Notice && !m.Return
}

// Of is m as it is for one of its recipients.
func (m *Move) Of(to mail.Address) Move {
	one := *m
	one.To, one.Each = []mail.Address{to}, nil
	if len(m.Each) == 0 {
		return one
	}
	if i := slices.Index(m.To, to); i >= 0 {
		found := m.Each[i]
		one.Codes, one.Verdict, one.Reason = found.Codes, found.Verdict, cmp.Or(found.Reason, m.Reason)
	}
	return one
}

// Hold is what a recipient is held for.
type Hold struct {
	Reason      Reason
	Provider    string // empty: as before
	Codes       []string
	Rule, Reply string
}
