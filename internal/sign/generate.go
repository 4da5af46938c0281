package sign

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Generate makes a key of the named kind: "rsa2048", "rsa3072", "rsa4096" or
// "ed25519".
func Generate(kind string) (crypto.Signer, error) {
	switch kind {
	case "rsa2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "rsa4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("kind of key %q: want rsa2048, rsa3072, rsa4096 or ed25519", kind)
}

// Owner is the user a file belongs to.
type Owner struct{ UID, GID int }

// WriteKey writes key to a new file of mode 0600 as PKCS#8 PEM and makes it
// durable. A missing directory is made with mode 0700. A file that is there
// already is left alone, and the error is fs.ErrExist.
func WriteKey(path string, key crypto.Signer) error { return WriteKeyFor(path, key, nil) }

// WriteKeyFor is WriteKey for a gateway that runs as another user: the file, and the
// directories made for it, are given to owner (nil: they stay ours). Only root can.
func WriteKeyFor(path string, key crypto.Signer, owner *Owner) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("write key %s: %w", path, err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := writeNew(path, text, owner); err != nil {
		return fmt.Errorf("write key %s: %w", path, err)
	}
	return nil
}

func writeNew(path string, data []byte, owner *Owner) error {
	dir := filepath.Dir(path)
	if err := makeDir(dir, owner); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := fill(file, data, owner); err != nil {
		// Half a key would keep the next attempt from writing a whole one.
		return errors.Join(err, os.Remove(path))
	}
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)))
}

// makeDir makes what is missing of a path, each with mode 0700.
func makeDir(path string, owner *Owner) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(path); parent != path {
		if err := makeDir(parent, owner); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil || owner == nil {
		return err
	}
	// Opened, so that it is given away itself and not what somebody put in its place.
	dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(dir.Chown(owner.UID, owner.GID), dir.Close())
}

func fill(file *os.File, data []byte, owner *Owner) error {
	_, err := file.Write(data)
	if err == nil && owner != nil {
		err = file.Chown(owner.UID, owner.GID)
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
