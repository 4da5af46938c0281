package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// keyReport is a report on keys written as in "mail next!s": ! doesn't sign, s is on
// standby.
func keyReport(checked time.Time, keys string) *preflight.Report {
	r := &preflight.Report{From: "example.com", Checked: checked}
	for text := range strings.FieldsSeq(keys) {
		selector := strings.TrimRight(text, "!s")
		marks := text[len(selector):]
		r.Facts.DKIM = append(r.Facts.DKIM, preflight.KeyFact{
			Domain: "example.com", Selector: selector,
			Unused: strings.Contains(marks, "!"), Standby: strings.Contains(marks, "s"),
		})
		r.Findings = append(r.Findings, preflight.Finding{Check: preflight.DKIM, Selector: selector, Code: "code-of-" + selector})
	}
	return r
}

func TestSignerWatchTellsChangesOnce(t *testing.T) {
	var log bytes.Buffer
	w := newSignerWatch(slog.New(slog.NewTextHandler(&log, nil)))
	var stoodIn []string
	w.OnStandIn(func(d mail.Domain, selector string) { stoodIn = append(stoodIn, selector+"."+string(d)) })
	now := time.Now()
	steps := []struct {
		name, keys string
		after      time.Duration
		want       string // in the one line; empty: none
		left, in   float64
	}{
		{"all is in order", "mail next!s", 0, "", 0, 0},
		{"the same again", "mail next!s", 1, "", 0, 0},
		{"the one in use goes", "mail! next!s beside", 2, "selector=mail signing=beside finding=code-of-mail", 1, 0},
		{"still so", "mail! next!s beside", 3, "", 1, 0},
		{"an older report comes late", "mail next!s beside", 1, "", 1, 0},
		{"the one on standby steps in", "mail! nexts beside", 4, "on standby signs", 1, 1},
		{"it steps back", "mail! next!s beside", 5, "doesn't sign any more", 1, 0},
		{"the one in use is back", "mail next!s beside", 6, "signs again", 0, 0},
		{"one key alone", "mail!", 7, "", 0, 0},
	}
	for _, s := range steps {
		log.Reset()
		w.Found(keyReport(now.Add(s.after*time.Minute), s.keys))
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if (s.want == "") != (log.Len() == 0) || len(lines) > 1 || !strings.Contains(log.String(), s.want) {
			t.Errorf("%s: %q, want %q", s.name, log.String(), s.want)
		}
		if left, in := w.count(leftOut), w.count(standIn); left != s.left || in != s.in {
			t.Errorf("%s: %v left out and %v standing in, want %v and %v", s.name, left, in, s.left, s.in)
		}
	}
	// When it steps in, and when it has signed until then.
	if got := strings.Join(stoodIn, " "); got != "next.example.com next.example.com" {
		t.Errorf("stood in: %s", got)
	}
}

// However many reports and authors there are, it remembers the keys only, and after a
// reload those that are left.
func TestSignerWatchIsBounded(t *testing.T) {
	w := newSignerWatch(slog.New(slog.DiscardHandler))
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 200 {
				r := keyReport(time.Unix(int64(n), 0), []string{"mail! next", "mail next!"}[n%2])
				r.From = mail.Domain(fmt.Sprintf("d%d.example.com", n*i))
				w.Found(r)
			}
		})
	}
	all.Wait()
	w.Found(keyReport(time.Unix(1000, 0), "mail! other"))
	if len(w.sets) != 2 {
		t.Errorf("%d sets", len(w.sets))
	}
	key, err := sign.Generate("ed25519")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := sign.NewKeyring([]sign.DomainKeys{{Pattern: "example.com", Keys: []sign.Key{
		{Selector: "mail", Signer: key}, {Selector: "other", Signer: key},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if w.Keep(ring); len(w.sets) != 1 || w.count(leftOut) != 1 {
		t.Errorf("%d sets stay, %v left out", len(w.sets), w.count(leftOut))
	}
}
