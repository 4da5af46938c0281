package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
)

// story is what looks at a domain find: a code until a time, then that all is well.
type story struct {
	code   string
	status preflight.Status
	until  time.Duration // 0: for ever
}

// waitingRun is a run over domains with stories; its looks and what it tells are
// kept.
type waitingRun struct {
	*checkRun
	began time.Time
	told  strings.Builder

	mu    sync.Mutex
	looks []string // "12s a.example fresh"
}

func newWaitingRun(stories map[mail.Domain]story, wait time.Duration) *waitingRun {
	w := &waitingRun{began: time.Now()}
	w.checkRun = &checkRun{flags: checkFlags{wait: wait}, progress: newProgress(&w.told, false), several: len(stories) > 1}
	for d := range stories {
		w.targets = append(w.targets, checkTarget{domain: d})
	}
	slices.SortFunc(w.targets, func(a, b checkTarget) int { return strings.Compare(string(a.domain), string(b.domain)) })
	w.look = func(_ context.Context, t checkTarget, fresh bool) *checked {
		w.mu.Lock()
		defer w.mu.Unlock()
		after := time.Since(w.began)
		w.looks = append(w.looks, strings.TrimSuffix(fmt.Sprintf("%s %s %v", after, t.domain, fresh), " false"))
		c := &checked{Domain: string(t.domain), Verdict: "pass", Report: &preflight.Report{}}
		if s := stories[t.domain]; s.until == 0 || after < s.until {
			c.Verdict = string(s.status)
			c.Report.Findings = []preflight.Finding{{Check: preflight.DKIM, Code: s.code, Status: s.status, Selector: "mail"}}
		}
		return c
	}
	return w
}

func TestWait(t *testing.T) {
	missing := func(until time.Duration) story { return story{"dkim-missing", preflight.Fail, until} }
	tests := []struct {
		name    string
		stories map[mail.Domain]story
		wait    time.Duration
		looks   string
		verdict string // of the first
	}{
		{"no waiting", map[mail.Domain]story{"a.example": missing(0)}, 0, "0s a.example", "fail"},
		{"until it is", map[mail.Domain]story{"a.example": missing(20 * time.Second)}, time.Minute,
			"0s a.example, 5s a.example true, 12.5s a.example true, 23.75s a.example true", "pass"},
		{"until the time is over, and then once more", map[mail.Domain]story{"a.example": missing(0)}, 30 * time.Second,
			"0s a.example, 5s a.example true, 12.5s a.example true, 23.75s a.example true, 30s a.example true", "fail"},
		{"at most 30 s apart", map[mail.Domain]story{"a.example": missing(0)}, 100 * time.Second,
			"0s a.example, 5s a.example true, 12.5s a.example true, 23.75s a.example true, 40.625s a.example true, 1m5.9375s a.example true, 1m35.9375s a.example true, 1m40s a.example true", "fail"},
		{"DNS that is silent is left alone for longer", map[mail.Domain]story{"a.example": {"dns-unreachable", preflight.Unknown, 20 * time.Second}}, time.Minute,
			"0s a.example, 15s a.example true, 37.5s a.example true", "pass"},
		{"only those that aren't well", map[mail.Domain]story{"a.example": missing(time.Second), "b.example": missing(6 * time.Second)}, time.Minute,
			"0s a.example, 0s b.example, 5s a.example true, 5s b.example true, 10s b.example true", "pass"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWaitingRun(c.stories, c.wait)
				results, err := w.run(t.Context())
				if got := strings.Join(looksInOrder(w.looks), ", "); err != nil || got != c.looks || results[0].Verdict != c.verdict {
					t.Errorf("%s, %v\ngot  %s\nwant %s", results[0].Verdict, err, got, c.looks)
				}
			})
		})
	}
}

// looksInOrder sorts looks of the same moment by domain.
func looksInOrder(looks []string) []string {
	slices.SortStableFunc(looks, func(a, b string) int {
		whenA, whoA, _ := strings.Cut(a, " ")
		whenB, whoB, _ := strings.Cut(b, " ")
		if whenA != whenB {
			return 0
		}
		return strings.Compare(whoA, whoB)
	})
	return looks
}

