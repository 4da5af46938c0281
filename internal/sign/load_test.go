package sign

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// keyDir makes a directory with a key in it, both private.
func keyDir(t *testing.T) (dir, path string) {
	t.Helper()
	// The real path: tests compare with it, and TMPDIR may be a symbolic link.
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for d := dir; strings.HasPrefix(filepath.Base(d), "0") || strings.HasPrefix(filepath.Base(d), "Test"); d = filepath.Dir(d) {
		chmod(t, d, 0o700) // whatever the umask
	}
	path = filepath.Join(dir, "key.pem")
	if err := WriteKey(path, testKeys()[1].Signer); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string, mode fs.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, mode)
	return path
}

func symlink(t *testing.T, target, path string) string {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadKey(t *testing.T) {
	dir, path := keyDir(t)
	sub := mkdir(t, filepath.Join(dir, "sub"), 0o700)
	t.Chdir(sub)
	paths := map[string]string{
		"absolute":      path,
		"relative":      "../key.pem",
		"with dots":     dir + "/./sub/..//key.pem",
		"link":          symlink(t, path, filepath.Join(dir, "absolute")),
		"relative link": symlink(t, "../key.pem", filepath.Join(sub, "relative")),
		"link to link":  symlink(t, "sub/relative", filepath.Join(dir, "chain")),
		"linked dir":    symlink(t, dir, filepath.Join(sub, "dir")) + "/key.pem",
	}
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			key, warned, err := LoadKey(path)
			if err != nil || len(warned) != 0 {
				t.Fatalf("%v, %q", err, warned)
			}
			if !samePublic(key, testKeys()[1].Signer) {
				t.Error("another key")
			}
		})
	}
}

