package rotation

import (
	"errors"
	"os"
	"strings"
	"testing"

	"mailgate/internal/sign"
)

// A rotation of long ago says nothing about another key under the selector of the one
// it replaced.
func TestSelectorUsedAgain(t *testing.T) {
	newKey := func(w *world) error {
		signer, err := sign.Generate("ed25519")
		if err != nil {
			return err
		}
		file := w.site.Keys[0].File
		return errors.Join(os.Remove(file), sign.WriteKey(file, signer))
	}
	for name, tt := range map[string]struct {
		do    func(w *world) error
		signs string
		left  int
	}{
		"the same key":                  {func(*world) error { return nil }, "e2026a", 1},
		"its file is gone":              {func(w *world) error { return os.Remove(w.site.Keys[0].File) }, "e2026a", 1},
		"another key":                   {newKey, "mail", 0},
		"the new key, by the old name":  {func(w *world) error { w.site.Keys[0].File = w.rotation().New.File; return nil }, "e2026a", 1},
		"another key, the next deleted": {func(w *world) error { return errors.Join(os.Remove(w.rotation().New.File), newKey(w)) }, "mail", 0},
	} {
		for _, restarted := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				w.host = &host{zone: w.zone}
				w.rotate()
				w.run(20 * day)
				w.want(Done, "e2026a")
				w.signs = nil
				if err := tt.do(w); err != nil {
					t.Fatal(err)
				}
				if restarted {
					w.start()
				} else {
					w.engine.Reconfigured()
				}
				w.sign()
				if w.selectors() != tt.signs {
					t.Errorf("%s signs, want %s", w.selectors(), tt.signs)
				}
				w.turn()
				if got := len(w.engine.Rotations("")); got != tt.left || len(w.notes.kept) != tt.left {
					t.Errorf("%d rotations and %d notes, want %d", got, len(w.notes.kept), tt.left)
				}
				if said := strings.Contains(w.log.String(), "forgotten: another key"); said != (tt.left == 0) {
					t.Errorf("said: %v\n%s", said, w.lastLines())
				}
				if w.sign(); w.selectors() != tt.signs {
					t.Errorf("then %s signs, want %s", w.selectors(), tt.signs)
				}
			})
		}
	}
}

// What can't be forgotten now is forgotten later, and doesn't count meanwhile.
func TestForgetFails(t *testing.T) {
	w := newWorld(t)
	w.host = &host{zone: w.zone}
	w.rotate()
	w.run(20 * day)
	signer, err := sign.Generate("ed25519")
	if err := errors.Join(err, os.Remove(w.site.Keys[0].File), sign.WriteKey(w.site.Keys[0].File, signer)); err != nil {
		t.Fatal(err)
	}
	w.notes.fail = errDown
	w.engine.Reconfigured()
	w.turn()
	if len(w.notes.kept) != 1 {
		t.Fatal("dropped, and the store takes nothing")
	}
	w.notes.fail = nil
	w.turn()
	if len(w.notes.kept) != 0 {
		t.Error("not tried again")
	}
}

// Where the key that an ended rotation put in place can't be read, the configured one
// is there to fall back on; while the rotation is open, the one on standby is.
func TestConfiguredBehindTheNew(t *testing.T) {
	for _, tt := range []struct{ rotations, configured, want string }{
		{"mail>next:done", "mail", "mail"},
		{"mail>next:done next>third:done", "mail", "mail"},
		{"mail>next:done", "mail next", ""},
		{"mail>next:done", "next", ""},
		{"mail>next:signing", "mail", ""},
		{"mail>next:revoking", "mail", ""},
		{"mail>next:done next>third:signing", "mail", ""},
	} {
		var configured []Use
		for selector := range strings.FieldsSeq(tt.configured) {
			configured = append(configured, Use{Selector: selector, File: selector + ".pem"})
		}
		got := ""
		if k := bookOf(t, tt.rotations).Uses(domain, configured)[0]; k.Configured != nil {
			got = k.Configured.Selector
		}
		if got != tt.want {
			t.Errorf("%s, configured %s: falls back on %q, want %q", tt.rotations, tt.configured, got, tt.want)
		}
	}
}
