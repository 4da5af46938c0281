package main

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailgate/internal/config"
	"mailgate/internal/mail"
	"mailgate/internal/rotation"
	"mailgate/internal/sign"
	"mailgate/internal/web"
)

// A key's record is written by its own domain's publisher: another [[domain]]'s account
// may not have the zone, or the wrong one of that name.
func TestRotationDomain(t *testing.T) {
	type domains []config.Domain
	d := func(name, as, publisher string) config.Domain {
		bare, wildcard := strings.CutPrefix(name, "*.")
		return config.Domain{Pattern: name, Name: mail.Domain(bare), Wildcard: wildcard, SignAs: mail.Domain(as), Publisher: publisher}
	}
	for name, tt := range map[string]struct {
		domains domains
		want    string // publisher; "none", or "unknown" for a domain that nothing signs as
	}{
		"its own":                  {domains{d("esp.example", "", "esp")}, "esp"},
		"its own, after another's": {domains{d("client.example", "esp.example", "client"), d("esp.example", "", "esp")}, "esp"},
		"its own has none":         {domains{d("client.example", "esp.example", "client"), d("esp.example", "", "")}, "none"},
		"another's alone":          {domains{d("client.example", "esp.example", "client")}, "client"},
		"others of one mind":       {domains{d("a.example", "esp.example", "x"), d("b.example", "esp.example", "x")}, "x"},
		"others that differ":       {domains{d("a.example", "esp.example", "x"), d("b.example", "esp.example", "y"), d("c.example", "esp.example", "x")}, "none"},
		"one of others has none":   {domains{d("a.example", "esp.example", ""), d("b.example", "esp.example", "y")}, "none"},
		"a wildcard":               {domains{d("*.esp.example", "", "wild"), d("esp.example", "", "esp")}, "esp"},
		"it signs as another":      {domains{d("esp.example", "other.example", "x")}, "unknown"},
	} {
		found, ok := rotationDomain(&config.Config{Domains: tt.domains}, "esp.example")
		got := found.Publisher
		switch {
		case !ok:
			got = "unknown"
		case got == "":
			got = "none"
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// A file that other keys are in isn't called free.
func TestOldFileOfOthers(t *testing.T) {
	cfg := &config.Config{Domains: []config.Domain{
		{Pattern: "a.example", Name: "a.example", Keys: []config.Key{{Selector: "mail", File: "/k/shared.pem"}}},
		{Pattern: "b.example", Name: "b.example", Keys: []config.Key{{Selector: "mail", File: "/k/shared.pem"}}},
		{Pattern: "c.example", Name: "c.example", SignAs: "a.example", Keys: []config.Key{{Selector: "MAIL", File: "/k/shared.pem"}}},
		{Pattern: "d.example", Name: "d.example", Keys: []config.Key{{Selector: "mail", File: "/k/d.pem"}}},
	}}
	r := rotation.Rotation{Domain: "a.example", State: rotation.Done, Old: rotation.Pair{Selector: "mail", File: "/k/shared.pem"}, New: rotation.Pair{Selector: "m2026a", File: "/k/new.pem"}}
	intoIt := rotation.Rotation{Domain: "d.example", State: rotation.Done, Old: rotation.Pair{Selector: "mail", File: "/k/d.pem"}, New: rotation.Pair{Selector: "next", File: "/k/shared.pem"}}
	if got := strings.Join(usedBy(cfg, rotation.BookOf([]rotation.Rotation{r, intoIt}), r), ", "); got != "mail of b.example, next of d.example" {
		t.Errorf("used by %s", got)
	}
	for _, tt := range []struct {
		usedBy []string
		want   string
	}{
		{nil, "Then /k/shared.pem may be deleted."},
		{[]string{"mail of b.example"}, "Leave /k/shared.pem: it is also mail of b.example."},
	} {
		var out bytes.Buffer
		printRotationNext(&out, web.Rotation{State: "done", Old: web.RotationKey(r.Old), Configure: "{ … }", UsedBy: tt.usedBy}, (&app{}).command)
		if !strings.Contains(out.String(), tt.want) || strings.Count(out.String(), "shared.pem") != 1 {
			t.Errorf("%q: %s", tt.usedBy, out.String())
		}
	}
}

// What to type next names the key: without a selector it would be all of the domain's.
func TestRotationSaysWhichKey(t *testing.T) {
	r := web.Rotation{Domain: "a.example", State: "publishing", Old: web.RotationKey{Selector: "mail"}, New: web.RotationKey{Selector: "m2026a"}}
	var out bytes.Buffer
	printRotationNext(&out, r, (&app{}).command)
	keys := withRotations(nil, []rotation.Rotation{{
		Domain: "a.example", State: rotation.Publishing, Old: rotation.Pair{Selector: "mail"}, New: rotation.Pair{Selector: "m2026a"},
	}}, func(mail.Domain) bool { return true })
	for name, said := range map[string]string{
		"status": rotationLines([]web.Rotation{r}, time.Now(), (&app{}).command)[0], "rotate": out.String(), "list": keys[0].Why,
	} {
		if !strings.Contains(said, ": mailgate keys rotate a.example --selector mail") {
			t.Errorf("%s: %s", name, said)
		}
	}
}

func TestWaitedFor(t *testing.T) {
	for _, tt := range []struct {
		states  string
		waiting bool
		code    int
	}{
		{"signing", false, exitPass}, {"revoking done", false, exitPass},
		{"cancelled", false, exitFail}, {"signing cancelled", false, exitFail}, {"cancelled holding", true, exitFail},
	} {
		var list []web.Rotation
		waiting := false
		for state := range strings.FieldsSeq(tt.states) {
			r := web.Rotation{Domain: "a.example", State: state, Ended: time.Now()}
			list, waiting = append(list, r), waiting || awaitsSwitch(r)
		}
		code, err := exitPass, waitedFor(list)
		if err != nil {
			code = exitCode(err)
		}
		if code != tt.code || waiting != tt.waiting {
			t.Errorf("%s: %v, waits %v", tt.states, err, waiting)
		}
	}
}

// A rotation that has ended, and whose key is gone, keeps nobody from starting.
func TestEndedRotationWithoutKey(t *testing.T) {
	dir := t.TempDir()
	key, err := sign.Generate("ed25519")
	mailFile, nextFile := filepath.Join(dir, "mail.pem"), filepath.Join(dir, "next.pem")
	if err := errors.Join(err, sign.WriteKey(mailFile, key)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		state rotation.State
		file  string // configured
		want  string // selector, or a part of the error
	}{
		{rotation.Done, mailFile, "mail"},
		{rotation.Done, filepath.Join(dir, "gone.pem"), "a rotation that has ended put it in the place of mail"},
		{rotation.Signing, mailFile, "key next of one.example: "},
		{rotation.Revoking, mailFile, "key next of one.example: "},
	} {
		cfg := &config.Config{Domains: []config.Domain{{Pattern: "one.example", Name: "one.example", Keys: []config.Key{{Selector: "mail", File: tt.file}}}}}
		book := rotation.BookOf([]rotation.Rotation{{Domain: "one.example", State: tt.state, Old: rotation.Pair{Selector: "mail"}, New: rotation.Pair{Selector: "next", File: nextFile}}})
		ring, err := loadKeysBy(cfg, book, sign.LoadKey, slog.New(slog.DiscardHandler))
		switch {
		case err != nil && (!strings.Contains(err.Error(), tt.want) || !errors.Is(err, fs.ErrNotExist)):
			t.Errorf("%s: %v", tt.state, err)
		case err == nil && ring.Keys()[0].Selector != tt.want:
			t.Errorf("%s: %s signs", tt.state, ring.Keys()[0].Selector)
		}
	}
}
