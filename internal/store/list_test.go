package store

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// populate takes n messages of every kind, a minute between each, and moves some
// of their recipients about. It returns them as Get does, oldest first.
func populate(t testing.TB, s *Store, c *clock, n int) []*spool.Message {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	var ids []string
	for range n {
		m := message(t)
		m.From = addr(t, pick("ann", "bob")+"@"+pick("example.com", "other.example"))
		m.Envelope.From = addr(t, pick("bounces@example.com", "x@bulk.example", "@"))
		m.Subject = pick("Invoice 100%", "Hello", "re_port", "", "Über 发票")
		for i := range 1 + rnd.IntN(3) {
			m.Recipients = append(m.Recipients, spool.Recipient{
				Address: addr(t, fmt.Sprintf("r%d@%s", i, pick("gmail.com", "yahoo.com", "Example.org"))),
				State:   spool.State(pick("held", "held", "queued")), Reason: spool.Reason(pick("refused", "waiting", "foreign")),
				Provider: pick("google", "yahoo", "other"), Codes: strings.Fields(pick("", "spf-none", "dkim-missing spf-none", "spf-none-at-all", "dkim")),
			})
		}
		ids = append(ids, take(t, s, m, strings.Repeat("x", rnd.IntN(9))))
		c.add(time.Minute)
	}
	moves := []spool.Move{{From: spool.Held, Into: spool.Queued}, {From: spool.Held, Into: spool.Discarded}, {From: spool.Queued, Into: spool.Delivered}}
	for _, id := range ids {
		m := moves[rnd.IntN(len(moves))]
		m.ID = id
		s.Move(t.Context(), m) // a conflict, where there is none in m.From, is as good
	}
	var all []*spool.Message
	for _, id := range ids {
		m, err := s.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// matches is what Filter means, written another way.
func matches(f spool.Filter, m *spool.Message) bool {
	has := func(s, part string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(part)) }
	full := func(a mail.Address) string { return a.Local + "@" + string(a.Domain) }
	code := func(c string) bool {
		kind, _, _ := strings.Cut(c, "-")
		return c == f.Code || kind == f.Code
	}
	wanted := func(r spool.Recipient) bool {
		return (len(f.States) == 0 || slices.Contains(f.States, r.State)) &&
			(f.Reason == "" || r.Reason == f.Reason) && (f.Provider == "" || r.Provider == f.Provider) &&
			(f.Code == "" || slices.ContainsFunc(r.Codes, code)) && has(full(r.Address), f.Recipient)
	}
	text := has(m.Subject, f.Text) || has(full(m.From), f.Text) ||
		slices.ContainsFunc(m.Recipients, func(r spool.Recipient) bool { return has(full(r.Address), f.Text) })
	return slices.ContainsFunc(m.Recipients, wanted) && text &&
		(f.Domain == "" || m.From.Domain == f.Domain) && !m.Received.Before(f.Since) &&
		(has(full(m.From), f.Sender) || has(full(m.Envelope.From), f.Sender))
}

// TestList compares pages of every size and order with a plain search.
func TestList(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	start := c.Now()
	all := populate(t, s, c, 30)
	for _, f := range []spool.Filter{
		{},
		{States: []spool.State{spool.Held}},
		{States: []spool.State{spool.Held, spool.Queued}},
		{States: []spool.State{spool.Delivered, spool.Discarded}, Reason: spool.Waiting},
		{States: []spool.State{spool.Bounced}},
		{Reason: spool.Foreign},
		{Domain: "example.com"},
		{Domain: "example.com", States: []spool.State{spool.Held}, Reason: spool.Refused},
		{Domain: "example"},
		{Sender: "BULK"}, {Sender: "bob@"}, {Sender: "bounces@example.com", Reason: spool.Refused},
		{Recipient: "r2@"}, {Recipient: "example.org", States: []spool.State{spool.Held}}, {Recipient: "_"},
		{Code: "spf-none"}, {Code: "dkim-missing", States: []spool.State{spool.Held}}, {Code: "none"}, {Code: "spf"}, {Code: "dkim"}, {Code: "sp"}, {Code: "spf-"}, {Code: "missing"},
		{Provider: "google"}, {Provider: "google", Recipient: "yahoo"},
		{Text: "100%"}, {Text: "re_port"}, {Text: "rexport"}, {Text: "yahoo.com", States: []spool.State{spool.Queued}}, {Text: "ann@"},
		{Since: start.Add(20 * time.Minute)}, {Since: start.Add(25 * time.Minute), States: []spool.State{spool.Held}},
		{Since: start.Add(1000 * time.Minute)}, {Since: start},
	} {
		var want []string
		for _, m := range all {
			if matches(f, m) {
				want = append(want, m.ID)
			}
		}
		for _, oldest := range []bool{true, false} {
			for _, limit := range []int{0, 11} {
				f.Limit, f.Order = limit, spool.Newest
				if oldest {
					f.Order = spool.Oldest
				}
				if got := pages(t, s, f); !slices.Equal(got, want) {
					t.Errorf("%+v: %d messages, want %d:\n%v\n%v", f, len(got), len(want), got, want)
				}
			}
			slices.Reverse(want)
		}
	}
}

// pages lists page by page to the end.
func pages(t testing.TB, s *Store, f spool.Filter) (ids []string) {
	t.Helper()
	for {
		page, err := s.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > limit(f.Limit, defaultLimit) {
			t.Errorf("a page of %d", len(page))
		}
		if len(page) == 0 {
			return ids
		}
		for _, m := range page {
			ids = append(ids, m.ID)
		}
		f.After = ids[len(ids)-1]
	}
}

// TestListReturnsMessages: a list has all of a message but its evidence.
func TestListReturnsMessages(t *testing.T) {
	s := fresh(t, Options{})
	m := message(t, "a@gmail.com", "b@gmail.com")
	m.Evidence = []byte(`{}`)
	id := take(t, s, m, "x")
	want, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	want.Evidence = nil
	got, err := s.List(t.Context(), spool.Filter{States: []spool.State{spool.Held}})
	if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("List = %+v, %v", got, err)
	}
}

