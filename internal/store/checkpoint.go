package store

import (
	"context"
	"database/sql"
	"fmt"
)

// A checkpoint copies the WAL into the database, in two steps. Most of it is copied
// beside the writer, which goes on. What was written meanwhile the writer copies
// itself: only when all is copied does the WAL begin anew.

// copier does the first step.
type copier struct {
	conn    *sql.Conn
	done    chan struct{}
	running bool
}

func newCopier(ctx context.Context, s *Store) (copier, error) {
	s.write.SetMaxOpenConns(2) // the writer has the other one
	conn, err := s.write.Conn(ctx)
	return copier{conn: conn, done: make(chan struct{}, 1)}, err
}

// checkpointSome begins a checkpoint when it is time for one. When as much again is
// written before the first step is done, the writer waits for it: the WAL must end.
func (w *writer) checkpointSome() {
	switch {
	case w.written < w.every || w.s.Err() != nil:
	case w.copier.running:
		<-w.copier.done
		w.copied()
	default:
		w.written, w.copier.running = 0, true
		w.s.o.CrashPoint("before-checkpoint")
		go func() {
			w.s.copyLog(w.copier.conn)
			w.copier.done <- struct{}{}
		}()
	}
}

// copied is the second step.
func (w *writer) copied() {
	w.copier.running = false
	w.checkpoint()
}

// awaitCopier returns when nothing is copied beside the writer.
func (w *writer) awaitCopier() {
	if w.copier.running {
		<-w.copier.done
		w.copier.running = false
	}
}

// checkpoint copies the WAL while nothing is written.
func (w *writer) checkpoint() {
	if w.s.Err() != nil {
		return
	}
	w.written = 0
	w.s.o.CrashPoint("before-checkpoint")
	w.s.copyLog(w.conn)
	w.s.o.CrashPoint("after-checkpoint")
}

// copyLog copies what is in the WAL now. Without space that waits for the next
// checkpoint; another error stops the store, though no caller waits for it.
func (s *Store) copyLog(conn *sql.Conn) {
	var busy, frames, copied int
	err := conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &frames, &copied)
	switch {
	case err == nil:
	case faultOf(err) == faultFull:
		s.o.Logger.Warn("no space to move the database's log into the database", "database", s.path, "error", err)
	default:
		s.failed(fmt.Errorf("checkpoint: %w", err))
	}
}
