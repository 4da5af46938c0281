package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// queued is a message from ann@example.com that the relay is to deliver at a time.
func queued(t testing.TB, next time.Time, to ...string) *spool.Message {
	t.Helper()
	m := message(t, to...)
	m.Source = "relay"
	for i := range m.Recipients {
		r := &m.Recipients[i]
		*r = spool.Recipient{Address: r.Address, State: spool.Queued, Provider: "google", Delivery: spool.Delivery{Next: next}}
	}
	return m
}

// claim claims all that is due at a destination, for a minute.
func claim(t testing.TB, s *Store, destination string) []*spool.Claim {
	t.Helper()
	now := s.o.Now()
	claims, err := s.Claim(t.Context(), mail.Domain(destination), now, now.Add(time.Minute), 100)
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

// one is the only claim there is.
func one(t testing.TB, s *Store, destination string) *spool.Claim {
	t.Helper()
	claims := claim(t, s, destination)
	if len(claims) != 1 {
		t.Fatalf("%d claims at %s", len(claims), destination)
	}
	return claims[0]
}

// all is the same result for every recipient of a claim.
func all(c *spool.Claim, r spool.Result) (results []spool.Result) {
	for _, k := range c.Message.Recipients {
		r.Recipient = k.Address
		results = append(results, r)
	}
	return results
}

func settled(t testing.TB, s *Store, c *spool.Claim, results ...spool.Result) {
	t.Helper()
	if err := s.Settle(t.Context(), c, "relay", results); err != nil {
		t.Fatal(err)
	}
}

func due(t testing.TB, s *Store, busy ...mail.Domain) string {
	t.Helper()
	got, err := s.Due(t.Context(), s.o.Now(), busy, 10)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range got {
		names = append(names, string(d))
	}
	return strings.Join(names, " ")
}

func nextDue(t testing.TB, s *Store) time.Time {
	t.Helper()
	at, err := s.NextDue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func get(t testing.TB, s *Store, id string) *spool.Message {
	t.Helper()
	m, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestTLSReportKept: that a message is a TLS report needs nothing else to be kept.
func TestTLSReportKept(t *testing.T) {
	c := newClock()
	s := open(t, filepath.Join(t.TempDir(), "mailgate.db"), Options{Now: c.Now})
	for _, is := range []bool{true, false} {
		m := queued(t, c.Now(), "x@gmail.com")
		m.Prefix, m.Signed, m.EnvelopeID, m.Return, m.TLSReport = nil, time.Time{}, "", "", is
		if got := get(t, s, take(t, s, m, "body")); got.TLSReport != is {
			t.Errorf("a TLS report: %t, want %t", got.TLSReport, is)
		}
		if k := one(t, s, "gmail.com"); k.Message.TLSReport != is {
			t.Errorf("claimed, a TLS report: %t, want %t", k.Message.TLSReport, is)
		}
	}
}

// TestRelayedMessage: all that the relay needs of a message is there again, from Get
// and from Claim, over a restart; List leaves the prefix out.
func TestRelayedMessage(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "mailgate.db")
	s := open(t, path, Options{Now: c.Now})
	m := queued(t, c.Now(), "x@gmail.com", "y@other.example", "z@gmail.com", "h@gmail.com")
	m.Prefix, m.Signed, m.EnvelopeID, m.Return = []byte("Received: x\r\n\x00\xff"), c.Now().Add(-time.Second), "QQ314159", "HDRS"
	m.TLSReport = true
	m.Recipients[0].Delivery = spool.Delivery{Next: c.Now(), Tries: 2, Answer: "451 later", Host: "mx.gmail.com", TLS: "TLSv1.3 dane",
		Expected: "accept", Notify: "SUCCESS,FAILURE", Original: "rfc822;ann@example.com"}
	m.Recipients[3].State, m.Recipients[3].Delivery = spool.Held, spool.Delivery{Next: c.Now(), Notify: "NEVER"}
	id := take(t, s, m, "body")
	s.Close()
	s = open(t, path, Options{Now: c.Now})
	got := get(t, s, id)
	if string(got.Prefix) != string(m.Prefix) || !got.Signed.Equal(m.Signed) || got.EnvelopeID != m.EnvelopeID || got.Return != m.Return || !got.TLSReport {
		t.Errorf("Get = %+v", got)
	}
	m.Recipients[3].Delivery.Next = time.Time{}
	for i, r := range got.Recipients {
		if r.Delivery != m.Recipients[i].Delivery {
			t.Errorf("delivery of %s = %+v, want %+v", r.Address, r.Delivery, m.Recipients[i].Delivery)
		}
	}
	listed, err := s.List(t.Context(), spool.Filter{})
	if err != nil || len(listed) != 1 || listed[0].Prefix != nil || listed[0].EnvelopeID != "QQ314159" || !reflect.DeepEqual(listed[0].Recipients, got.Recipients) {
		t.Errorf("List = %+v, %v", listed, err)
	}
	k := one(t, s, "gmail.com")
	want := *got
	want.Evidence, want.Recipients = nil, []spool.Recipient{got.Recipients[0], got.Recipients[2]}
	want.Envelope.To = []mail.Address{got.Envelope.To[0], got.Envelope.To[2]}
	if !reflect.DeepEqual(k.Message, &want) || k.Destination != "gmail.com" || !k.Until.Equal(c.Now().Add(time.Minute)) {
		t.Errorf("Claim =\n%+v, want\n%+v", k.Message, &want)
	}
	sound(t, s)
}

// TestPrefixIsBounded: fields before a message have a bound, and are purged with it.
func TestPrefixIsBounded(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	m := queued(t, c.Now(), "x@gmail.com")
	m.Prefix = bytesOf(spool.MaxPrefix + 1)
	if err := s.Take(t.Context(), m, strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), "65536") {
		t.Errorf("Take = %v", err)
	}
	m.Prefix = bytesOf(spool.MaxPrefix)
	id := take(t, s, m, "x")
	k := one(t, s, "gmail.com")
	settled(t, s, k, all(k, spool.Result{Into: spool.Delivered})...)
	if n, err := s.Purge(t.Context(), c.add(time.Hour)); n != 1 || err != nil {
		t.Errorf("Purge = %d, %v", n, err)
	}
	if got := get(t, s, id); len(got.Prefix) != 0 {
		t.Errorf("%d bytes of prefix after the purge", len(got.Prefix))
	}
}

// TestPrefixCounts: what goes before a message counts for the bound of the store.
func TestPrefixCounts(t *testing.T) {
	room := int64(1 << 30)
	s := fresh(t, Options{MaxBytes: func() int64 { return room }})
	take(t, s, queued(t, time.Now(), "x@gmail.com"), "x")
	u, err := s.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	room = u.Used + spool.MaxPrefix/2
	m := queued(t, time.Now(), "x@gmail.com")
	m.Prefix = bytesOf(spool.MaxPrefix)
	if err := s.Take(t.Context(), m, strings.NewReader("x")); !errors.Is(err, spool.ErrFull) {
		t.Errorf("Take = %v", err)
	}
}

// TestDue: destinations in the order they became due, without those that are busy,
// leased or paused.
func TestDue(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	if got := nextDue(t, s); due(t, s) != "" || !got.IsZero() {
		t.Errorf("an empty queue: %q, %v", due(t, s), got)
	}
	start := c.Now()
	take(t, s, queued(t, start, "x@b.example"), "x")
	take(t, s, queued(t, start.Add(-time.Minute), "x@c.example", "y@c.example"), "x")
	take(t, s, queued(t, start.Add(-time.Second), "x@a.example", "x@b.example"), "x")
	take(t, s, queued(t, start.Add(time.Hour), "x@later.example"), "x")
	take(t, s, queued(t, time.Time{}, "x@other.example"), "x") // leaves by another way
	if got := due(t, s); got != "c.example a.example b.example" {
		t.Errorf("Due = %s", got)
	}
	if got := due(t, s, "c.example", "b.example", "none.example"); got != "a.example" {
		t.Errorf("Due = %s", got)
	}
	if got, err := s.Due(t.Context(), start, []mail.Domain{"c.example", "none.example"}, 1); err != nil || !slices.Equal(got, []mail.Domain{"a.example"}) {
		t.Errorf("Due = %v, %v", got, err)
	}
	if got := nextDue(t, s); !got.Equal(start.Add(-time.Minute)) {
		t.Errorf("NextDue = %v", got)
	}
	k := one(t, s, "c.example")
	if len(k.Message.Recipients) != 2 || len(claim(t, s, "c.example")) != 0 || len(claim(t, s, "later.example")) != 0 || len(claim(t, s, "other.example")) != 0 {
		t.Errorf("claimed %+v", k)
	}
	claim(t, s, "b.example")
	claim(t, s, "a.example")
	if got := nextDue(t, s); due(t, s) != "" || !got.Equal(start.Add(time.Minute)) {
		t.Errorf("all leased: %q, %v", due(t, s), got)
	}
	c.add(time.Minute)
	if got := due(t, s); got != "a.example b.example c.example" {
		t.Errorf("leases over: Due = %s", got)
	}
	sound(t, s)
}

// TestClaimOrder: the longest due come first, up to the limit, each message once with
// all that is due of it.
func TestClaimOrder(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	var ids []string
	for i := range 5 {
		ids = append(ids, take(t, s, queued(t, c.Now().Add(time.Duration(-i)*time.Second), "x@gmail.com", "y@gmail.com", "z@yahoo.com"), "x"))
	}
	slices.Reverse(ids)
	var got []string
	for _, n := range []int{2, 2, 2} {
		claims, err := s.Claim(t.Context(), "gmail.com", c.Now(), c.Now().Add(time.Hour), n)
		if err != nil || len(claims) > n {
			t.Errorf("%d claims, %v", len(claims), err)
		}
		for _, k := range claims {
			got = append(got, k.Message.ID)
			if len(k.Message.Recipients) != 2 {
				t.Errorf("recipients %v", k.Message.Recipients)
			}
		}
	}
	if !slices.Equal(got, ids) {
		t.Errorf("claimed %v, want %v", got, ids)
	}
}

// TestSettle: each result leads where it says, with its words in the log, in one
// transaction; the delivery tells of the try.
func TestSettle(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	id := take(t, s, queued(t, c.Now(), "a@gmail.com", "b@gmail.com", "c@gmail.com", "d@gmail.com"), "x")
	k := one(t, s, "gmail.com")
	at := c.add(time.Second)
	to := k.Message.Envelope.To
	settled(t, s, k,
		spool.Result{Recipient: to[3], Into: spool.Queued, Answer: "451 later", Host: "mx", TLS: "TLSv1.3", Next: at.Add(time.Hour)},
		spool.Result{Recipient: to[0], Into: spool.Delivered, Answer: "250 ok", Host: "mx", TLS: "TLSv1.3", Verdict: "accept"},
		spool.Result{Recipient: to[1], Into: spool.Bounced, Answer: "550 no such user", Host: "mx", Reason: "refused"},
		spool.Result{Recipient: to[2], Into: spool.Held, Answer: "550 5.7.26 unauthenticated", Host: "mx2", Codes: []string{"dkim-missing"}, Reason: "the receiver refused it",
			Now: &spool.Hold{Reason: spool.Refused, Codes: []string{"dkim-missing"}, Rule: "gmail-unauthenticated", Reply: "550 5.7.26 unauthenticated"}},
	)
	want := []struct {
		state spool.State
		spool.Delivery
	}{
		{spool.Delivered, spool.Delivery{Tries: 1, Tried: at, Answer: "250 ok", Host: "mx", TLS: "TLSv1.3"}},
		{spool.Bounced, spool.Delivery{Tries: 1, Tried: at, Answer: "550 no such user", Host: "mx"}},
		{spool.Held, spool.Delivery{Tries: 1, Tried: at, Answer: "550 5.7.26 unauthenticated", Host: "mx2"}},
		{spool.Queued, spool.Delivery{Tries: 1, Tried: at, Answer: "451 later", Host: "mx", TLS: "TLSv1.3", Next: at.Add(time.Hour)}},
	}
	m := get(t, s, id)
	for i, r := range m.Recipients {
		if r.State != want[i].state || r.Delivery != want[i].Delivery {
			t.Errorf("%s: %+v, want %+v", r.Address, r, want[i])
		}
	}
	if r := m.Recipients[2]; r.Reason != spool.Refused || r.Rule != "gmail-unauthenticated" || r.Provider != "google" || !slices.Equal(r.Codes, []string{"dkim-missing"}) || !r.Changed.Equal(at) {
		t.Errorf("held as %+v", r)
	}
	log, err := s.Log(t.Context(), spool.LogFilter{After: 4, OldestFirst: true})
	if err != nil || len(log) != 3 {
		t.Fatalf("log %v, %v", log, err)
	}
	for i, w := range []spool.LogEntry{
		{Recipient: to[0], Action: spool.ActionDeliver, Into: spool.Delivered, After: "accept", Where: "250 ok"},
		{Recipient: to[1], Action: spool.ActionBounce, Into: spool.Bounced, Reason: "refused", Where: "550 no such user"},
		{Recipient: to[2], Action: spool.ActionRequeue, Into: spool.Held, Reason: "the receiver refused it", Codes: []string{"dkim-missing"}, Where: "550 5.7.26 unauthenticated"},
	} {
		w.N, w.Time, w.ID, w.From, w.Actor, w.Hash = log[i].N, at, id, spool.Queued, "relay", log[i].Hash
		if len(w.Codes) == 0 {
			w.Codes = log[i].Codes
		}
		if !reflect.DeepEqual(log[i], w) {
			t.Errorf("entry %+v,\nwant  %+v", log[i], w)
		}
	}
	if got := nextDue(t, s); !got.Equal(at.Add(time.Hour)) {
		t.Errorf("NextDue = %v", got)
	}
	sound(t, s)
	c.add(time.Hour)
	k = one(t, s, "gmail.com")
	move(t, s, id, spool.Held, spool.Discarded)
	settled(t, s, k, all(k, spool.Result{Into: spool.Delivered})...)
	if n := count(t, s, "SELECT count(*) FROM destinations") + count(t, s, "SELECT count(*) FROM messages WHERE finished IS NULL"); n != 0 {
		t.Errorf("%d destinations and open messages left", n)
	}
	sound(t, s)
}

// TestSettleInParts: what has no result yet stays under the lease.
func TestSettleInParts(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	id := take(t, s, queued(t, c.Now(), "a@gmail.com", "b@gmail.com", "a@gmail.com"), "x")
	k := one(t, s, "gmail.com")
	results := all(k, spool.Result{Into: spool.Delivered})
	for i := range results {
		settled(t, s, k, results[i])
		if len(claim(t, s, "gmail.com")) != 0 {
			t.Error("claimed under a lease")
		}
	}
	if got := states(t, s, id); slices.Contains(got, spool.Queued) {
		t.Errorf("states %v", got)
	}
	sound(t, s)
}

// TestSettleRefuses: a lease that isn't one any more, or a result that no claim leads
// to, changes nothing at all.
func TestSettleRefuses(t *testing.T) {
	ok := spool.Result{Into: spool.Delivered, Answer: "250 ok"}
	for name, test := range map[string]struct {
		result spool.Result
		spoil  func(t *testing.T, s *Store, c *clock, k *spool.Claim)
		want   error // nil: any
	}{
		"claimed again": {ok, func(t *testing.T, s *Store, c *clock, k *spool.Claim) {
			c.add(time.Minute)
			if again := one(t, s, "gmail.com"); again.Fence <= k.Fence {
				t.Errorf("fence %d after %d", again.Fence, k.Fence)
			}
		}, spool.ErrConflict},
		"moved after its time": {ok, func(t *testing.T, s *Store, c *clock, k *spool.Claim) {
			c.add(time.Minute)
			move(t, s, k.Message.ID, spool.Queued, spool.Held)
		}, spool.ErrConflict},
		"moved and released": {ok, func(t *testing.T, s *Store, c *clock, k *spool.Claim) {
			c.add(time.Minute)
			move(t, s, k.Message.ID, spool.Queued, spool.Held)
			if err := s.Move(t.Context(), spool.Move{ID: k.Message.ID, From: spool.Held, Into: spool.Queued, Next: c.Now()}); err != nil {
				t.Error(err)
			}
		}, spool.ErrConflict},
		"settled": {ok, func(t *testing.T, s *Store, c *clock, k *spool.Claim) {
			settled(t, s, k, all(k, spool.Result{Into: spool.Queued, Next: c.Now()})...)
		}, spool.ErrConflict},
		"one settled": {ok, func(t *testing.T, s *Store, c *clock, k *spool.Claim) {
			settled(t, s, k, all(k, ok)[1])
		}, spool.ErrConflict},
		"stranger":        {spool.Result{Recipient: addr(t, "z@gmail.com"), Into: spool.Delivered}, nil, spool.ErrNotFound},
		"twice":           {spool.Result{Recipient: addr(t, "a@gmail.com"), Into: spool.Delivered}, nil, spool.ErrConflict},
		"held for what":   {spool.Result{Into: spool.Held}, nil, nil},
		"tried when":      {spool.Result{Into: spool.Queued}, nil, nil},
		"discarded":       {spool.Result{Into: spool.Discarded}, nil, spool.ErrTransition},
		"unknown message": {ok, func(_ *testing.T, _ *Store, _ *clock, k *spool.Claim) { k.Message.ID = "zzzzz" }, spool.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			s := fresh(t, Options{Now: c.Now})
			id := take(t, s, queued(t, c.Now(), "a@gmail.com", "b@gmail.com"), "x")
			k := one(t, s, "gmail.com")
			if test.spoil != nil {
				test.spoil(t, s, c, k)
			}
			before, log := get(t, s, id), count(t, s, "SELECT count(*) FROM review_log")
			results := all(k, ok)
			if test.result.Recipient != (mail.Address{}) {
				results[1] = test.result
			} else {
				results = []spool.Result{results[0], test.result}
				results[1].Recipient = k.Message.Envelope.To[1]
			}
			err := s.Settle(t.Context(), k, "relay", results)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("Settle = %v", err)
			}
			if after := get(t, s, id); !reflect.DeepEqual(after, before) || count(t, s, "SELECT count(*) FROM review_log") != log {
				t.Errorf("something changed: %+v, was %+v", after, before)
			}
			sound(t, s)
		})
	}
}

