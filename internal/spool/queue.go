package spool

import (
	"context"
	"time"

	"mailgate/internal/mail"
)

// MaxPrefix is the most a Message.Prefix may have, in bytes.
const MaxPrefix = 64 << 10

// Delivery is what the relay knows of a queued recipient that it delivers itself.
// It is zero for one that leaves by another way (back to the MTA it came from).
// All but Next is kept when the recipient leaves the queue.
type Delivery struct {
	Next     time.Time // of the next try; zero: not in the relay's queue. Take ignores it unless State is Queued
	Tries    int
	Tried    time.Time // when the last of them was; zero: none was, or it isn't known. Take ignores it
	Answer   string    // of the last try: the receiver's words, or what went wrong
	Host     string    // that gave it
	TLS      string    // used at the last try, "TLSv1.3 dane …"; empty: none
	Expected string    // verdict of pre-flight when it was queued, or Move.Verdict when it was released: accept, refuse, unknown; empty: not asked
	Notify   string    // NOTIFY of RFC 3461: "", "NEVER" or some of SUCCESS,FAILURE,DELAY
	Original string    // ORCPT of RFC 3461, "rfc822;ann@example.com"; empty: none
}

// Claim is a lease on the recipients of one message at one destination. Whoever
// has it delivers them, and no one else until it is over: by Settle, by its time,
// or by the end of the process. Until then a Move of them is refused with
// ErrDelivering, so that none is held or returned and delivered as well.
type Claim struct {
	// Message is with Prefix, without Evidence. Recipients and Envelope.To are those
	// claimed, with Delivery.Next as the try was due, whatever pause there was.
	Message     *Message
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

// Deadlines are moments of a recipient's time with the relay, which began when the message
// was received, or when it was released if it was held: Delay after that its sender is
// told of the delay (0: never), by the first try that was due then or before; End after
// it is given up.
type Deadlines struct{ Delay, End time.Duration }

// ErrDelivering is the ErrConflict of a Move of recipients that a lease covers.
var ErrDelivering error = delivering{}

type delivering struct{}

func (delivering) Error() string { return "it is being delivered right now: try again in a minute" }
func (delivering) Unwrap() error { return ErrConflict }

// Queue hands queued recipients to the relay and takes down what came of them. Its
// cost doesn't grow with the queue, save where a method says so. Methods that write
// are durable on return.
type Queue interface {
	// Due returns up to limit destinations (recipient domains) with a recipient
	// whose next try is due at now and that no lease covers, the longest due first,
	// but none of those in busy.
	Due(ctx context.Context, now time.Time, busy []mail.Domain, limit int) ([]mail.Domain, error)
	// NextDue is when the next try of anything is due, or a lease over; zero when
	// nothing is queued.
	NextDue(ctx context.Context) (time.Time, error)
	// Claim leases the recipients of up to limit messages that are due at a
	// destination, the longest due first, until the given time. Recipients of a
	// message that became due together are in one Claim, however many they are.
	Claim(ctx context.Context, destination mail.Domain, now, until time.Time, limit int) ([]*Claim, error)
	// ClaimLate is Claim for recipients that are due or would be but for a pause of the
	// destination, and of which the sender is to be told by now: see Deadlines. It reads
	// what is due there.
	ClaimLate(ctx context.Context, destination mail.Domain, now, until time.Time, limit int, deadlines Deadlines) ([]*Claim, error)
	// Unclaim ends leases without a try: recipients are due as they were before. What
	// was settled, claimed again or moved is left alone.
	Unclaim(ctx context.Context, claims ...*Claim) error
	// Settle records what came of a claim, each recipient once, in one transaction
	// with the review log. Recipients without a result stay under the lease, for
	// another Settle. ErrConflict, and nothing changed, if one of the recipients was
	// settled before, or claimed again or moved after the lease was over.
	// ErrNotFound if one isn't of the claim. Tries count up by one for each result;
	// a try that leads to another is not in the review log.
	Settle(ctx context.Context, c *Claim, actor string, results []Result) error
	// Defer pauses a destination, empty: all that have something queued. Nothing is
	// tried there before next, be it queued now or later, and what is due later
	// still is; a longer pause stays. With sooner (retry, flush) it ends the pause
	// at next, and has every queued recipient there tried then or sooner. A pause
	// also ends when nothing is queued there any more. A try under way goes on, and
	// what is leased is left alone. It says how many are queued there that no lease
	// covers. A pause costs the same whatever is queued; sooner works through what
	// is, a part at a time, others being served in between.
	Defer(ctx context.Context, destination mail.Domain, next time.Time, sooner bool) (int, error)
	// Retry is Defer with sooner for the recipients of one message; the pauses of their
	// destinations end too. It says how many of them are queued and not leased.
	Retry(ctx context.Context, id string, next time.Time) (int, error)
	// Rein mends what a clock that was ahead has left: recipients whose next try is after
	// latest are tried between now and then, spread, and pauses until after it are over.
	// What is leased is left alone. It says how many recipients that were.
	Rein(ctx context.Context, now, latest time.Time) (int, error)
	// Destinations sums up the queue by destination, the fullest first. It reads what
	// is queued there.
	Destinations(ctx context.Context, limit int) ([]Destination, error)
}

// Destination is what is queued for one recipient domain.
type Destination struct {
	Domain mail.Domain
	Queued int       // recipients
	Leased int       // of these
	Oldest time.Time // when the oldest of their messages was received
	Next   time.Time // of the next try
	Answer string    // of the latest try
	Host   string
	TLS    string
	Tried  time.Time // when that was; zero: not yet
}
