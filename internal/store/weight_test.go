package store

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// crowd is a message to n recipients.
func crowd(t testing.TB, n int) *spool.Message {
	t.Helper()
	to := make([]string, n)
	for i := range to {
		to[i] = fmt.Sprintf("user%d@gmail.com", i)
	}
	return message(t, to...)
}

// TestGroupCountsRecipients: a transaction has few messages of many recipients, and
// many of few.
func TestGroupCountsRecipients(t *testing.T) {
	for _, test := range []struct{ recipients, want int }{{1, groupOps}, {1000, 5}, {10_000, 1}} {
		w := &writer{ops: make(chan *op, groupOps)}
		o := &op{size: weight(crowd(t, test.recipients))}
		for range groupOps {
			w.ops <- o
		}
		if got := len(w.gather(o)); got != test.want {
			t.Errorf("%d recipients each: %d messages in a transaction, want %d", test.recipients, got, test.want)
		}
	}
}

// TestIndexCountsRecipients: what is indexed at once has a bound in recipients, and
// messages of many don't wait for others.
func TestIndexCountsRecipients(t *testing.T) {
	s := fresh(t, Options{limits: limits{tried: 1, indexed: 50}})
	s.x.close()
	s.x.ctx = t.Context()
	for _, n := range []int{20, 20, 20, 200, 20, 20} {
		take(t, s, crowd(t, n), "x")
	}
	for _, want := range []int{3, 4, 4} {
		if _, err := s.x.step(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, s, "SELECT count(*) FROM search_docsize"); n != want {
			t.Errorf("%d messages indexed, want %d", n, want)
		}
	}
}

// TestIndexAnewCountsRecipients is the same for messages held for something else.
func TestIndexAnewCountsRecipients(t *testing.T) {
	s := fresh(t, Options{limits: limits{tried: 1, indexed: 50}})
	for range 3 {
		take(t, s, crowd(t, 60), "x")
	}
	settle(t, s)
	raw(t, s, "INSERT INTO stale SELECT seq FROM messages")
	for _, want := range []int{2, 1, 0, 0} {
		if _, err := s.x.step(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, s, "SELECT count(*) FROM stale"); n != want {
			t.Errorf("%d messages stale, want %d", n, want)
		}
	}
}

// TestTryCountsRecipients: before the index of words is asked, so many recipients are
// looked at, not so many messages.
func TestTryCountsRecipients(t *testing.T) {
	s := fresh(t, Options{})
	for range 10 {
		take(t, s, crowd(t, 20), "x")
	}
	for _, test := range []struct {
		f    spool.Filter
		most int64
		want int64 // seq of the last one looked at, of 10 to 1
	}{
		{spool.Filter{Text: "none"}, 100, 6},
		{spool.Filter{Recipient: "none"}, 100, 6},
		{spool.Filter{Sender: "none"}, 5, 6},
		{spool.Filter{Text: "none"}, 1, 10},
	} {
		tx, err := s.read.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		test.f.Limit = 5
		l := lister{ctx: t.Context(), tx: tx, f: &test.f, parts: partsOf(&test.f), after: newest.start(), want: selection{n: math.MaxInt64}}
		_, last, err := l.read(newest.messages(), l.after, test.most)
		if tx.Rollback(); err != nil || last == nil || last.seq != test.want {
			t.Errorf("%+v, at most %d: the last is %v, %v; want %d", test.f, test.most, last, err, test.want)
		}
	}
}

// TestTrimCountsRecipients: messages of many recipients are forgotten one by one.
func TestTrimCountsRecipients(t *testing.T) {
	c := newClock()
	looks := 0
	s := fresh(t, Options{Now: c.Now, CrashPoint: func(name string) {
		if name == "trim-messages" {
			looks++
		}
	}})
	for range 3 {
		move(t, s, take(t, s, crowd(t, trimRecipients), "x"), spool.Held, spool.Discarded)
	}
	if _, err := s.Trim(t.Context(), c.add(time.Hour)); err != nil || looks != 4 {
		t.Errorf("%d looks, want 4; %v", looks, err)
	}
	if n := count(t, s, "SELECT count(*) FROM messages"); n != 0 {
		t.Errorf("%d messages left", n)
	}
}

// TestLargestOfMany: by size, many finds aren't sorted but met in order.
func TestLargestOfMany(t *testing.T) {
	for _, test := range []struct {
		finds  int
		walked bool
	}{{3, false}, {4, true}} {
		s := fresh(t, Options{limits: limits{tried: 1, indexed: 1, matched: 3}})
		for range test.finds {
			take(t, s, message(t, "a@gmail.com"), "x")
		}
		settle(t, s)
		tx, err := s.read.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		f := spool.Filter{Text: "hello", Order: spool.Largest, Limit: 2}
		l := lister{ctx: t.Context(), tx: tx, f: &f, most: s.o.limits, parts: partsOf(&f), order: bySize, after: bySize.start()}
		from, err := l.words()
		if walked := from.text == bySize.messages().text; err != nil || walked != test.walked {
			t.Errorf("%d finds: %+v, %v", test.finds, from, err)
		}
		plan := planOf(t, tx, "SELECT m.seq, m.size FROM "+from.text+" WHERE "+from.where+" AND m.size <= 9 ORDER BY "+bySize.by("m.seq"), from.args...)
		if tx.Rollback(); test.walked == strings.Contains(plan, "TEMP B-TREE FOR ORDER BY") {
			t.Errorf("%d finds: plan %q", test.finds, plan)
		}
		if page, err := s.List(t.Context(), f); err != nil || len(page) != 2 {
			t.Errorf("%d finds: %d listed, %v", test.finds, len(page), err)
		}
	}
}