// TestWaitTells has a line a change where there is no terminal.
func TestWaitTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaitingRun(map[mail.Domain]story{
			"a.example": {"dkim-missing", preflight.Fail, 10 * time.Second}, "b.example": {"dkim-key-mismatch", preflight.Fail, 50 * time.Second},
			"c.example": {"dkim-missing", preflight.Fail, 50 * time.Second}, "d.example": {"dkim-missing", preflight.Fail, 50 * time.Second},
		}, time.Minute)
		if _, err := w.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(w.told.String()), "\n")
		want := []string{
			"waiting: 4 of 4 not well: a.example: DKIM mail dkim-missing; b.example: DKIM mail dkim-key-mismatch; c.example: DKIM mail dkim-missing; and 1 more",
			"waiting: 3 of 4 not well: b.example: DKIM mail dkim-key-mismatch; c.example: DKIM mail dkim-missing; d.example: DKIM mail dkim-missing",
		}
		if len(lines) != len(want) {
			t.Fatalf("told\n%s", w.told.String())
		}
		for i, line := range lines {
			if !strings.HasSuffix(line, want[i]) {
				t.Errorf("told %q, want %q", line, want[i])
			}
		}
	})
}

// TestWaitInterrupted ends at once, with what was found last.
func TestWaitInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaitingRun(map[mail.Domain]story{"a.example": {"dkim-missing", preflight.Fail, 0}, "b.example": {"", preflight.Fail, time.Nanosecond}}, time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(7*time.Second, cancel)
		results, err := w.run(ctx)
		if err == nil || err.Error() != "interrupted while waiting: 1 of 2 not well yet" || len(results) != 2 || time.Since(w.began) != 7*time.Second {
			t.Errorf("%d results, %v, after %s", len(results), err, time.Since(w.began))
		}
	})
}

// TestCheckInterrupted leaves out what was not done, and what was broken off.
func TestCheckInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stories := map[mail.Domain]story{}
		for i := range 40 {
			stories[mail.Domain(fmt.Sprintf("d%02d.example", i))] = story{until: time.Nanosecond}
		}
		w := newWaitingRun(stories, 0)
		ctx, cancel := context.WithCancel(t.Context())
		look := w.look
		w.look = func(ctx context.Context, target checkTarget, fresh bool) *checked {
			c := look(ctx, target, fresh)
			sleep(ctx, time.Second)
			return c
		}
		time.AfterFunc(2500*time.Millisecond, cancel)
		results, err := w.run(ctx)
		if err == nil || err.Error() != "interrupted: 16 of 40 checked" || len(results) != 16 || len(w.looks) != 24 {
			t.Errorf("%d results of %d looks: %v", len(results), len(w.looks), err)
		}
	})
}

// TestServersWith counts the name servers that have a key.
func TestServersWith(t *testing.T) {
	at := func(view string, match preflight.KeyMatch) preflight.KeyServer {
		s := preflight.KeyServer{Match: match}
		s.View = "authoritative"
		if view != "" {
			s.View = "panel"
		}
		return s
	}
	c := &checked{
		Keys:   []keyEvidence{{Selector: "mail", Servers: []preflight.KeyServer{at("", preflight.KeyMatches), at("", preflight.KeyNone), at("", preflight.KeyAlias), at("panel", preflight.KeyMatches)}}},
		Report: &preflight.Report{Findings: []preflight.Finding{{Check: preflight.DKIM, Code: "ns-disagree", Status: preflight.Fail, Selector: "mail"}, {Check: preflight.SPF, Code: "spf-softfail", Status: preflight.Fail}}},
	}
	if got := c.wrong(); got != "DKIM mail ns-disagree (on 1 of 2 name servers), SPF spf-softfail" {
		t.Errorf("got %q", got)
	}
}
