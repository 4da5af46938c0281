package spool

import (
	"context"
	"time"

	"mailgate/internal/mail"
)

// Delivery is what the relay knows of a queued recipient that it delivers itself.
// It is zero for one that leaves by another way (back to the MTA it came from).
type Delivery struct {
	Next     time.Time // of the next try; zero: the relay has nothing to do with it
	Tries    int
	Answer   string // of the last try: the receiver's words, or what went wrong
	Host     string // that gave it
	TLS      string // used at the last try, "TLSv1.3 dane …"; empty: none
	Expected string // verdict of pre-flight when it was queued: accept, refuse or unknown
	Notify   string // NOTIFY of RFC 3461: "", "NEVER" or some of SUCCESS,FAILURE,DELAY
	Original string // ORCPT of RFC 3461, "rfc822;ann@example.com"; empty: none
}

// Claim is a lease on the recipients of one message at one destination. Whoever
// has it delivers them, and no one else until it is over.
type Claim struct {
	Message     *Message // Recipients: those claimed
	Destination mail.Domain
	Until       time.Time
	Fence       int64 // greater than that of every claim of the same recipients before
}

// Result is what came of one claimed recipient. Into says where it goes: Delivered,
// Bounced or Held (with Now), or Queued for another try at Next.
type Result struct {
	Recipient mail.Address
	Into      State
	Answer    string
	Host, TLS string
	Next      time.Time // with Into Queued
	Codes     []string
	Verdict   string
	Now       *Hold // with Into Held
	Reason    string
}

// Queue hands queued recipients to the relay and takes down what came of them.
type Queue interface {
	// Due returns up to limit destinations (recipient domains) with a recipient
	// whose next try is due at now and that no lease covers, the longest due first,
	// but none of those in busy. Its cost doesn't grow with the queue.
	Due(ctx context.Context, now time.Time, busy []mail.Domain, limit int) ([]mail.Domain, error)
	// NextDue is when the next try of anything is due, leases counted; zero when
	// nothing is queued.
	NextDue(ctx context.Context) (time.Time, error)
	// Claim leases up to limit messages' recipients that are due at a destination,
	// oldest first, until the given time. Durable on return.
	Claim(ctx context.Context, destination mail.Domain, now, until time.Time, limit int) ([]*Claim, error)
	// Settle records what came of a claim, each recipient once, in one transaction
	// with the review log. ErrConflict, and nothing changed, if the recipients were
	// claimed again or moved meanwhile. Tries count up by one for each recipient.
	Settle(ctx context.Context, c *Claim, actor string, results []Result) error
	// Defer puts the next try of every queued recipient of a destination at next or
	// later (a pause), or, with sooner, at next or sooner (retry, flush). Leased ones
	// are left alone. Domain empty: all destinations. It says how many.
	Defer(ctx context.Context, destination mail.Domain, next time.Time, sooner bool) (int, error)
	// Destinations sums up the queue by destination, the fullest first.
	Destinations(ctx context.Context, limit int) ([]Destination, error)
}

// Destination is what is queued for one recipient domain.
type Destination struct {
	Domain mail.Domain
	Queued int // recipients
	Oldest time.Time
	Next   time.Time // of the next try
	Answer string    // of the latest try
	Host   string
	TLS    string
	Tried  time.Time // when that was; zero: not yet
	Leased int
}
