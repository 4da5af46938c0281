package sign

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGenerate(t *testing.T) {
	for kind, want := range map[string]string{"rsa2048": "RSA 2048", "ed25519": "Ed25519"} {
		t.Run(kind, func(t *testing.T) {
			key, err := Generate(kind)
			if err != nil {
				t.Fatal(err)
			}
			if got := (Key{Signer: key}).Algorithm(); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			path := filepath.Join(t.TempDir(), "key.pem")
			if err := WriteKey(path, key); err != nil {
				t.Fatal(err)
			}
			read, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			again, _, err := ParseKey(read)
			if err != nil || !samePublic(key, again) {
				t.Errorf("read back: %v", err)
			}
		})
	}
	for _, kind := range []string{"", "rsa", "rsa1024", "RSA2048", "ed448"} {
		if key, err := Generate(kind); err == nil {
			t.Errorf("%q gives %T", kind, key)
		}
	}
}

func TestWriteKeyModes(t *testing.T) {
	dir, _ := keyDir(t)
	path := filepath.Join(dir, "a", "b", "key.pem")
	if err := WriteKey(path, testKeys()[0].Signer); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{
		filepath.Join(dir, "a"):      0o700 | fs.ModeDir,
		filepath.Join(dir, "a", "b"): 0o700 | fs.ModeDir,
		path:                         0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
	if _, _, err := LoadKey(path); err != nil {
		t.Error(err)
	}
}

func TestWriteKeyKeepsWhatIsThere(t *testing.T) {
	dir, path := keyDir(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dangling := symlink(t, filepath.Join(dir, "target"), filepath.Join(dir, "link"))
	for _, at := range []string{path, dir, dangling} {
		if err := WriteKey(at, testKeys()[0].Signer); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", at, err)
		}
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the key was changed: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "target")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("written through a link: %v", err)
	}
}

func TestWriteKeyRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := WriteKey(path, oddKey{}); err == nil {
		t.Error("an odd key is written")
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file is left: %v", err)
	}
}

// A key for another user is that user's, with the directories made for it; whoever
// can't give it away leaves no key behind.
func TestWriteKeyFor(t *testing.T) {
	const nobody = 65534
	dir, _ := keyDir(t)
	made := filepath.Join(dir, "a", "b")
	path := filepath.Join(made, "key.pem")
	err := WriteKeyFor(path, testKeys()[0].Signer, &Owner{UID: nobody, GID: nobody})
	if os.Geteuid() != 0 {
		if _, missing := os.Stat(path); !errors.Is(err, fs.ErrPermission) || !errors.Is(missing, fs.ErrNotExist) {
			t.Errorf("%v; the key: %v", err, missing)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{dir: 0, filepath.Dir(made): nobody, made: nobody, path: nobody} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := owner(info); got != want {
			t.Errorf("%s belongs to %d, want %d", path, got, want)
		}
	}
	if err := CheckFile(path, nobody); err != nil {
		t.Errorf("its owner: %v", err)
	}
}

func TestCheckFile(t *testing.T) {
	dir, path := keyDir(t)
	if err := CheckFile(path, os.Geteuid()); err != nil {
		t.Errorf("a private key: %v", err)
	}
	chmod(t, path, 0o640)
	var unsafe *UnsafeError
	if err := CheckFile(path, os.Geteuid()); !errors.As(err, &unsafe) || !strings.Contains(unsafe.Mend, "chmod 600") {
		t.Errorf("a key the group can read: %v", err)
	}
	chmod(t, path, 0o600)
	if err := CheckFile(path, 65533); err == nil {
		t.Error("a key of ours is another's")
	}
	if err := CheckFile(filepath.Join(dir, "none"), os.Geteuid()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