// TestMoveUnderLease: what is being delivered is not moved, until the lease is over.
func TestMoveUnderLease(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	id := take(t, s, queued(t, c.Now(), "a@gmail.com", "b@other.example"), "x")
	k := one(t, s, "gmail.com")
	try := func(into spool.State, to ...mail.Address) error {
		return s.Move(t.Context(), spool.Move{ID: id, To: to, From: spool.Queued, Into: into})
	}
	for _, to := range [][]mail.Address{nil, k.Message.Envelope.To} {
		for _, into := range []spool.State{spool.Held, spool.Bounced} {
			err := try(into, to...)
			if !errors.Is(err, spool.ErrConflict) || !errors.Is(err, spool.ErrDelivering) || !strings.Contains(err.Error(), "a@gmail.com: it is being delivered right now") {
				t.Errorf("to %s: %v", into, err)
			}
		}
	}
	if err := try(spool.Held, addr(t, "b@other.example")); err != nil {
		t.Error(err)
	}
	settled(t, s, k, all(k, spool.Result{Into: spool.Queued, Next: c.Now()})...)
	if err := try(spool.Bounced); err != nil {
		t.Error(err)
	}
	if got := states(t, s, id); !slices.Equal(got, []spool.State{spool.Bounced, spool.Held}) || due(t, s) != "" {
		t.Errorf("states %v, due %q", got, due(t, s))
	}
	sound(t, s)
}

