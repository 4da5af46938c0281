package gate

import (
	"context"
	"errors"
	"strings"
	"testing"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// twoKeys is a keyring of mail and next, with what is said of each.
func twoKeys(t *testing.T, standby bool) *sign.Keyring {
	t.Helper()
	next := newKey(t)
	next.Selector, next.Standby = "next", standby
	return keyring(t, newKey(t), next)
}

// twoFacts is what DNS says of these, as pre-flight settled it.
func twoFacts(mailUnused, nextUnused bool) preflight.Facts {
	f := wellPublished()
	f.DKIM[0].Unused = mailUnused
	next := f.DKIM[0]
	next.Selector, next.Unused = "next", nextUnused
	f.DKIM = append(f.DKIM, next)
	return f
}

func TestSignsWithTheKeysInUse(t *testing.T) {
	tests := []struct {
		name    string
		standby bool
		facts   preflight.Facts
		want    string
	}{
		{"both are valid", false, twoFacts(false, false), "example.com/mail example.com/next"},
		{"one isn't published", false, twoFacts(true, false), "example.com/next"},
		{"one is on standby", true, twoFacts(false, true), "example.com/mail"},
		{"the one on standby steps in", true, twoFacts(true, false), "example.com/next"},
		{"nothing is known of the keys", true, preflight.Facts{}, "example.com/mail"},
		{"never unsigned", false, twoFacts(true, true), "example.com/mail example.com/next"},
	}
	begin := map[string]func(*Gate, context.Context, mail.Envelope, mail.Header) *Transaction{
		"new": func(g *Gate, ctx context.Context, env mail.Envelope, h mail.Header) *Transaction {
			return g.Begin(ctx, env, h, true)
		},
		"released": (*Gate).BeginReleased,
		"own":      (*Gate).BeginOwn,
	}
	for _, tt := range tests {
		for kind, begin := range begin {
			t.Run(tt.name+", "+kind, func(t *testing.T) {
				cfg := enforce
				cfg.Observe = true
				g := New(cfg, twoKeys(t, tt.standby), &fakeChecker{facts: tt.facts}, noTXT)
				header, body := parse(t, letter)
				o := finish(t, begin(g, t.Context(), envelope(t, "ann@example.com", "b@gmail.com"), header), body)
				if got := Signers(o.Signatures); got != tt.want {
					t.Errorf("signed by %q, want %q", got, tt.want)
				}
			})
		}
	}
}

// asking notes what it is asked about.
type asking struct {
	fakeChecker
	ids []preflight.Identity
}

func (c *asking) Check(ctx context.Context, id preflight.Identity) *preflight.Report {
	c.ids = append(c.ids, id)
	return c.fakeChecker.Check(ctx, id)
}

// Mail that isn't judged costs no question where there is nothing to choose from, and
// with a choice it is asked about the keys that would sign.
func TestReleasedAsksOnlyForAChoice(t *testing.T) {
	header, body := parse(t, letter)
	env := envelope(t, "ann@example.com", "b@gmail.com")

	one := &asking{fakeChecker: fakeChecker{facts: wellPublished()}}
	finish(t, New(enforce, keyring(t, newKey(t)), one, noTXT).BeginReleased(t.Context(), env, header), body)
	if len(one.ids) != 0 {
		t.Errorf("asked about %v for a single key", one.ids)
	}

	// A report of the host itself, which only its parent has keys for.
	two := &asking{fakeChecker: fakeChecker{facts: twoFacts(true, false)}}
	header, body = parse(t, strings.ReplaceAll(letter, "ann@example.com", "MAILER-DAEMON@mx1.example.com"))
	o := finish(t, New(enforce, twoKeys(t, false), two, noTXT).BeginOwn(t.Context(), envelope(t, "<>", "b@gmail.com"), header), body)
	if len(two.ids) != 1 || two.ids[0].From != "mx1.example.com" || two.ids[0].MailFrom != "" || len(two.ids[0].Keys) != 2 {
		t.Errorf("asked about %+v", two.ids)
	}
	if got := Signers(o.Signatures); got != "example.com/next" {
		t.Errorf("signed by %q", got)
	}
}

// The identity tells pre-flight of every key, those on standby too.
func TestIdentityHasStandbyKeys(t *testing.T) {
	g := New(enforce, twoKeys(t, true), &fakeChecker{}, noTXT)
	id := g.Identity("example.com", mail.Address{Domain: "example.com"})
	if len(id.Keys) != 2 || id.Keys[0].Standby || !id.Keys[1].Standby {
		t.Errorf("keys %+v", id.Keys)
	}
}

// The ordinary case costs no allocation.
func TestChoosingIsFree(t *testing.T) {
	keys := twoKeys(t, false).For("example.com")
	report := &preflight.Report{Facts: twoFacts(false, false)}
	if n := testing.AllocsPerRun(100, func() { signers(keys, report) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A key that fails to sign fails the message, even beside one that signs.
func TestFailingKeyInUse(t *testing.T) {
	next := newKey(t)
	next.Selector, next.Signer = "next", broken{next.Signer}
	ring := keyring(t, newKey(t), next)
	for unused, wantFailure := range map[bool]bool{false: true, true: false} {
		g := New(enforce, ring, &fakeChecker{facts: twoFacts(false, unused)}, noTXT)
		header, body := parse(t, letter)
		tx := g.Begin(t.Context(), envelope(t, "ann@example.com", "b@gmail.com"), header, true)
		finish(t, tx, body)
		if failed := tx.Err() != nil; failed != wantFailure {
			t.Errorf("unused %v: %v", unused, errors.Join(tx.Err()))
		}
	}
}
