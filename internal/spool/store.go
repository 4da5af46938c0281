package spool

import (
	"context"
	"errors"
	"io"
	"time"
)

var (
	// ErrConflict: the recipients are no longer in the state the Move starts from.
	ErrConflict = errors.New("it was moved in the meantime")
	// ErrNotFound: no such message, recipient, body or token.
	ErrNotFound = errors.New("not found")
	// ErrTransition: no Move leads from that state to that one.
	ErrTransition = errors.New("no such change of state")
	// ErrFull: out of space. Nothing was kept; answer 452.
	ErrFull = errors.New("out of space")
	// ErrLog: the review log is not as it was written.
	ErrLog = errors.New("the review log was tampered with or is damaged")
	// ErrStopped: the store met an error after which nothing it says can be
	// trusted, or was closed. It stays so until the next start; answer 4xx.
	ErrStopped = errors.New("store stopped")
)

// Taker takes messages into custody.
type Taker interface {
	// Take stores m, which has at least one recipient, each Held or Queued, and a
	// Prefix of at most MaxPrefix, and logs it. content, the original bytes, is
	// read to its end. When Take returns nil, message and log are on disk (fsynced)
	// and m.ID, m.Size and m.Received are set; when it returns an error nothing is
	// kept, save that after ErrStopped what was in flight may be found at the next
	// start.
	Take(ctx context.Context, m *Message, content io.Reader) error
}

// Bodies gives single messages back.
type Bodies interface {
	// Get returns a message with its recipients and evidence.
	Get(ctx context.Context, id string) (*Message, error)
	// Open streams the original bytes. ErrNotFound also when they were purged.
	Open(ctx context.Context, id string) (io.ReadCloser, error)
}

// Lister finds messages.
type Lister interface {
	// List returns a page of messages. Messages taken or moved between two pages
	// make no other message appear twice or be left out.
	List(ctx context.Context, f Filter) ([]*Message, error)
	// Count is cheap, whatever the number of messages.
	Count(ctx context.Context) (Counts, error)
}

// Groups is what the re-check works on.
type Groups interface {
	// HeldGroups returns the groups that have held recipients, oldest first.
	HeldGroups(ctx context.Context) ([]Group, error)
	// GroupIDs returns up to limit ids of messages with held recipients in the
	// group, oldest first, after the message named after (empty: from the start).
	GroupIDs(ctx context.Context, g GroupKey, after string, limit int) ([]string, error)
	// Stuck returns the messages with queued recipients that aren't in the relay's
	// queue (their Delivery.Next is zero), oldest first. At start those are the ones
	// a crash left between release and delivery.
	Stuck(ctx context.Context) ([]string, error)
}

// Ages finds what has been held for long, and counts what was held of late.
type Ages interface {
	// HeldBefore returns up to limit ids of messages with held recipients that were
	// taken before the given time, oldest first, after the message named after
	// (empty: from the start). It is cheap, whatever the number of messages.
	HeldBefore(ctx context.Context, before time.Time, after string, limit int) ([]string, error)
	// Unnoticed is HeldBefore for messages whose sender can be told (it is not the
	// null sender) and was not yet, by a Move with Notice.
	Unnoticed(ctx context.Context, before time.Time, after string, limit int) ([]string, error)
	// NewHolds counts the recipients held in [since, until) by From domain and
	// cause, the largest number first. It waits for what is being written, so that
	// none is added later, as long as until isn't to come.
	NewHolds(ctx context.Context, since, until time.Time) ([]HoldCount, error)
}

// Marks are times kept over a restart, each under a name.
type Marks interface {
	// Mark returns the zero time for one that was never set.
	Mark(ctx context.Context, name string) (time.Time, error)
	// SetMark is durable on return.
	SetMark(ctx context.Context, name string, t time.Time) error
}

// Mover changes states.
type Mover interface {
	// Move applies m to all the recipients it names, or to none. ErrConflict when
	// one of them is not in m.From, ErrNotFound for an unknown message or
	// recipient, ErrTransition when Move.Action knows no such move. ErrDelivering, which
	// is an ErrConflict, when one is under a lease of the Queue. Durable on return.
	Move(ctx context.Context, m Move) error
}

// Reviewer reads the review log.
type Reviewer interface {
	Log(ctx context.Context, f LogFilter) ([]LogEntry, error)
	// VerifyLog follows the chain of hashes from the first entry kept to the last.
	// An ErrLog names the first entry that was changed or is missing; Chain then
	// goes as far as the log is right.
	VerifyLog(ctx context.Context) (Chain, error)
}

// Tokens are one-time passes by which a released message is known when it comes
// back through the milter. The store sees only their hashes.
type Tokens interface {
	// IssueToken stores the hash of a token for a message, or with an empty id for
	// mail of our own that is in no custody: a notice. Durable on return.
	IssueToken(ctx context.Context, id string, hash [32]byte, expires time.Time) error
	// RedeemToken uses a token up and returns the message it was issued for.
	// ErrNotFound when it is unknown, used or expired: one answer, with the same
	// work done, for all three. Of several calls with one token one succeeds.
	RedeemToken(ctx context.Context, hash [32]byte) (id string, err error)
}

// Purger gives space back.
type Purger interface {
	// Purge deletes the bodies of messages all of whose recipients reached a final
	// state before the given time, says how many, and gives the space back to the
	// file system. The rest of the message and its log stay.
	Purge(ctx context.Context, before time.Time) (int, error)
}

// Trimmer forgets.
type Trimmer interface {
	// Trim removes the review log's entries older than the given time, up to the
	// first that isn't or that is of a message still open (held or queued), and what
	// is kept of messages finished before it. So one message that never closes keeps
	// all of the log after its first entry; a warning names it once a day. It says
	// how many entries went. What it removed is itself an entry (ActionTrim), so
	// that the chain still proves that nothing else was. It follows the chain over
	// what it is about to remove: ErrLog, and nothing of the log is removed, if that
	// isn't right.
	Trim(ctx context.Context, before time.Time) (int64, error)
}

// Store is the whole contract. Every method may be called by several goroutines
// at once, and returns an error that wraps ErrStopped once the store has stopped.
type Store interface {
	Taker
	Bodies
	Lister
	Groups
	Ages
	Mover
	Reviewer
	Queue
	Tokens
	Purger
	Trimmer
	Marks
	Notes
	// Close waits for the operations under way. Close last.
	Close() error
}