// TestReleaseIntoQueue: a release with a time goes into the queue, one without leaves
// by another way; only that is stuck at a start.
func TestReleaseIntoQueue(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "mailgate.db")
	s := open(t, path, Options{Now: c.Now})
	m := message(t, "a@gmail.com")
	m.Recipients[0].Delivery.Notify = "NEVER"
	away := message(t, "b@gmail.com")
	away.Recipients[0].Delivery.Notify = "NEVER"
	relayed, other, mixed := take(t, s, m, "x"), take(t, s, away, "x"), take(t, s, message(t, "c@gmail.com", "d@gmail.com"), "x")
	release := func(id string, next time.Time, to ...mail.Address) {
		err := s.Move(t.Context(), spool.Move{ID: id, To: to, From: spool.Held, Into: spool.Queued, Verdict: "accept", Next: next})
		if err != nil {
			t.Fatal(err)
		}
	}
	release(relayed, c.Now())
	if stuck, err := s.Stuck(t.Context()); err != nil || len(stuck) != 0 {
		t.Errorf("Stuck = %v, %v", stuck, err)
	}
	release(other, time.Time{})
	release(mixed, c.Now(), addr(t, "c@gmail.com"))
	release(mixed, time.Time{}, addr(t, "d@gmail.com"))
	if got, want := get(t, s, relayed).Recipients[0].Delivery, (spool.Delivery{Next: c.Now(), Expected: "accept", Notify: "NEVER"}); got != want {
		t.Errorf("delivery %+v, want %+v", got, want)
	}
	s.Close()
	s = open(t, path, Options{Now: c.Now})
	if stuck, err := s.Stuck(t.Context()); err != nil || !slices.Equal(stuck, []string{other, mixed}) {
		t.Errorf("Stuck = %v, %v; want %s and %s", stuck, err, other, mixed)
	}
	var ids []string
	for _, k := range claim(t, s, "gmail.com") {
		ids = append(ids, k.Message.ID+" "+k.Message.Recipients[0].Address.String())
	}
	if !slices.Equal(ids, []string{relayed + " a@gmail.com", mixed + " c@gmail.com"}) {
		t.Errorf("claimed %v", ids)
	}
	sound(t, s)
}

