package tlspolicy

import (
	"context"
	"time"
)

// Memory keeps what must outlive a restart: overrides made at run time, MTA-STS
// policies, what was learned of handshakes.
type Memory interface {
	// Recall returns the notes of a kind that have not ended.
	Recall(ctx context.Context, kind Kind) ([]Note, error)
	// Keep stores a note in place of the one with its kind and name. It returns when
	// that is on disk; with by, so is an entry in the review log.
	Keep(ctx context.Context, n Note, by *Act) error
	// Forget removes a note. That there is none is no error.
	Forget(ctx context.Context, kind Kind, name string, by *Act) error
}

// Kind is what a note is about.
type Kind string

const (
	KindOverride Kind = "tls-override" // name: the destination in normal form
	KindSTS      Kind = "mta-sts"      // name: the policy domain
	KindLearned  Kind = "tls-learned"  // name: the MX host
	KindProbe    Kind = "tls-probe"    // name: the destination of an override
)

// Note is something remembered.
type Note struct {
	Kind  Kind
	Name  string
	Data  []byte    // JSON
	Until time.Time // forgotten after that; zero: kept
}

// Act is who did something, and why: for the review log.
type Act struct {
	Actor  string
	Reason string
}
