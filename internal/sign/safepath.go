package sign

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// UnsafeError says that somebody else could read or replace a key, and how to
// mend it.
type UnsafeError struct {
	Path   string // the file or directory at fault
	Reason string
	Mend   string // a shell command
}

func (e *UnsafeError) Error() string {
	return fmt.Sprintf("%s %s; mend it with: %s", e.Path, e.Reason, e.Mend)
}

// maxLinks is how many symbolic links a path may lead through, as in Linux.
const maxLinks = 40

// safePath follows path to what it names and returns that without symbolic links.
// Each directory passed, those of the links included, must be one where nobody but
// uid and root can put another entry in place of the next one.
func safePath(path string, uid int) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	at, todo, links := "/", components(absolute), 0
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if name == ".." {
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		info, err := safeEntry(at, next, uid)
		if err != nil {
			return "", err
		}
		if info.Mode().Type() != fs.ModeSymlink {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: more than %d symbolic links", path, maxLinks)
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		todo = append(components(target), todo...)
	}
	return at, nil
}

func components(path string) []string {
	return strings.FieldsFunc(filepath.ToSlash(path), func(r rune) bool { return r == '/' })
}

// safeEntry looks up entry in dir, which must be safe for it: a sticky directory
// that others can write is, if the entry is ours or root's, since others can then
// neither rename nor remove it.
func safeEntry(dir, entry string, uid int) (fs.FileInfo, error) {
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	if err := checkDir(dir, info, uid); err != nil {
		return nil, err
	}
	found, err := os.Lstat(entry)
	if err != nil {
		return nil, err
	}
	if writable(info) && !trusted(found, uid) {
		return nil, notOurs(entry, found, uid)
	}
	return found, nil
}

// checkDir says whether others can replace entries of a directory.
func checkDir(path string, info fs.FileInfo, uid int) error {
	switch {
	case !info.IsDir():
		return &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	case !trusted(info, uid):
		return notOurs(path, info, uid)
	case writable(info) && info.Mode()&fs.ModeSticky == 0:
		return &UnsafeError{
			Path:   path,
			Reason: fmt.Sprintf("can be written by others (mode %04o), who could replace the key", info.Mode().Perm()),
			Mend:   "chmod go-w " + quote(path),
		}
	}
	return nil
}

// checkFile says whether others can read or write a key file.
func checkFile(path string, info fs.FileInfo, uid int) error {
	switch {
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	case !trusted(info, uid):
		unsafe := notOurs(path, info, uid)
		unsafe.Mend += " && chmod 600 " + quote(path)
		return unsafe
	case info.Mode().Perm()&0o066 != 0:
		return &UnsafeError{
			Path:   path,
			Reason: fmt.Sprintf("can be read or written by others (mode %04o)", info.Mode().Perm()),
			Mend:   mode600(path, info, uid),
		}
	}
	return nil
}

// mode600 makes a key private, and ours where it is root's: without the group's
// rights we could not read it any more.
func mode600(path string, info fs.FileInfo, uid int) string {
	chmod := "chmod 600 " + quote(path)
	if owner(info) != uid {
		return "chown " + userName(uid) + " " + quote(path) + " && " + chmod
	}
	return chmod
}

func notOurs(path string, info fs.FileInfo, uid int) *UnsafeError {
	others := "not to root"
	if uid != 0 {
		others = "neither to " + userName(uid) + " nor to root"
	}
	return &UnsafeError{
		Path:   path,
		Reason: "belongs to " + userName(owner(info)) + ", " + others,
		Mend:   "chown " + userName(uid) + " " + quote(path),
	}
}

func writable(info fs.FileInfo) bool { return info.Mode().Perm()&0o022 != 0 }

func trusted(info fs.FileInfo, uid int) bool {
	by := owner(info)
	return by == uid || by == 0
}

// owner is the user id of a file's owner, -1 where the system doesn't tell.
func owner(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// quote makes path one word of a shell command.
func quote(path string) string {
	plain := func(r rune) bool {
		return r < 0x80 && alphanumeric(byte(r)) || strings.ContainsRune("/._-+:@%,", r)
	}
	if strings.TrimFunc(path, plain) == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
