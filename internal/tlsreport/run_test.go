package tlsreport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/mail"
)

// at has the bubble's clock stand somewhere on day1. It begins at 2000-01-01.
func (w *world) at(d time.Duration) {
	offset := time.Until(day1.start().Add(d))
	w.now = func() time.Time { return time.Now().Add(offset) }
}

// run runs reports until stop, as in a gateway; what isn't kept then is lost.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.reports.Run(ctx)
	}()
	return func() { cancel(); <-done }
}

func (w *world) counted(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[what]
}

// remembered is how many days something is in memory of.
func (w *world) remembered() int {
	w.reports.mu.Lock()
	defer w.reports.mu.Unlock()
	return len(w.reports.books) + len(w.reports.sent) + len(w.reports.turns)
}

func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Sessions before and after midnight are in different reports; each leaves two hours
// (the jitter) after the end of its day.
func TestDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.at(23*time.Hour + 59*time.Minute + 30*time.Second)
		w.wants("example.net", "mailto:a@example.net")
		defer w.run()()
		w.reports.Session(well("example.net"))
		sleep(time.Minute)
		w.reports.Session(failed("example.net", ErrNoSTARTTLS))
		w.reports.Session(failed("example.net", ErrNoSTARTTLS))
		sleep(118 * time.Minute)
		if w.sent() != 0 {
			t.Fatal("the report leaves too early")
		}
		sleep(3 * time.Minute)
		if w.sent() != 1 {
			t.Fatalf("%d messages", w.sent())
		}
		sleep(24 * time.Hour)
		if w.sent() != 2 {
			t.Fatalf("a day later %d messages", w.sent())
		}
		for i, want := range []string{"2026-11-20 1 0", "2026-11-21 0 2"} {
			s, err := validate(open(t, w.mails[i].content).json)
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprintf("%s %d %d", s.Range.Start.Format(time.DateOnly), *s.Policies[0].Summary.Successes, *s.Policies[0].Summary.Failures)
			if got != want {
				t.Errorf("report %d: %s, want %s", i, got, want)
			}
		}
		sleep(72 * time.Hour)
		if w.remembered() != 0 {
			t.Error("something is left in memory")
		}
		for _, name := range w.noteNames() {
			if !strings.Contains(name, " sent ") { // they end by themselves
				t.Errorf("left in the store: %s", name)
			}
		}
	})
}

// A crash loses what was counted since the last few minutes, a stop nothing; a day that
// ended meanwhile is reported at once.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.at(12 * time.Hour)
		w.wants("example.net", "mailto:a@example.net")
		stop := w.run()
		w.reports.Session(well("example.net"))
		sleep(keepEvery)
		w.reports.Session(well("example.net"))
		stop()
		w.restart() // a crash
		stop = w.run()
		w.reports.Session(well("example.net"))
		w.reports.Session(failed("example.net", ErrNoSTARTTLS))
		stop()
		w.flush()
		w.restart()
		sleep(20 * time.Hour)
		defer w.run()()
		sleep(2 * time.Minute)
		if w.sent() != 1 {
			t.Fatalf("%d messages", w.sent())
		}
		s, err := validate(open(t, w.mails[0].content).json)
		if err != nil {
			t.Fatal(err)
		}
		if p := s.Policies[0]; *p.Summary.Successes != 2 || *p.Summary.Failures != 1 || *p.Details[0].Sessions != 1 {
			t.Errorf("%s", open(t, w.mails[0].content).json)
		}
	})
}

// A report that can't be sent is tried ever more seldom, and given up after a day.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.at(23 * time.Hour)
		w.refuse = errAny
		w.wants("example.net", "mailto:a@example.net")
		defer w.run()()
		w.reports.Session(well("example.net"))
		sleep(4 * time.Hour)
		if n := w.counted("mail failed"); n < 2 || n > 4 {
			t.Errorf("%d tries in an hour", n)
		}
		sleep(30 * time.Hour)
		if n := w.counted("mail failed"); n < 8 || n > 14 || w.counted("any given-up") != 1 {
			t.Errorf("%d tries", n)
		}
		tries := w.counted("mail failed")
		sleep(24 * time.Hour)
		if w.counted("mail failed") != tries || w.remembered() > 1 {
			t.Error("it goes on")
		}
	})
}

