package spool

import (
	"context"
	"time"
)

// Note is something that is not about a message and outlives a restart, such as an
// override of a TLS policy.
type Note struct {
	Kind  string
	Name  string // one of its kind
	Data  []byte
	Until time.Time // not given back from then on; zero: kept
}

// Notes keeps notes.
type Notes interface {
	// Notes returns those of a kind that have not ended, by name.
	Notes(ctx context.Context, kind string) ([]Note, error)
	// KeepNote puts n in place of the one with its kind and name, and with it an entry
	// into the review log; nil: none. Durable on return.
	KeepNote(ctx context.Context, n Note, entry *LogEntry) error
	// DropNote removes a note, likewise. That there is none is no error, and then
	// nothing is logged.
	DropNote(ctx context.Context, kind, name string, entry *LogEntry) error
}