// TestLeasesEndWithTheProcess: at a start nothing is leased, and what a process before
// had is due at once; fences go on.
func TestLeasesEndWithTheProcess(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "mailgate.db")
	s := open(t, path, Options{Now: c.Now})
	id := take(t, s, queued(t, c.Now(), "a@gmail.com"), "x")
	old := one(t, s, "gmail.com")
	s.Close()
	s = open(t, path, Options{Now: c.Now})
	if got := due(t, s); got != "gmail.com" || !nextDue(t, s).Equal(c.Now()) || get(t, s, id).Recipients[0].Delivery.Tries != 0 {
		t.Errorf("Due = %s at %v", got, nextDue(t, s))
	}
	if err := s.Settle(t.Context(), old, "relay", all(old, spool.Result{Into: spool.Delivered})); !errors.Is(err, spool.ErrConflict) {
		t.Errorf("Settle = %v", err)
	}
	if k := one(t, s, "gmail.com"); k.Fence <= old.Fence {
		t.Errorf("fence %d after %d", k.Fence, old.Fence)
	}
	sound(t, s)
}

// TestClaimCancelled: leases that were taken down are handed over, though nobody
// waited for long.
func TestClaimCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := fresh(t, Options{CrashPoint: func(name string) {
		if name == "claim" {
			cancel()
		}
	}})
	take(t, s, queued(t, time.Now(), "a@gmail.com"), "x")
	now := time.Now()
	if claims, err := s.Claim(ctx, "gmail.com", now, now.Add(time.Hour), 1); err != nil || len(claims) != 1 {
		t.Errorf("Claim = %v, %v", claims, err)
	}
}