func TestFileModes(t *testing.T) {
	_, path := keyDir(t)
	for _, mode := range []fs.FileMode{0o600, 0o400, 0o700, 0o500} {
		chmod(t, path, mode)
		if _, _, err := LoadKey(path); err != nil {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o602, 0o644, 0o660, 0o666, 0o777} {
		chmod(t, path, mode)
		unsafe := refused(t, path)
		if unsafe.Path != path || unsafe.Mend != "chmod 600 "+path {
			t.Errorf("mode %o: %v", mode, unsafe)
		}
	}
}

// refused loads a key and wants an *UnsafeError.
func refused(t *testing.T, path string) *UnsafeError {
	t.Helper()
	key, _, err := LoadKey(path)
	unsafe, ok := errors.AsType[*UnsafeError](err)
	if !ok || key != nil {
		t.Fatalf("LoadKey(%s): %v, %v", path, key, err)
	}
	if text := err.Error(); !strings.Contains(text, path) || !strings.Contains(text, unsafe.Mend) {
		t.Errorf("%q lacks the path or the mend", text)
	}
	return unsafe
}

func TestDirectoryModes(t *testing.T) {
	dir, path := keyDir(t)
	inner := mkdir(t, filepath.Join(dir, "inner"), 0o700)
	if err := os.Rename(path, filepath.Join(inner, "key.pem")); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(inner, "key.pem")
	for _, at := range []string{dir, inner} {
		for _, mode := range []fs.FileMode{0o755, 0o711, 0o700, 0o1777, 0o1770} {
			chmod(t, at, sticky(mode))
			if _, _, err := LoadKey(path); err != nil {
				t.Errorf("%s of mode %o: %v", at, mode, err)
			}
		}
		for _, mode := range []fs.FileMode{0o770, 0o775, 0o777, 0o702} {
			chmod(t, at, mode)
			unsafe := refused(t, path)
			if unsafe.Path != at || unsafe.Mend != "chmod go-w "+at {
				t.Errorf("%s of mode %o: %v", at, mode, unsafe)
			}
		}
		chmod(t, at, 0o700)
	}
}

// sticky turns the octal sticky bit into Go's.
func sticky(mode fs.FileMode) fs.FileMode {
	if mode&0o1000 != 0 {
		return mode&0o777 | fs.ModeSticky
	}
	return mode
}

// TestLinkThroughOpenDirectory has the way to the link open and the key's own way
// safe, and the other way round.
func TestLinkThroughOpenDirectory(t *testing.T) {
	dir, path := keyDir(t)
	open := mkdir(t, filepath.Join(dir, "open"), 0o777)
	link := symlink(t, path, filepath.Join(open, "link"))
	if unsafe := refused(t, link); unsafe.Path != open {
		t.Errorf("%v", unsafe)
	}
	chmod(t, open, 0o700)
	if err := os.Rename(path, filepath.Join(open, "key.pem")); err != nil {
		t.Fatal(err)
	}
	chmod(t, open, 0o777)
	if unsafe := refused(t, symlink(t, "open/key.pem", path)); unsafe.Path != open {
		t.Errorf("%v", unsafe)
	}
	if unsafe := refused(t, dir+"/open/../key.pem"); unsafe.Path != open {
		t.Errorf("%v", unsafe)
	}
}

// TestStrangersFile has a file that belongs to neither us nor root, in a sticky
// directory and elsewhere.
func TestStrangersFile(t *testing.T) {
	dir, path := keyDir(t)
	uid := makeStrangers(t, path)
	_, err := readPrivate(path, uid)
	unsafe, ok := errors.AsType[*UnsafeError](err)
	if !ok || !strings.Contains(unsafe.Mend, "chown ") || !strings.Contains(unsafe.Reason, "belongs to") {
		t.Errorf("%v", err)
	}
	chmod(t, dir, sticky(0o1777))
	if _, err := readPrivate(path, uid); !errors.As(err, &unsafe) {
		t.Errorf("in a sticky directory: %v", err)
	}
}

// TestNotOurs names root once, also to root.
func TestNotOurs(t *testing.T) {
	info, err := os.Lstat(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got := notOurs("/key", info, 0).Reason; !strings.HasSuffix(got, ", not to root") {
		t.Errorf("for root: %s", got)
	}
	if got := notOurs("/key", info, 65432).Reason; !strings.HasSuffix(got, ", neither to 65432 nor to root") {
		t.Errorf("for a user: %s", got)
	}
}

// TestStrangersLink has a link that a stranger put into a sticky directory and can
// turn to another key at any time.
func TestStrangersLink(t *testing.T) {
	dir, path := keyDir(t)
	shared := mkdir(t, filepath.Join(dir, "shared"), sticky(0o1777))
	link := symlink(t, path, filepath.Join(shared, "link"))
	if _, _, err := LoadKey(link); err != nil {
		t.Fatalf("our own link: %v", err)
	}
	_, err := readPrivate(link, makeStrangers(t, link))
	if _, ok := errors.AsType[*UnsafeError](err); !ok {
		t.Errorf("%v", err)
	}
}

// makeStrangers returns a user id, not root's unless we are root, that path then
// doesn't belong to.
func makeStrangers(t *testing.T, path string) int {
	t.Helper()
	if uid := os.Geteuid(); uid != 0 {
		return uid + 1
	}
	if err := os.Lchown(path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	return 0
}

// entry is what lstat says of a file that nobody needs to make.
type entry struct {
	fs.FileInfo
	mode fs.FileMode
	uid  uint32
}

func (e entry) Mode() fs.FileMode { return e.mode }
func (e entry) IsDir() bool       { return e.mode.IsDir() }
func (e entry) Sys() any          { return &syscall.Stat_t{Uid: e.uid} }

func TestOwners(t *testing.T) {
	const us, root, other = 4242, 0, 4343
	tests := []struct {
		info entry
		mend string // "" for safe
	}{
		{entry{mode: 0o600, uid: us}, ""},
		{entry{mode: 0o600, uid: root}, ""},
		{entry{mode: 0o640, uid: us}, "chmod 600 /k"},
		{entry{mode: 0o640, uid: root}, "chown 4242 /k && chmod 600 /k"},
		{entry{mode: 0o600, uid: other}, "chown 4242 /k && chmod 600 /k"},
		{entry{mode: 0o755 | fs.ModeDir, uid: us}, ""},
		{entry{mode: 0o755 | fs.ModeDir, uid: root}, ""},
		{entry{mode: 0o777 | fs.ModeDir | fs.ModeSticky, uid: root}, ""},
		{entry{mode: 0o755 | fs.ModeDir, uid: other}, "chown 4242 /k"},
		{entry{mode: 0o777 | fs.ModeDir | fs.ModeSticky, uid: other}, "chown 4242 /k"},
		{entry{mode: 0o775 | fs.ModeDir, uid: root}, "chmod go-w /k"},
	}
	for _, tt := range tests {
		check := checkFile
		if tt.info.IsDir() {
			check = checkDir
		}
		err := check("/k", tt.info, us)
		mend := ""
		if unsafe, ok := errors.AsType[*UnsafeError](err); ok {
			mend = unsafe.Mend
		}
		if mend != tt.mend || (err == nil) != (tt.mend == "") {
			t.Errorf("%v of %d: %v, want %q", tt.info.mode, tt.info.uid, err, tt.mend)
		}
	}
}

func TestNoKeyFile(t *testing.T) {
	dir, path := keyDir(t)
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, make([]byte, maxKeyFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(dir, "loop")
	tests := map[string]string{
		"missing":       filepath.Join(dir, "no.pem"),
		"missing dir":   filepath.Join(dir, "no", "key.pem"),
		"through file":  filepath.Join(path, "key.pem"),
		"directory":     dir,
		"fifo":          fifo,
		"too long":      long,
		"dangling link": symlink(t, "nowhere", filepath.Join(dir, "dangling")),
		"loop":          symlink(t, loop, loop),
		"empty name":    "",
	}
	for name, path := range tests {
		t.Run(name, func(t *testing.T) {
			key, _, err := LoadKey(path)
			if err == nil || key != nil {
				t.Fatalf("%v, %v", key, err)
			}
			if missing := strings.HasPrefix(name, "missing"); errors.Is(err, fs.ErrNotExist) != (missing || name == "dangling link") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"/etc/mailgate/key-1_a.pem": "/etc/mailgate/key-1_a.pem",
		"/a b":                      "'/a b'",
		"/it's":                     `'/it'\''s'`,
		"/$(x)":                     "'/$(x)'",
		"/schlüssel":                "'/schlüssel'",
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%s) = %s, want %s", in, got, want)
		}
	}
}
