package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// lock takes the lock file beside the database, which is held for as long as the
// file returned is open and goes with the process.
func lock(path string) (*os.File, error) {
	name := path + ".lock"
	f, err := openLock(name, path)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%w: the database %s is another's: is another mailgate running?", ErrInUse, path)
	}
	return nil, fmt.Errorf("lock %s: %w", name, err)
}

// openLock opens the lock file, or makes one for the owner of the database (or of
// its directory), so that root leaves none which that user can't open. Only a file
// it made itself changes hands.
func openLock(name, path string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return os.OpenFile(name, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	}
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		info, err = os.Stat(filepath.Dir(path))
	}
	if err == nil {
		err = ownerOf(info).give(f)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
