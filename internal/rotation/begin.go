package rotation

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/sign"
)

// Order is an order to rotate keys.
type Order struct {
	Domain   mail.Domain // d=
	Selector string      // of the key to replace; empty: all that sign
	DryRun   bool        // only say what would be done
	Again    bool        // although the key was replaced within a day
	By       string
}

// restTime is how long an order shows the rotation that has ended, rather than begin
// the next: who looks how it went doesn't mean to begin again.
const restTime = 24 * time.Hour

// Rotate begins a rotation of each key ordered, or goes on with the one under way.
func (e *Engine) Rotate(ctx context.Context, o Order) ([]Rotation, error) {
	e.working.Lock()
	defer e.working.Unlock()
	e.forget(ctx)
	keys, err := e.ordered(o)
	if err != nil {
		return nil, err
	}
	var list []Rotation
	for _, k := range keys {
		r, err := e.rotate(ctx, k, o)
		if err != nil {
			return list, fmt.Errorf("rotate key %s of %s: %w", k.Selector, o.Domain, err)
		}
		list = append(list, r)
	}
	return list, nil
}

// ordered are the keys that an order is about: those that sign now.
func (e *Engine) ordered(o Order) ([]Use, error) {
	var keys []Use
	signs := e.signing(o.Domain)
	for _, k := range signs {
		r := e.Book().into(o.Domain, k.Selector)
		if o.Selector == "" || strings.EqualFold(k.Selector, o.Selector) || r != nil && strings.EqualFold(r.Old.Selector, o.Selector) {
			keys = append(keys, k)
		}
	}
	switch {
	case len(signs) == 0:
		return nil, fmt.Errorf("%w for %s: `mailgate keys list` shows those there are", ErrNoKey, o.Domain)
	case len(keys) == 0:
		return nil, fmt.Errorf("%w for %s with the selector %q: `mailgate keys list` shows those there are", ErrNoKey, o.Domain, o.Selector)
	}
	return keys, nil
}

// signing are the keys of a signing domain that sign now.
func (e *Engine) signing(d mail.Domain) []Use {
	var configured, active []Use
	for _, k := range e.o.Site().Keys {
		if k.Domain == d {
			configured = append(configured, k.Use)
		}
	}
	for _, k := range e.Book().Uses(d, configured) {
		if !k.Standby {
			active = append(active, k)
		}
	}
	return active
}

// underWay is the rotation that a key that signs is part of; also one that has just
// ended.
func (e *Engine) underWay(d mail.Domain, k Use, again bool) (Rotation, bool) {
	book := e.Book()
	if r := book.of(d, k.Selector); r != nil && r.State.Open() {
		return e.current(r.OldName())
	}
	if r := book.into(d, k.Selector); r != nil && (r.State.Open() && r.State.Switched() || r.State == Done && !again && e.o.Now().Sub(r.Ended) < restTime) {
		return e.current(r.OldName())
	}
	return Rotation{}, false
}

func (e *Engine) rotate(ctx context.Context, k Use, o Order) (Rotation, error) {
	r, ok := e.underWay(o.Domain, k, o.Again)
	switch {
	case ok && (o.DryRun || !r.State.Open()):
		return r, nil
	case !ok:
		var err error
		if r, err = e.begin(ctx, k, o); err != nil || o.DryRun {
			return r, err
		}
	}
	e.advance(ctx, r)
	now, _ := e.current(r.OldName())
	return now, nil
}

// begin writes a new key, and then that there is a rotation.
func (e *Engine) begin(ctx context.Context, k Use, o Order) (Rotation, error) {
	old, _, err := sign.LoadKey(k.File)
	if err != nil {
		return Rotation{}, err
	}
	_, ed := old.Public().(ed25519.PublicKey)
	dir := cmp.Or(e.o.Site().Dir, filepath.Dir(k.File))
	r := Rotation{
		Domain: o.Domain, State: Publishing, By: o.By, Begun: e.o.Now(), Grace: e.o.Site().Grace,
		Old: Pair{k.Selector, k.File, sign.Key{Signer: old}.Algorithm()}, Was: sign.Key{Signer: old}.Record(),
	}
	if r.New.Selector, r.New.File, err = e.freeName(ctx, o.Domain, dir, ed); err != nil || o.DryRun {
		return r, err
	}
	signer, err := sign.Generate(kindAfter(old))
	if err != nil {
		return r, err
	}
	if err := writeUsable(r.New.File, signer); err != nil {
		return r, err
	}
	e.o.CrashPoint("rotate-key-written")
	made := sign.Key{Signer: signer}
	r.New.Algorithm, r.Record = made.Algorithm(), made.Record()
	act := fmt.Sprintf("began: new key %s written to %s", r.New.Selector, r.New.File)
	if err := e.keep(ctx, r, act, o.By); err != nil {
		return r, errors.Join(err, os.Remove(r.New.File))
	}
	e.o.CrashPoint("rotate-begun")
	e.soon(r.OldName())
	return r, nil
}

// kindAfter is the kind of key that follows one: the same, and of RSA at least 2048
// bits.
func kindAfter(old crypto.Signer) string {
	key, ok := old.Public().(*rsa.PublicKey)
	switch {
	case !ok:
		return "ed25519"
	case key.N.BitLen() <= 2048:
		return "rsa2048"
	case key.N.BitLen() <= 3072:
		return "rsa3072"
	}
	return "rsa4096"
}

// writeUsable writes a key file that can be read again as one: a directory that others
// may write to would only be noticed at the switch.
func writeUsable(file string, signer crypto.Signer) error {
	if err := sign.WriteKey(file, signer); errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: let the gateway's user write there, or set keys.dir to a directory of its own (under systemd's ProtectSystem=: one of ReadWritePaths=)", err)
	} else if err != nil {
		return err
	}
	if _, _, err := sign.LoadKey(file); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}
