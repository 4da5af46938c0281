package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock takes the lock file beside the database, which is held for as long as the
// file returned is open and goes with the process.
func lock(path string) (*os.File, error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("the database %s is in use: is another mailgate running?", path)
	}
	return nil, fmt.Errorf("lock %s: %w", name, err)
}
