package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Backup writes a copy of the store at url, as it is at this moment, to the new
// file dst, whether or not a mailgate has the store open. It is durable and was
// looked over when Backup returns; its mode is 0600 and it belongs to the
// database's owner. report, which may be nil, is told the bytes written. An error
// leaves nothing behind.
func Backup(ctx context.Context, url, dst string, report func(done, total int64)) error {
	path, o, err := existing(url)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(dst); err == nil {
		return fmt.Errorf("%s is there already: %w, name a new file", dst, fs.ErrExist)
	}
	f, err := os.CreateTemp(filepath.Dir(dst), "."+filepath.Base(dst)+".*")
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		os.Remove(f.Name())
	}()
	if err := o.give(f); err != nil {
		return err
	}
	if err := copyInto(ctx, path, f.Name(), report); err != nil {
		return fmt.Errorf("copy %s: %w", path, err)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := lookOver(ctx, f.Name()); err != nil {
		return fmt.Errorf("look over the copy: %w", err)
	}
	return giveName(f.Name(), dst)
}

// copyInto has SQLite write the database to an empty file.
func copyInto(ctx context.Context, from, to string, report func(done, total int64)) error {
	db, err := outside(ctx, from)
	if err != nil {
		return err
	}
	defer db.Close()
	total, err := usedBytes(ctx, db)
	if err != nil {
		return err
	}
	watched, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watch(watched, to, total, report)
	}()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	stop()
	<-ended
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// usedBytes is the size of a database without its free pages.
func usedBytes(ctx context.Context, db *sql.DB) (n int64, err error) {
	err = db.QueryRowContext(ctx, `SELECT (p.page_count - f.freelist_count) * s.page_size
		FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s`).Scan(&n)
	return n, err
}

// watch reports the size of a growing file.
func watch(ctx context.Context, path string, total int64, report func(done, total int64)) {
	if report == nil {
		return
	}
	tick := time.NewTicker(time.Second / 4)
	defer tick.Stop()
	for {
		if info, err := os.Stat(path); err == nil {
			report(min(info.Size(), total), total)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// lookOver reads every page of a copy that nobody else has.
func lookOver(ctx context.Context, path string) error {
	db, err := readOnly(path, "mode=ro&immutable=1")
	if err != nil {
		return err
	}
	defer db.Close()
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return errors.New(found)
	}
	return nil
}

// giveName gives a finished file its name, which nothing may have. Some file systems
// know no hard links, and some no renaming that replaces nothing.
func giveName(from, to string) error {
	err := renameNew(from, to)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		err = os.Link(from, to)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}
