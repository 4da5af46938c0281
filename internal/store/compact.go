package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Compacted is the size of the database before and after Compact, in bytes.
type Compacted struct{ Before, After int64 }

// Compact writes the database of the store at url anew, without gaps, and has it
// give space back by itself from then on. ErrInUse if a mailgate has it open. It
// takes room for two copies more beside the database while it works; a crash
// leaves the database as it was.
func Compact(ctx context.Context, url string) (Compacted, error) {
	var c Compacted
	path, _, err := existing(url)
	if err != nil {
		return c, err
	}
	l, err := lock(path)
	if err != nil {
		return c, err
	}
	defer l.Close()
	if err := checkOwner(ctx, path); err != nil {
		return c, err
	}
	if c.Before, err = sizeOnDisk(path); err != nil {
		return c, err
	}
	if err := vacuum(ctx, path); err != nil {
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		if faultOf(err) == faultFile {
			err = damaged(path, err)
		}
		return c, fmt.Errorf("compact %s: %w", path, err)
	}
	c.After, err = sizeOnDisk(path)
	return c, err
}

// sizeOnDisk is the size of a database and its WAL.
func sizeOnDisk(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	size := info.Size()
	if wal, err := os.Stat(path + "-wal"); err == nil {
		size += wal.Size()
	}
	return size, nil
}

func vacuum(ctx context.Context, path string) (err error) {
	connector, err := connect(path, pragmas)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return damaged(path, fmt.Errorf("%s", found))
	}
	// The copy is made beside the database, where there is most likely room: in
	// memory there is none, and /var/tmp may be small.
	beside := "PRAGMA temp_store_directory = '" + strings.ReplaceAll(filepath.Dir(path), "'", "''") + "'"
	defer db.ExecContext(context.WithoutCancel(ctx), "PRAGMA temp_store_directory = ''")
	for _, sql := range []string{
		"PRAGMA temp_store = file", beside, "PRAGMA auto_vacuum = incremental", "VACUUM",
	} {
		if _, err := db.ExecContext(ctx, sql); err != nil {
			return err
		}
	}
	return truncateLog(ctx, db)
}

// errReading: the database is written anew, but some of it is still in the WAL.
var errReading = errors.New("another program reads it, so that its -wal file could not be emptied: end that program, then compact once more")

// truncateLog copies the WAL into the database and empties it. It waits for readers
// as long as for a lock.
func truncateLog(ctx context.Context, db *sql.DB) error {
	var busy bool
	err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, new(int), new(int))
	if err == nil && busy {
		err = errReading
	}
	return err
}
