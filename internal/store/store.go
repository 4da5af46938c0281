// Package store keeps spool.Store on disk: SQLite, in WAL mode with
// synchronous=FULL, bodies and all in one file.
package store

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"mailgate/internal/spool"
)

// Options of a Store. The zero value is ready for use.
type Options struct {
	Now        func() time.Time        // nil: time.Now
	Logger     *slog.Logger            // nil: slog.Default
	NewID      func(length int) string // nil: spool.NewID
	CrashPoint func(name string)       // called at named steps; tests end the process there
}

// Store is a spool.Store.
type Store struct {
	spool.Store
}

// Open opens the store at url, "sqlite:/path", and creates it if it is not there.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	return nil, errors.ErrUnsupported
}