// Only what has changed is kept, and what couldn't be is kept the next time.
func TestFlush(t *testing.T) {
	w := newWorld(t)
	w.reports.Session(well("example.net"))
	w.disk = errAny
	if err := w.reports.Flush(t.Context()); !errors.Is(err, errAny) {
		t.Errorf("with a full disk: %v", err)
	}
	w.disk = nil
	w.flush()
	w.flush()
	if w.counts["kept"] != 2 || len(w.notes) != 1 {
		t.Errorf("kept %d times: %v", w.counts["kept"], w.noteNames())
	}
	w.restart()
	if b := w.reports.books[day1]; b == nil || b.domains != 1 || len(b.of("example.net")) != 1 {
		t.Errorf("%+v", b)
	}
}

// What was counted while reports were on isn't sent when they are off.
func TestTurnedOff(t *testing.T) {
	w := newWorld(t)
	w.wants("example.net", "mailto:a@example.net")
	w.reports.Session(well("example.net"))
	w.flush()
	w.settings.Enabled = false
	if left := w.send(); left != 0 || w.sent() != 0 || len(w.noteNames()) != 0 {
		t.Errorf("%d left, %d messages, %v", left, w.sent(), w.noteNames())
	}
}

func TestBounds(t *testing.T) {
	b := &book{}
	bad := &failure{Type: "validation-failure"}
	for i := range maxDetails + 10 {
		f := *bad
		f.Reason = fmt.Sprint(i)
		for range 2 {
			if !b.add("example.net", policy{Type: "sts"}, &f) {
				t.Fatal("a failure isn't counted")
			}
		}
	}
	r := b.of("example.net")[0]
	if len(r.Details) != maxDetails || r.Summary.Failures != 2*(maxDetails+10) || r.Details[0].Sessions != 2 {
		t.Errorf("%d details, %+v", len(r.Details), r.Summary)
	}
	for i := 1; i < maxPolicies; i++ {
		if !b.add("example.net", policy{Type: "tlsa", Domain: fmt.Sprint(i)}, nil) {
			t.Fatalf("policy %d isn't counted", i)
		}
	}
	if b.add("example.net", policy{Type: "tlsa", Domain: "one more"}, nil) || len(b.of("example.net")) != maxPolicies {
		t.Error("policies have no bound")
	}
	for i := 1; i < maxDomains; i++ {
		if !b.add(mail.Domain(fmt.Sprintf("d%d.example", i)), policy{}, nil) {
			t.Fatalf("domain %d isn't counted", i)
		}
	}
	if b.add("more.example", policy{}, nil) || len(b.list()) != maxDomains || b.uncounted != 2 {
		t.Errorf("%d domains, %d not counted", len(b.list()), b.uncounted)
	}
	if !b.add("d1.example", policy{}, nil) {
		t.Error("a domain that is known isn't counted")
	}
	if b.remove("d1.example"); !b.add("more.example", policy{}, nil) {
		t.Error("there is no room where a domain went")
	}
}

// What is remembered and can't be read is passed over.
func TestDamagedNotes(t *testing.T) {
	w := newWorld(t)
	until, right := day1.forgotten(), pageOf("example.net")
	const page = `{"example.net":[{"policy":{"policy-type":"sts","policy-domain":"example.net"},"summary":{"total-successful-session-count":3}}]}`
	for name, data := range map[string]string{
		"": "{}", "x": "{}", "2026-11-20 count 99": "{}", "2026-11-20 count 1": "[", "2026-11-20 sent example.com": "1", "2026-13-20 count 1": "{}",
		"2026-11-20 else x":                    "{}",
		fmt.Sprint("2026-11-20 count ", right): page, fmt.Sprint("2026-11-20 count ", (right+1)%pages): page,
	} {
		w.notes[name] = Note{name, []byte(data), until}
	}
	w.restart()
	if r := w.reports.counted(day1, "example.net"); len(w.reports.domains(day1)) != 1 || len(r) != 1 || r[0].Summary.Successes != 3 {
		t.Errorf("%v %v", w.reports.domains(day1), r)
	}
}