// TestDefer: pauses and their ends.
func TestDefer(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	start := c.Now()
	now := take(t, s, queued(t, start, "a@gmail.com", "b@gmail.com", "c@yahoo.com"), "x")
	late := take(t, s, queued(t, start.Add(5*time.Hour), "d@gmail.com"), "x")
	deferred := func(destination mail.Domain, next time.Time, sooner bool, want int) {
		t.Helper()
		if n, err := s.Defer(t.Context(), destination, next, sooner); n != want || err != nil {
			t.Errorf("Defer(%s, %v, %t) = %d, %v; want %d", destination, next, sooner, n, err, want)
		}
		sound(t, s)
	}
	next := func(id string, n int, want time.Time) {
		t.Helper()
		if got := get(t, s, id).Recipients[n].Delivery.Next; !got.Equal(want) {
			t.Errorf("next try of %s %d at %v, want %v", id, n, got, want)
		}
	}
	deferred("gmail.com", start.Add(time.Hour), false, 3)
	deferred("gmail.com", start.Add(time.Minute), false, 3) // a longer one is on
	deferred("none.example", start, false, 0)
	next(now, 0, start.Add(time.Hour))
	next(now, 2, start)
	next(late, 0, start.Add(5*time.Hour))
	take(t, s, queued(t, start, "e@gmail.com"), "x") // waits as well
	if got := due(t, s); got != "yahoo.com" || len(claim(t, s, "gmail.com")) != 0 {
		t.Errorf("paused: Due = %s", got)
	}
	deferred("", start.Add(2*time.Hour), false, 5)
	if got := nextDue(t, s); !got.Equal(start.Add(2*time.Hour)) || due(t, s) != "" {
		t.Errorf("all paused: Due = %s, NextDue = %v", due(t, s), got)
	}
	deferred("gmail.com", start, true, 4)
	next(now, 0, start)
	next(late, 0, start)
	if got := due(t, s); got != "gmail.com" {
		t.Errorf("ended: Due = %s", got)
	}
	k := claim(t, s, "gmail.com")
	if len(k) != 3 {
		t.Fatalf("%d claims", len(k))
	}
	settled(t, s, k[1], all(k[1], spool.Result{Into: spool.Queued, Next: start.Add(time.Hour)})...)
	deferred("", start.Add(-time.Hour), true, 2) // those under the lease are left alone
	if got := due(t, s); got != "gmail.com yahoo.com" || len(claim(t, s, "gmail.com")) != 1 {
		t.Errorf("flushed: Due = %s", got)
	}
}

