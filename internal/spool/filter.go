package spool

import (
	"time"

	"mailgate/internal/mail"
)

// Filter selects messages for a list. Zero fields select everything. A message is
// listed when one of its recipients answers to all of States, Reason, Recipient,
// Code and Provider, and the message to the rest.
type Filter struct {
	States    []State
	Reason    Reason
	Domain    mail.Domain // of From
	Sender    string      // part of the MAIL FROM or From address
	Recipient string      // part of the address
	Code      string      // finding code, or its kind: dkim for every dkim-…
	Provider  string
	Since     time.Time // received then or later
	Text      string    // part of the subject, of From or of a recipient
	// Letters are matched without regard to case in Sender, Recipient and Text.

	Order Order
	Limit int    // 0: 100
	After string // id of the last message of the page before
}

// Order of a list.
type Order string

const (
	Newest  Order = "" // by the order of taking, the last first
	Oldest  Order = "oldest"
	Largest Order = "largest" // by size; of the same size, the newest first
)

// Counts is how many recipients are in each state, and what the held ones wait for.
type Counts struct {
	States map[State]int
	Held   map[Reason]int
}

// GroupKey names held recipients that one check can decide: the verdict depends on
// From's domain, MAIL FROM's and the provider, and they are held for the same.
type GroupKey struct {
	From     mail.Domain
	MailFrom mail.Domain // empty for the null sender
	Reason   Reason
	Provider string
	Rule     string
	Codes    string // with a space between
}

// Group is the held recipients of one GroupKey.
type Group struct {
	GroupKey
	Held   int       // recipients, at least 1
	Oldest time.Time // when the oldest of their messages was received
}

// HoldCount is how many recipients with one From domain were held for one cause.
type HoldCount struct {
	From       mail.Domain
	Reason     Reason
	Codes      []string
	Recipients int
	Still      int    // of these, held to this moment
	Example    string // id of the newest message
}
