package sign

import (
	"crypto"
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxKeyFile bounds what is read of a key file, in bytes; RSA 16384 in PEM is 13 KB.
const maxKeyFile = 64 << 10

// LoadKey reads a private key in any form ParseKey knows. The strings are warnings
// for people. A file that others can read or write, that belongs to somebody else
// than this process's user or root, or that is reached through a directory which
// others can change, is refused with an *UnsafeError that says how to mend it.
func LoadKey(path string) (crypto.Signer, []string, error) { return LoadKeyAs(path, os.Geteuid()) }

// LoadKeyAs is LoadKey as a process of user uid would do it. For root, who looks at the
// keys of another user's gateway.
func LoadKeyAs(path string, uid int) (crypto.Signer, []string, error) {
	data, err := readPrivate(path, uid)
	if err != nil {
		return nil, nil, fmt.Errorf("load key %s: %w", path, err)
	}
	key, warnings, err := ParseKey(data)
	if err != nil {
		return nil, nil, fmt.Errorf("load key %s: %w", path, err)
	}
	return key, warnings, nil
}

// CheckFile says what would keep a process of user uid from loading a key file, as
// LoadKey would, an *UnsafeError mostly; it reads nothing of it.
func CheckFile(path string, uid int) error {
	target, err := safePath(path, uid)
	if err != nil {
		return err
	}
	info, err := os.Lstat(target)
	if err != nil {
		return err
	}
	if err := checkFile(target, info, uid); err != nil {
		return err
	}
	if uid != 0 && owner(info) != uid { // root's, and nobody else may read it
		unsafe := notOurs(target, info, uid)
		unsafe.Reason = fmt.Sprintf("belongs to root, and %s can't read it", userName(uid))
		return unsafe
	}
	return nil
}

// readPrivate reads a file that only uid and root can have read or written. Every
// directory on the way is checked first, so that nobody else can put another file
// in its place before it is opened; owner and mode are then taken from the opened
// file itself.
func readPrivate(path string, uid int) ([]byte, error) {
	target, err := safePath(path, uid)
	if err != nil {
		return nil, err
	}
	// O_NONBLOCK: opening a FIFO must not hang.
	file, err := os.OpenFile(target, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkFile(target, info, uid); err != nil {
		return nil, err
	}
	if info.Size() > maxKeyFile {
		return nil, fmt.Errorf("%d bytes is too long for a key", info.Size())
	}
	return io.ReadAll(io.LimitReader(file, maxKeyFile))
}