// TestDeferMany goes through more than one operation does, over several destinations.
func TestDeferMany(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	start, total := c.Now(), 0
	for d, n := range []int{deferRows - 2, deferRows - 3, 2*deferRows + 7, 1, 0, 3} {
		var to []string
		for i := range n {
			to = append(to, fmt.Sprintf("x%d@d%d.example", i, d))
		}
		if n > 0 {
			take(t, s, queued(t, start.Add(time.Hour), to...), "x")
		}
		total += n
	}
	if n, err := s.Defer(t.Context(), "", start, true); n != total || err != nil {
		t.Errorf("Defer = %d, %v; want %d", n, err, total)
	}
	if n := count(t, s, "SELECT count(*) FROM deliveries WHERE due <> ?", nanos(start)); n != 0 {
		t.Errorf("%d recipients were left out", n)
	}
	sound(t, s)
}

// TestRetry brings one message forward, past a pause.
func TestRetry(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	later := c.Now().Add(time.Hour)
	id := take(t, s, queued(t, later, "a@gmail.com", "b@yahoo.com"), "x")
	other := take(t, s, queued(t, later, "c@gmail.com"), "x")
	if _, err := s.Defer(t.Context(), "gmail.com", later, false); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Retry(t.Context(), id, c.Now()); n != 2 || err != nil {
		t.Errorf("Retry = %d, %v", n, err)
	}
	if k := one(t, s, "gmail.com"); k.Message.ID != id {
		t.Errorf("claimed %s", k.Message.ID)
	}
	if n, err := s.Retry(t.Context(), id, c.Now()); n != 1 || err != nil {
		t.Errorf("Retry with one leased = %d, %v", n, err)
	}
	if got := get(t, s, other).Recipients[0].Delivery.Next; !got.Equal(later) {
		t.Errorf("the other is tried at %v", got)
	}
	if _, err := s.Retry(t.Context(), "zzzzz", c.Now()); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("Retry of none = %v", err)
	}
	sound(t, s)
}

