package store

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// TestAges: what is held for long is found page by page, and once its sender was
// told it is Unnoticed no more.
func TestAges(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	begin := c.Now()
	senders := []string{"a@x.example", "@", "b@x.example", "c@x.example", "d@x.example"}
	var ids []string
	for _, sender := range senders {
		m := message(t, "a@gmail.com", "b@gmail.com")
		m.Envelope.From = addr(t, sender)
		ids = append(ids, take(t, s, m, "x"))
		c.add(time.Minute)
	}
	move := func(id string, m spool.Move, to ...string) {
		t.Helper()
		for _, a := range to {
			m.To = append(m.To, addr(t, a))
		}
		if m.ID = id; m.From == "" {
			m.From = spool.Held
		}
		if err := s.Move(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, before time.Time, held, unnoticed []string) {
		t.Helper()
		for _, test := range []struct {
			name string
			do   func(after string, limit int) ([]string, error)
			want []string
		}{
			{"HeldBefore", func(a string, n int) ([]string, error) { return s.HeldBefore(t.Context(), before, a, n) }, held},
			{"Unnoticed", func(a string, n int) ([]string, error) { return s.Unnoticed(t.Context(), before, a, n) }, unnoticed},
		} {
			var got []string
			for after := ""; ; after = got[len(got)-1] {
				page, err := test.do(after, 2)
				if err != nil || len(page) > 2 {
					t.Fatal(page, err)
				}
				if got = append(got, page...); len(page) < 2 {
					break
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%s: %s = %v, want %v", when, test.name, got, test.want)
			}
		}
	}
	rest := func(leave ...int) (some []string) {
		for i, id := range ids {
			if !slices.Contains(leave, i) {
				some = append(some, id)
			}
		}
		return some
	}
	end := c.Now()
	check("at first", end, ids, rest(1))
	check("before the third", begin.Add(2*time.Minute), ids[:2], ids[:1])
	check("before all", begin, nil, nil)
	move(ids[0], spool.Move{Into: spool.Held, Notice: true})
	check("one told", end, ids, rest(0, 1))
	move(ids[2], spool.Move{Into: spool.Queued}, "a@gmail.com")
	check("one released in part", end, ids, rest(0, 1))
	move(ids[2], spool.Move{Into: spool.Queued})
	check("one released", end, rest(2), rest(0, 1, 2))
	move(ids[2], spool.Move{From: spool.Queued, Into: spool.Held})
	move(ids[3], spool.Move{Into: spool.Discarded})
	check("one discarded, one back", end, rest(3), rest(0, 1, 3))
}

// TestNotice: that the sender was told is in the log, and changes nothing else.
func TestNotice(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	id := take(t, s, message(t, "a@gmail.com"), "x")
	before, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	c.add(time.Hour)
	if err := s.Move(t.Context(), spool.Move{ID: id, From: spool.Held, Into: spool.Held, Notice: true, Actor: "notice"}); err != nil {
		t.Fatal(err)
	}
	if after, err := s.Get(t.Context(), id); err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("%+v, %v; want %+v", after, err, before)
	}
	e, err := s.Log(t.Context(), spool.LogFilter{Action: spool.ActionNotify})
	if err != nil || len(e) != 1 || e[0].Actor != "notice" || e[0].From != spool.Held || e[0].Into != spool.Held {
		t.Errorf("log %+v, %v", e, err)
	}
	err = s.Move(t.Context(), spool.Move{ID: id, From: spool.Held, Into: spool.Discarded, Notice: true})
	if !errors.Is(err, spool.ErrTransition) {
		t.Errorf("a notice on the way out: %v", err)
	}
	verify(t, s, 2)
}

func TestNewHolds(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	begin := c.Now()
	hold := func(from, mailFrom string, change func(*spool.Message), to ...string) string {
		m := message(t, to...)
		m.From, m.Envelope.From = addr(t, from), addr(t, mailFrom)
		if change != nil {
			change(m)
		}
		defer c.add(time.Minute)
		return take(t, s, m, "x")
	}
	hold("a@x.example", "a@x.example", nil, "a@gmail.com", "b@gmail.com")
	second := hold("b@x.example", "bounces@other.example", func(m *spool.Message) { m.Recipients[0].Provider, m.Recipients[0].Rule = "yahoo", "y" }, "a@yahoo.com")
	third := hold("a@y.example", "@", func(m *spool.Message) { m.Recipients[0].Reason, m.Recipients[0].Codes = spool.Waiting, nil }, "a@gmail.com", "b@gmail.com")
	hold("a@y.example", "@", func(m *spool.Message) {
		m.Recipients[0] = spool.Recipient{Address: m.Recipients[0].Address, State: spool.Queued, Provider: "google"}
	}, "a@gmail.com")
	if err := s.Move(t.Context(), spool.Move{ID: third, From: spool.Held, Into: spool.Queued, To: []mail.Address{addr(t, "a@gmail.com")}}); err != nil {
		t.Fatal(err)
	}
	codes := []string{"dkim-missing", "spf-none"}
	x := spool.HoldCount{From: "x.example", Reason: spool.Refused, Codes: codes, Recipients: 3, Still: 3, Example: second}
	y1 := spool.HoldCount{From: "y.example", Reason: spool.Refused, Codes: codes, Recipients: 1, Still: 1, Example: third}
	y2 := spool.HoldCount{From: "y.example", Reason: spool.Waiting, Codes: []string{}, Recipients: 1, Still: 0, Example: third}
	only := x
	only.Recipients, only.Still = 1, 1
	for _, test := range []struct {
		since, until time.Duration
		want         []spool.HoldCount
	}{
		{0, time.Hour, []spool.HoldCount{x, y1, y2}},
		{time.Minute, 2 * time.Minute, []spool.HoldCount{only}},
		{2 * time.Minute, 3 * time.Minute, []spool.HoldCount{y1, y2}},
		{3 * time.Minute, time.Hour, nil},
		{time.Hour, 2 * time.Hour, nil},
	} {
		got, err := s.NewHolds(t.Context(), begin.Add(test.since), begin.Add(test.until))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%v to %v:\n%+v, %v; want\n%+v", test.since, test.until, got, err, test.want)
		}
	}
}

// A message has its time before it is committed, and that may take long: what counts up
// to a later time waits for it.
func TestNewHoldsWaitsForWhatIsWritten(t *testing.T) {
	c := newClock()
	var stuck atomic.Bool
	writing, goOn := make(chan struct{}), make(chan struct{})
	s := fresh(t, Options{Now: c.Now, CrashPoint: func(name string) {
		if name == "before-commit" && stuck.CompareAndSwap(true, false) {
			close(writing)
			<-goOn
		}
	}})
	begin := c.Now()
	stuck.Store(true)
	taken := make(chan error, 1)
	m := message(t, "a@gmail.com")
	go func() { taken <- s.Take(t.Context(), m, strings.NewReader("x")) }()
	<-writing
	until := c.add(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if counts, err := s.NewHolds(ctx, begin, until); err == nil {
		t.Errorf("%+v while a message is being written", counts)
	}
	close(goOn)
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	if counts, err := s.NewHolds(t.Context(), begin, until); err != nil || len(counts) != 1 {
		t.Errorf("%+v, %v; want one", counts, err)
	}
}
