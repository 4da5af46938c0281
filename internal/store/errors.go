package store

import (
	"database/sql"
	"errors"
	"fmt"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"mailgate/internal/spool"
)

// fault says what an error means for the store.
type fault int

const (
	faultOne   fault = iota // for this operation only
	faultFull               // no space: nothing of this operation is kept
	faultGroup              // the transaction is gone, the store is sound
	faultStop               // nothing the store says can be trusted any more
	faultFile               // as faultStop, and the file itself is damaged
)

// faultOf sorts an error. What SQLite reports and isn't known to be harmless
// stops the store: after a failed fsync the next may succeed and have lost data.
func faultOf(err error) fault {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		if errors.Is(err, syscall.ENOSPC) {
			return faultFull
		}
		return faultOne
	}
	if e.Code() == sqlite3.SQLITE_IOERR_SHMSIZE {
		return faultFull // the index of the log could not grow
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return faultFull
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_ABORT:
		return faultGroup
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG,
		sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE, sqlite3.SQLITE_AUTH:
		return faultOne
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return faultFile
	}
	return faultStop
}

var errDamaged = errors.New("damaged")

// damaged tells the administrator about a file that can't be used.
func damaged(path string, cause error) error {
	return fmt.Errorf("the database %s is %w (%w). mailgate does not go on with it and leaves it as it is. "+
		"Copy it aside with its -wal file, then restore a backup, or save what can be read with: "+
		"sqlite3 %s .recover | sqlite3 recovered.db", path, errDamaged, cause, path)
}

// notFound turns "no rows" into spool.ErrNotFound.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return spool.ErrNotFound
	}
	return err
}
