package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mailgate/internal/spool"
)

const (
	readers = 4 // connections

	// checkBelow is the size of database, in bytes, up to which every page is
	// looked at before the start: about a second's work.
	checkBelow = 128 << 20
)

// Open opens the store at url, "sqlite:/path", and creates it with its directory
// if it is not there. Only one process can have it open.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	path, err := parse(url)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if o.NewID == nil {
		o.NewID = spool.NewID
	}
	o.limits = cmp.Or(o.limits, measured())
	o.limits.indexed = cmp.Or(int64(o.IndexEvery), o.limits.indexed)
	if o.CrashPoint == nil {
		o.CrashPoint = func(string) {}
	}
	s := &Store{path: path, o: o, done: make(chan struct{})}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("open store %s: %w", url, err)
	}
	return s, nil
}

// parse returns the absolute path in a store's URL.
func parse(url string) (string, error) {
	scheme, path, _ := strings.Cut(url, ":")
	switch {
	case scheme == "postgres" || scheme == "postgresql":
		return "", errors.New("store url: PostgreSQL is not supported yet: use sqlite:/path/to/mailgate.db")
	case scheme != "sqlite" || path == "":
		return "", fmt.Errorf("store url %q is not of the form sqlite:/path/to/mailgate.db", url)
	}
	if strings.HasPrefix(path, "//") {
		path = "/" + strings.TrimLeft(path, "/")
	}
	return filepath.Abs(path)
}

func (s *Store) open(ctx context.Context) (err error) {
	if s.lock, err = prepare(s.path); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.abandon(errors.Is(err, errDamaged))
		}
	}()
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	if info.Size() > 0 {
		if err := checkOwner(ctx, s.path); err != nil {
			return err
		}
	}
	if err := s.connect(info.Size()); err != nil {
		return err
	}
	if err := s.check(ctx, info.Size()); err != nil {
		if faultOf(err) == faultFile {
			return damaged(s.path, err)
		}
		return err
	}
	if s.w, err = newWriter(ctx, s); err != nil {
		return err
	}
	go s.w.run()
	if err := s.dropLoose(ctx); err != nil {
		s.w.close()
		return fmt.Errorf("delete what a crash left half taken: %w", err)
	}
	if err := s.endLeases(ctx); err != nil {
		s.w.close()
		return fmt.Errorf("end the leases of the process before: %w", err)
	}
	s.x = newIndexer(s, s.o.limits.indexed)
	return nil
}

// prepare makes the directory and an empty file where there is none, both for the
// owner only, and takes the lock.
func prepare(path string) (*os.File, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l, err := lock(path)
	if err != nil {
		return nil, err
	}
	if err := create(path, dir); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// create makes sure that there is a file which can be written. It runs before
// SQLite has it open, whose locks the Close here would take away.
func create(path, dir string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return fmt.Errorf("%s-wal is there without %s: put the database back beside it, or move it away if it is no longer wanted", path, path)
	}
	if f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return syncDir(dir)
}

// connect sets up both pools; connections are opened when they are first used.
func (s *Store) connect(size int64) error {
	settings := pragmas
	if size == 0 {
		settings += newPragmas
	}
	w, err := connect(s.path, settings)
	if err != nil {
		return err
	}
	r, err := connect(s.path, pragmas+"&_query_only=1")
	if err != nil {
		return err
	}
	s.write = sql.OpenDB(w)
	s.write.SetMaxOpenConns(1)
	s.read = sql.OpenDB(r)
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	return nil
}

// check looks at the file before anything is done with it, and migrates it.
func (s *Store) check(ctx context.Context, size int64) error {
	if size <= checkBelow {
		if err := s.quickCheck(ctx); err != nil {
			return err
		}
	}
	steps, err := ownSteps()
	if err != nil {
		return err
	}
	if err := migrate(ctx, s.write, steps); err != nil {
		return err
	}
	return s.prepareReads(ctx)
}

// quickCheck reads every page and its structure.
func (s *Store) quickCheck(ctx context.Context) error {
	var found string
	if err := s.write.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return err
	}
	if found != "ok" {
		return damaged(s.path, errors.New(found))
	}
	return nil
}

// abandon closes what a failed open has opened. With a damaged file the writer's
// connection is left to the end of the process: closing the last one would copy
// the WAL into the file.
func (s *Store) abandon(damaged bool) {
	if s.read != nil {
		s.read.Close()
	}
	if s.w != nil {
		s.w.release()
	}
	if s.write != nil && !damaged {
		s.write.Close()
	}
	s.lock.Close()
}
