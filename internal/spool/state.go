package spool

// State of one recipient.
type State string

const (
	Held      State = "held"      // kept back; Reason says why
	Queued    State = "queued"    // released, on its way out
	Delivered State = "delivered" // handed on: the receiver (or Postfix) answered 250
	Bounced   State = "bounced"   // returned to the sender
	Discarded State = "discarded" // thrown away by a reviewer
)

// Final reports whether a recipient in state s never moves again.
func (s State) Final() bool { return s == Delivered || s == Bounced || s == Discarded }

// Reason a recipient is held for.
type Reason string

const (
	Refused Reason = "refused" // a refusal is predicted
	Waiting Reason = "waiting" // DNS gave no answer: "waiting for DNS"
	Foreign Reason = "foreign" // From domain without a key here
	ByHand  Reason = "by-hand" // somebody took it out of the relay's queue: only a reviewer lets it go
)

// Action is the review log's word for what happened to a recipient.
type Action string

const (
	ActionHold    Action = "hold"    // taken into custody and kept back
	ActionQueue   Action = "queue"   // taken into custody to be delivered
	ActionRelease Action = "release" // held → queued
	ActionReturn  Action = "return"  // held → queued, with Move.Return: it goes back to its sender
	ActionDeliver Action = "deliver" // queued → delivered
	ActionRequeue Action = "requeue" // queued → held: it could not be handed on, still would be refused, or somebody holds it
	ActionAssess  Action = "assess"  // held → held: the verdict has changed
	ActionNotify  Action = "notify"  // held → held: the sender was told of the delay
	ActionDiscard Action = "discard" // held → discarded
	ActionBounce  Action = "bounce"  // held or queued → bounced
	ActionTrim    Action = "trim"    // of no message: entries older than the log is kept were removed

	ActionOverride   Action = "override"    // of no message: a TLS policy was overridden; Where names the destination, After what for
	ActionNoOverride Action = "no-override" // of no message: that ended before its time
	ActionRotate     Action = "rotate"      // of no message: a step in the replacement of a signing key; Where names the key, After the state it led to
)

// ActionOf names the move of a recipient between two states, and reports whether
// it is allowed. From is empty for a recipient just taken.
func ActionOf(from, into State) (Action, bool) {
	switch [2]State{from, into} {
	case [2]State{"", Held}:
		return ActionHold, true
	case [2]State{"", Queued}:
		return ActionQueue, true
	case [2]State{Held, Queued}:
		return ActionRelease, true
	case [2]State{Queued, Delivered}:
		return ActionDeliver, true
	case [2]State{Queued, Held}:
		return ActionRequeue, true
	case [2]State{Held, Held}:
		return ActionAssess, true
	case [2]State{Held, Discarded}:
		return ActionDiscard, true
	case [2]State{Held, Bounced}, [2]State{Queued, Bounced}:
		return ActionBounce, true
	}
	return "", false
}
