// Package store keeps spool.Store on disk: SQLite, bodies and all in one file.
//
// Durability: the database is in WAL mode with synchronous=FULL, asserted on
// every connection. One goroutine writes. It puts the operations that wait into
// one transaction, each behind a savepoint of its own, and answers them when
// COMMIT has returned, which is after the WAL's fsync. Readers have connections
// of their own and don't wait for the writer, except NewHolds.
//
// Faults: out of space fails the operation and keeps nothing of it. An error in
// reading, writing or syncing the file stops the store for good, since what the
// kernel says about the file after it proves nothing. A damaged file is refused
// at start and left as it is.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"mailgate/internal/spool"
)

// Options of a Store. The zero value is ready for use.
type Options struct {
	Now    func() time.Time        // nil: time.Now
	Logger *slog.Logger            // nil: slog.Default
	NewID  func(length int) string // nil: spool.NewID

	// CheckpointBytes is about how much is written between two checkpoints; 0: 32 MiB.
	CheckpointBytes int

	// IndexEvery is how many messages are added to the index of words at once; 0: 512.
	IndexEvery int

	// MaxBytes is asked how much the database may use (hold.max_bytes). Beyond it
	// nothing is taken into custody; moves, the log, tokens and purges go on. nil,
	// or 0: as much as there is. It is asked often, by several goroutines.
	MaxBytes func() int64

	// CrashPoint is called by the writer at named steps (CrashPoints), for tests
	// that end the process there: those named for an operation when its rows are
	// written, "before-commit" and "after-commit" around the fsync,
	// "before-checkpoint" and "after-checkpoint".
	CrashPoint func(name string)

	limits limits // zero: as measured
}

// Store is a spool.Store.
type Store struct {
	path  string
	o     Options
	lock  *os.File
	read  *sql.DB
	write *sql.DB
	w     *writer
	bound bound
	x     *indexer

	forgot atomic.Int64 // base of the log when messages were last forgotten, plus 1; 0: not yet
	warned atomic.Int64 // when it was told that a message keeps the log

	frequent map[string]*sql.Stmt // of readers; see prepareReads

	sweeping sync.Mutex

	stopped   atomic.Pointer[error] // why, once it is
	done      chan struct{}         // closed when stopped
	closeOnce sync.Once
	closeErr  error
}

var _ spool.Store = (*Store)(nil)

var errClosed = errors.New("it is closed")

// Stopped is closed when the store stops; Err then says why.
func (s *Store) Stopped() <-chan struct{} { return s.done }

// Err returns nil while the store works, and otherwise the error that every call
// returns, which wraps spool.ErrStopped and the cause.
func (s *Store) Err() error {
	if err := s.stopped.Load(); err != nil {
		return *err
	}
	return nil
}

// stop makes the first cause the answer to everything from now on.
func (s *Store) stop(cause error) error {
	err := fmt.Errorf("%w: %w", spool.ErrStopped, cause)
	if s.stopped.CompareAndSwap(nil, &err) {
		close(s.done)
		if !errors.Is(cause, errClosed) {
			s.o.Logger.Error("the store has stopped, nothing is taken or released until mailgate is started again",
				"database", s.path, "error", cause)
		}
	}
	return s.Err()
}

// failed returns the error to hand to a caller, and stops the store if the error
// leaves no other choice.
func (s *Store) failed(err error) error {
	switch faultOf(err) {
	case faultFull:
		return fmt.Errorf("%w: %w", spool.ErrFull, err)
	case faultFile:
		return s.stop(damaged(s.path, err))
	case faultStop:
		return s.stop(err)
	}
	return err
}

// view runs a read in a transaction, so that all it reads is of one moment. What
// was being done is the caller's to say.
func (s *Store) view(ctx context.Context, read func(*sql.Tx) error) error {
	if err := s.Err(); err != nil {
		return err
	}
	err := s.inTx(ctx, read)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err() // SQLite says only that it was interrupted
	}
	return s.failed(notFound(err))
}

// inTx has a transaction end before it returns. database/sql would end one that is
// cancelled at its own time, which may be after Close, and what is in the WAL would
// stay there.
func (s *Store) inTx(ctx context.Context, read func(*sql.Tx) error) error {
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	tx, err := conn.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return read(tx)
}

// Close waits for the operations under way and closes the database. Calls after
// it return an error that wraps spool.ErrStopped.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.x.close()
		s.w.close()
		s.closeErr = s.close(s.Err() != nil)
	})
	return s.closeErr
}

// close closes the files. After a fault the writer's connection is left to the end
// of the process: closing the last one would write to the database once more.
func (s *Store) close(fault bool) error {
	s.stop(errClosed)
	if fault {
		return errors.Join(s.read.Close(), s.lock.Close())
	}
	return errors.Join(s.read.Close(), s.w.release(), s.write.Close(), s.lock.Close())
}