// TestListIsStable: what is taken and moved between two pages changes nothing for
// the messages that were there.
func TestListIsStable(t *testing.T) {
	s := fresh(t, Options{})
	var ids []string
	for range 10 {
		ids = append(ids, take(t, s, message(t, "a@gmail.com"), "x"))
	}
	slices.Reverse(ids)
	f := spool.Filter{States: []spool.State{spool.Held}, Limit: 5}
	first, err := s.List(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	take(t, s, message(t, "a@gmail.com"), "x")
	for _, id := range ids[2:5] { // the last one listed, too
		if err := s.Move(t.Context(), spool.Move{ID: id, From: spool.Held, Into: spool.Queued}); err != nil {
			t.Fatal(err)
		}
	}
	f.After = first[4].ID
	second, err := s.List(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range append(first, second...) {
		got = append(got, m.ID)
	}
	if !slices.Equal(got, ids) {
		t.Errorf("listed %v, want %v", got, ids)
	}
}

// TestClockGoesBack: a clock set back loses no message from a list by time.
func TestClockGoesBack(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	since := c.Now()
	take(t, s, message(t, "a@gmail.com"), "x")
	c.add(-time.Hour)
	take(t, s, message(t, "a@gmail.com"), "x")
	if got, err := s.List(t.Context(), spool.Filter{Since: since}); err != nil || len(got) != 2 {
		t.Errorf("%d messages, %v", len(got), err)
	}
}

// TestCountAndGroups compares the tallies with a plain count.
func TestCountAndGroups(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	all := populate(t, s, c, 60)
	want := spool.Counts{States: map[spool.State]int{}, Held: map[spool.Reason]int{}}
	groups := map[spool.GroupKey]*spool.Group{}
	ids := map[spool.GroupKey][]string{}
	var stuck []string
	for _, m := range all {
		for _, r := range m.Recipients {
			want.States[r.State]++
			if r.State != spool.Held {
				continue
			}
			want.Held[r.Reason]++
			key := spool.GroupKey{From: m.From.Domain, MailFrom: m.Envelope.From.Domain, Reason: r.Reason,
				Provider: r.Provider, Rule: r.Rule, Codes: strings.Join(r.Codes, " ")}
			if groups[key] == nil {
				groups[key] = &spool.Group{GroupKey: key, Oldest: m.Received}
			}
			groups[key].Held++
			if !slices.Contains(ids[key], m.ID) {
				ids[key] = append(ids[key], m.ID)
			}
		}
		if len(m.In(spool.Queued)) > 0 {
			stuck = append(stuck, m.ID)
		}
	}
	if got, err := s.Count(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Count = %v, %v; want %v", got, err, want)
	}
	got, err := s.HeldGroups(t.Context())
	if err != nil || len(got) != len(groups) {
		t.Errorf("%d groups, %v; want %d", len(got), err, len(groups))
	}
	for i, g := range got {
		if !reflect.DeepEqual(g, *groups[g.GroupKey]) {
			t.Errorf("group %+v, want %+v", g, *groups[g.GroupKey])
		}
		if i > 0 && g.Oldest.Before(got[i-1].Oldest) {
			t.Errorf("group %d is older than the one before it", i)
		}
		first, err := s.GroupIDs(t.Context(), g.GroupKey, "", 2)
		if err != nil {
			t.Fatal(err)
		}
		rest, err := s.GroupIDs(t.Context(), g.GroupKey, first[len(first)-1], 1000)
		if err != nil || !slices.Equal(append(first, rest...), ids[g.GroupKey]) {
			t.Errorf("ids of %+v: %v + %v, %v; want %v", g.GroupKey, first, rest, err, ids[g.GroupKey])
		}
	}
	if got, err := s.Stuck(t.Context()); err != nil || !slices.Equal(got, stuck) {
		t.Errorf("Stuck = %v, %v; want %v", got, err, stuck)
	}
}
