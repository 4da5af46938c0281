package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"modernc.org/sqlite"
)

// ErrInUse: another process has the store open.
var ErrInUse = errors.New("the store is in use")

// ErrMissing: there is no database at the store's URL.
var ErrMissing = errors.New("is [store] url right? mailgate serve makes it at its first start")

// owner is whom a file belongs to.
type owner struct{ uid, gid int }

// existing returns the path in a store's URL and the owner of the file there. It
// refuses users whose files beside it mailgate couldn't open: SQLite gives them to
// the database's owner only if root makes them.
func existing(url string) (path string, o owner, err error) {
	if path, err = parse(url); err != nil {
		return "", o, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", o, fmt.Errorf("there is no database %s: %w (%w)", path, ErrMissing, fs.ErrNotExist)
	}
	if err != nil {
		return "", o, err
	}
	if !info.Mode().IsRegular() {
		return "", o, fmt.Errorf("%s is not a file", path)
	}
	o = ownerOf(info)
	if uid := os.Geteuid(); uid != 0 && uid != o.uid {
		return "", o, fmt.Errorf("the database %s belongs to user %d: run this as root or as that user (%w)", path, o.uid, fs.ErrPermission)
	}
	return path, o, nil
}

func ownerOf(info fs.FileInfo) owner {
	st := info.Sys().(*syscall.Stat_t)
	return owner{int(st.Uid), int(st.Gid)}
}

// give makes a file just created the owner's. Only root has to, and can.
func (o owner) give(f *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return f.Chown(o.uid, o.gid)
}

// outside opens a database beside the daemon that may have it open, for reading
// only, and makes sure that it is a store.
func outside(ctx context.Context, path string) (*sql.DB, error) {
	if err := checkOwner(ctx, path); err != nil {
		return nil, err
	}
	return readOnly(path, "mode=ro&_busy_timeout=10000&_pragma=temp_store(memory)&_pragma=cache_size(-16000)")
}

// readOnly opens a database with one connection.
func readOnly(path, settings string) (*sql.DB, error) {
	c, err := sqlite.NewConnector((&url.URL{Scheme: "file", Path: path, OmitHost: true, RawQuery: settings}).String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(1)
	return db, nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
