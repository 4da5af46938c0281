package store

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// states returns the states of a message's recipients, in order.
func states(t testing.TB, s *Store, id string) []spool.State {
	t.Helper()
	m, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var all []spool.State
	for _, r := range m.Recipients {
		all = append(all, r.State)
	}
	return all
}

func TestMove(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	id := take(t, s, message(t, "a@gmail.com", "b@gmail.com", "c@yahoo.com"), "x")
	at := c.add(time.Minute)
	err := s.Move(t.Context(), spool.Move{
		ID: id, To: []mail.Address{addr(t, "c@yahoo.com"), addr(t, "a@gmail.com")}, From: spool.Held, Into: spool.Queued,
		Actor: "recheck", Reason: "passes now", Where: "4Zx", Codes: []string{"dkim-ok", "spf-ok"}, Verdict: "accept",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := states(t, s, id), []spool.State{spool.Queued, spool.Held, spool.Queued}; !reflect.DeepEqual(got, want) {
		t.Errorf("states %v, want %v", got, want)
	}
	m, _ := s.Get(t.Context(), id)
	if r := m.Recipients[0]; !r.Changed.Equal(at) || r.Reason != spool.Refused || r.Rule != "gmail-unauthenticated" {
		t.Errorf("recipient after the move: %+v", r)
	}
	entries, err := s.Log(t.Context(), spool.LogFilter{ID: id, Action: spool.ActionRelease, OldestFirst: true})
	if err != nil || len(entries) != 2 {
		t.Fatalf("%v, %v", entries, err)
	}
	want := spool.LogEntry{
		N: 4, Time: at, ID: id, Recipient: addr(t, "a@gmail.com"), Action: spool.ActionRelease, From: spool.Held, Into: spool.Queued,
		Before: spool.Refused, After: "accept", Actor: "recheck", Reason: "passes now", Codes: []string{"dkim-ok", "spf-ok"}, Where: "4Zx",
		Hash: entries[0].Hash,
	}
	if !reflect.DeepEqual(entries[0], want) {
		t.Errorf("entry = %+v,\nwant    %+v", entries[0], want)
	}
	verify(t, s, 5)
}

// TestMoveEach: what is so of one recipient stands in its entry alone.
// What goes back into the relay's queue as it was keeps its time; the log tells when
// that happened.
func TestMoveBack(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	id := take(t, s, message(t, "a@gmail.com"), "x")
	before := c.Now()
	at := c.add(time.Hour)
	for _, into := range []spool.State{spool.Queued, spool.Held} {
		from := spool.Held
		if into == spool.Held {
			from = spool.Queued
		}
		m := spool.Move{ID: id, From: from, Into: into, Actor: "test", Changed: before.Add(-time.Minute)}
		want := at
		if into == spool.Queued {
			m.Next, want = at, before.Add(-time.Minute)
		}
		if err := s.Move(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(t.Context(), id); err != nil || !got.Recipients[0].Changed.Equal(want) {
			t.Errorf("%s: changed %v, want %v; %v", into, got.Recipients[0].Changed, want, err)
		}
		if log, err := s.Log(t.Context(), spool.LogFilter{ID: id, Limit: 1}); err != nil || !log[0].Time.Equal(at) {
			t.Errorf("%s: %+v, %v", into, log, err)
		}
	}
}

func TestMoveEach(t *testing.T) {
	s := fresh(t, Options{})
	id := take(t, s, message(t, "a@gmail.com", "b@other.example"), "x")
	move := spool.Move{
		ID: id, To: []mail.Address{addr(t, "b@other.example"), addr(t, "a@gmail.com")}, From: spool.Held, Into: spool.Queued,
		Return: true, Reason: "too old", Verdict: "unknown", Each: []spool.Found{{Verdict: "accept"}},
	}
	if err := s.Move(t.Context(), move); err == nil {
		t.Fatal("a move with a finding too few")
	}
	move.Each = append(move.Each, spool.Found{Verdict: "refuse", Codes: []string{"dkim-missing"}, Reason: "refused"})
	if err := s.Move(t.Context(), move); err != nil {
		t.Fatal(err)
	}
	log, err := s.Log(t.Context(), spool.LogFilter{ID: id, Action: spool.ActionReturn, OldestFirst: true})
	if err != nil || len(log) != 2 {
		t.Fatalf("%+v, %v", log, err)
	}
	a, b := log[0], log[1]
	if a.Recipient.Local != "a" || a.After != "refuse" || a.Reason != "refused" || !reflect.DeepEqual(a.Codes, []string{"dkim-missing"}) {
		t.Errorf("%+v", a)
	}
	if b.After != "accept" || b.Reason != "too old" || len(b.Codes) != 0 {
		t.Errorf("%+v", b)
	}
	verify(t, s, 4)
}

// TestMoveIsAtomic: if one of the recipients is not where the move begins, none
// moves and nothing is logged.
func TestMoveIsAtomic(t *testing.T) {
	s := fresh(t, Options{})
	id := take(t, s, message(t, "a@gmail.com", "b@gmail.com"), "x")
	move := func(from, into spool.State, to ...string) error {
		m := spool.Move{ID: id, From: from, Into: into}
		for _, a := range to {
			m.To = append(m.To, addr(t, a))
		}
		return s.Move(t.Context(), m)
	}
	if err := move(spool.Held, spool.Queued, "b@gmail.com"); err != nil {
		t.Fatal(err)
	}
	before := states(t, s, id)
	for _, step := range []struct {
		from, into spool.State
		to         []string
		want       error
	}{
		{spool.Held, spool.Discarded, []string{"a@gmail.com", "b@gmail.com"}, spool.ErrConflict},
		{spool.Held, spool.Discarded, []string{"a@gmail.com", "nobody@gmail.com"}, spool.ErrNotFound},
		{spool.Held, spool.Delivered, nil, spool.ErrTransition},
		{spool.Delivered, spool.Held, nil, spool.ErrTransition},
		{"", spool.Held, nil, spool.ErrTransition},
		{spool.Queued, spool.Delivered, []string{"a@gmail.com"}, spool.ErrConflict},
	} {
		if err := move(step.from, step.into, step.to...); !errors.Is(err, step.want) {
			t.Errorf("move %v = %v, want %v", step, err, step.want)
		}
	}
	if got := states(t, s, id); !reflect.DeepEqual(got, before) {
		t.Errorf("states %v, want %v", got, before)
	}
	verify(t, s, 3)
	if err := errors.Join(move(spool.Held, spool.Bounced), move(spool.Queued, spool.Delivered)); err != nil {
		t.Error(err)
	}
	if err := move(spool.Held, spool.Bounced); !errors.Is(err, spool.ErrConflict) {
		t.Errorf("move of none = %v", err)
	}
}

// TestMoveRace: of many who act on the same message at once, one wins and the
// others are told; those whose neighbour in the transaction failed are not harmed.
func TestMoveRace(t *testing.T) {
	s := fresh(t, Options{})
	ids := []string{take(t, s, message(t, "a@gmail.com"), "x"), take(t, s, message(t, "a@gmail.com"), "x")}
	var won, lost atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		for _, id := range ids {
			wg.Go(func() {
				switch err := s.Move(t.Context(), spool.Move{ID: id, From: spool.Held, Into: spool.Discarded}); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, spool.ErrConflict):
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
			wg.Go(func() { take(t, s, message(t, "b@gmail.com"), "y") })
		}
	}
	wg.Wait()
	if won.Load() != 2 || lost.Load() != 38 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
	verify(t, s, 2+40+2)
}

// TestAssess: a verdict that has changed is kept with the recipient, and counted.
func TestAssess(t *testing.T) {
	s := fresh(t, Options{})
	m := message(t, "a@gmail.com")
	m.Recipients[0].Reason = spool.Waiting
	id := take(t, s, m, "x")
	now := spool.Hold{Reason: spool.Refused, Codes: []string{"spf-softfail"}, Rule: "other-rule", Reply: "550 new"}
	if err := s.Move(t.Context(), spool.Move{ID: id, From: spool.Held, Into: spool.Held, Now: &now, Verdict: "refuse"}); err != nil {
		t.Fatal(err)
	}
	got, _ := s.Get(t.Context(), id)
	if r := got.Recipients[0]; r.State != spool.Held || !reflect.DeepEqual(now, spool.Hold{Reason: r.Reason, Codes: r.Codes, Rule: r.Rule, Reply: r.Reply}) {
		t.Errorf("recipient %+v", r)
	}
	c, err := s.Count(t.Context())
	if err != nil || !reflect.DeepEqual(c.Held, map[spool.Reason]int{spool.Refused: 1}) {
		t.Errorf("Count = %v, %v", c, err)
	}
	e, _ := s.Log(t.Context(), spool.LogFilter{Action: spool.ActionAssess})
	if len(e) != 1 || e[0].Before != spool.Waiting || e[0].After != "refuse" {
		t.Errorf("log: %+v", e)
	}
}

func TestPurge(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	var ids []string
	for i := range purgeMessages + 6 {
		size := 10
		if i == 3 {
			size = (dropPieces + 2) * pieceBytes
		}
		ids = append(ids, take(t, s, message(t, "a@gmail.com", "b@gmail.com"), strings.Repeat("z", size)))
	}
	for i, id := range ids { // the last four are not finished
		if i == len(ids)-1 {
			break
		}
		m := spool.Move{ID: id, From: spool.Held, Into: spool.Discarded}
		if i >= len(ids)-4 {
			m.To = []mail.Address{addr(t, "a@gmail.com")}
		}
		if err := s.Move(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Purge(t.Context(), c.Now()); n != 0 || err != nil {
		t.Errorf("Purge of none = %d, %v", n, err)
	}
	n, err := s.Purge(t.Context(), c.add(time.Second))
	if want := len(ids) - 4; n != want || err != nil {
		t.Errorf("Purge = %d, %v; want %d", n, err, want)
	}
	if _, err := s.Open(t.Context(), ids[3]); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("Open of a purged body = %v", err)
	}
	if m, err := s.Get(t.Context(), ids[3]); err != nil || m.Subject != "Hello" {
		t.Errorf("Get of a purged message: %v, %v", m, err)
	}
	if got := content(t, s, ids[len(ids)-1]); len(got) != 10 {
		t.Errorf("%d bytes of a held message", len(got))
	}
	if chunks, loose := count(t, s, "SELECT count(*) FROM chunks"), count(t, s, "SELECT count(*) FROM loose"); chunks != 4 || loose != 0 {
		t.Errorf("%d chunks, %d loose bodies", chunks, loose)
	}
}