func TestDestinations(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	start := c.Now()
	take(t, s, queued(t, start, "a@gmail.com"), "x")
	c.add(time.Minute)
	take(t, s, queued(t, start.Add(time.Hour), "b@gmail.com", "c@gmail.com", "c@yahoo.com", "d@yahoo.com", "e@b.example"), "x")
	k := one(t, s, "gmail.com")
	settled(t, s, k, all(k, spool.Result{Into: spool.Queued, Next: start.Add(2 * time.Hour), Answer: "421 no", Host: "mx", TLS: "TLSv1.2"})...)
	c.add(time.Hour)
	claim(t, s, "gmail.com")
	got, err := s.Destinations(t.Context(), 2)
	want := []spool.Destination{
		{Domain: "gmail.com", Queued: 3, Leased: 2, Oldest: start, Next: c.Now().Add(time.Minute), Answer: "421 no", Host: "mx", TLS: "TLSv1.2", Tried: start.Add(time.Minute)},
		{Domain: "yahoo.com", Queued: 2, Oldest: start.Add(time.Minute), Next: start.Add(time.Hour)},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Destinations =\n%+v, %v; want\n%+v", got, err, want)
	}
	c.add(time.Minute)
	if got, err := s.Destinations(t.Context(), 1); err != nil || got[0].Leased != 0 {
		t.Errorf("Destinations after the leases = %+v, %v", got, err)
	}
}

// TestClaimsApart: of many that claim at once, each recipient is given to one.
func TestClaimsApart(t *testing.T) {
	s := fresh(t, Options{})
	now := time.Now()
	const messages = 60
	for range messages {
		take(t, s, queued(t, now, "a@gmail.com", "b@gmail.com", "c@yahoo.com"), "x")
	}
	var mu sync.Mutex
	given := map[string]int{}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			domain := []mail.Domain{"gmail.com", "yahoo.com"}[n%2]
			for {
				claims, err := s.Claim(t.Context(), domain, now, now.Add(time.Hour), 3)
				if err != nil || len(claims) == 0 {
					if err != nil {
						t.Error(err)
					}
					return
				}
				for _, k := range claims {
					mu.Lock()
					for _, a := range k.Message.Envelope.To {
						given[k.Message.ID+a.String()]++
					}
					mu.Unlock()
					if err := s.Settle(t.Context(), k, "relay", all(k, spool.Result{Into: spool.Delivered})); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for who, n := range given {
		if n != 1 {
			t.Errorf("%s was given %d times", who, n)
		}
	}
	if len(given) != 3*messages {
		t.Errorf("%d recipients were given, of %d", len(given), 3*messages)
	}
	sound(t, s)
}
