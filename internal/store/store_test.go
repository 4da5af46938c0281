package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

// open opens a store at path and closes it with the test.
func open(t testing.TB, path string, o Options) *Store {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := Open(t.Context(), "sqlite:"+path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func fresh(t testing.TB, o Options) *Store {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "db", "mailgate.db"), o)
}

func addr(t testing.TB, s string) mail.Address {
	t.Helper()
	local, domain, _ := strings.Cut(s, "@")
	return mail.Address{Local: local, Domain: mail.Domain(domain)}
}

// message is a message from ann@example.com, held as refused for each of to.
func message(t testing.TB, to ...string) *spool.Message {
	t.Helper()
	m := &spool.Message{
		Source: "milter", From: addr(t, "ann@example.com"), Subject: "Hello", MessageID: "<1@example.com>",
		Envelope: mail.Envelope{From: addr(t, "bounces@example.com"), Helo: "client.example.com"},
	}
	for _, a := range to {
		m.Recipients = append(m.Recipients, spool.Recipient{
			Address: addr(t, a), State: spool.Held, Reason: spool.Refused, Provider: "google",
			Codes: []string{"dkim-missing", "spf-none"}, Rule: "gmail-unauthenticated", Reply: "550 5.7.26 no",
		})
	}
	return m
}

// take takes m and returns its id.
func take(t testing.TB, s *Store, m *spool.Message, content string) string {
	t.Helper()
	if err := s.Take(t.Context(), m, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

func content(t testing.TB, s *Store, id string) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// verify checks the chain of the log and that it has n entries.
func verify(t testing.TB, s *Store, n int64) {
	t.Helper()
	if got, err := s.VerifyLog(t.Context()); err != nil || got.Last != n {
		t.Errorf("VerifyLog = %+v, %v; want %d", got, err, n)
	}
}

// bytesOf returns n bytes that differ from place to place.
func bytesOf(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16)
	}
	return p
}

func TestTakeAndGet(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	m := &spool.Message{
		Source: "relay", Received: c.Now().Add(-time.Minute),
		Envelope: mail.Envelope{
			From: addr(t, "b@out.example"), Helo: "h.example", Client: netip.MustParseAddr("2001:db8::7"),
			Host: "host.example", User: "ann", QueueID: "4Zabc", SMTPUTF8: true,
			To: []mail.Address{addr(t, "x@gmail.com"), addr(t, "ü y@other.example")},
		},
		From: addr(t, "ann@example.com"), Subject: "Grüße", MessageID: "<1@x>", Evidence: []byte(`{"a":1}`),
		Recipients: []spool.Recipient{
			{Address: addr(t, "x@gmail.com"), State: spool.Held, Reason: spool.Waiting, Provider: "google", Codes: []string{"a", "b-c"}, Rule: "r", Reply: "550 no"},
			{Address: addr(t, "ü y@other.example"), State: spool.Queued, Provider: "other"},
		},
	}
	want := *m
	want.Recipients = append([]spool.Recipient(nil), m.Recipients...)
	body := "Subject: x\r\n\r\nbody\x00\xff"
	id := take(t, s, m, body)
	want.ID, want.Size = id, int64(len(body))
	for i := range want.Recipients {
		want.Recipients[i].Changed = c.Now()
	}
	if !spool.ValidID(id) || m.Size != want.Size {
		t.Errorf("id %q, size %d", id, m.Size)
	}
	got, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.Recipients {
		if len(got.Recipients[i].Codes) == 0 {
			got.Recipients[i].Codes = nil
		}
	}
	if !reflect.DeepEqual(got, &want) {
		t.Errorf("Get =\n%+v, want\n%+v", got, &want)
	}
	if b := content(t, s, id); string(b) != body {
		t.Errorf("content = %q", b)
	}
	entries, err := s.Log(t.Context(), spool.LogFilter{OldestFirst: true})
	if err != nil || len(entries) != 2 {
		t.Fatalf("Log: %v, %v", entries, err)
	}
	for i, action := range []spool.Action{spool.ActionHold, spool.ActionQueue} {
		if e := entries[i]; e.Action != action || e.ID != id || e.From != "" || e.Recipient != want.Recipients[i].Address || !e.Time.Equal(c.Now()) {
			t.Errorf("entry %d = %+v", i, e)
		}
	}
	verify(t, s, 2)
}

func TestTakeSetsReceived(t *testing.T) {
	c := newClock()
	s := fresh(t, Options{Now: c.Now})
	m := message(t, "x@gmail.com")
	take(t, s, m, "")
	if !m.Received.Equal(c.Now()) {
		t.Errorf("Received = %v", m.Received)
	}
	if got := content(t, s, m.ID); len(got) != 0 {
		t.Errorf("content = %q", got)
	}
}

func TestTakeRefuses(t *testing.T) {
	s := fresh(t, Options{})
	if err := s.Take(t.Context(), message(t), strings.NewReader("x")); err == nil {
		t.Error("a message without recipients was taken")
	}
	m := message(t, "x@gmail.com")
	m.Recipients[0].State = spool.Delivered
	if err := s.Take(t.Context(), m, strings.NewReader("x")); !errors.Is(err, spool.ErrTransition) {
		t.Errorf("a delivered recipient: %v", err)
	}
	verify(t, s, 0)
}

// TestSizes takes bodies around the size of a piece, from readers that give
// little at a time and that don't tell their size.
func TestSizes(t *testing.T) {
	s := fresh(t, Options{})
	for _, size := range []int{0, 1, 10 << 10, pieceBytes - 1, pieceBytes, pieceBytes + 1, 2 * pieceBytes, 2*pieceBytes + 1, 5<<20 + 3} {
		want := bytesOf(size)
		for _, r := range []io.Reader{bytes.NewReader(want), struct{ io.Reader }{bytes.NewReader(want)}} {
			m := message(t, "x@gmail.com")
			if err := s.Take(t.Context(), m, r); err != nil {
				t.Fatal(err)
			}
			if m.Size != int64(size) || !bytes.Equal(content(t, s, m.ID), want) {
				t.Errorf("%d bytes come back otherwise", size)
			}
		}
	}
	if n := count(t, s, "SELECT count(*) FROM loose"); n != 0 {
		t.Errorf("%d loose bodies left", n)
	}
}

// count runs a query that gives one number.
func count(t testing.TB, s *Store, query string, args ...any) (n int) {
	t.Helper()
	if err := s.read.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestTakeBrokenContent: a body that breaks off leaves nothing, small or large.
func TestTakeBrokenContent(t *testing.T) {
	s := fresh(t, Options{})
	broken := errors.New("connection reset")
	for _, size := range []int{0, 100, 20 * pieceBytes} {
		r := io.MultiReader(bytes.NewReader(bytesOf(size)), errReader{broken})
		m := message(t, "x@gmail.com")
		if err := s.Take(t.Context(), m, r); !errors.Is(err, broken) || m.ID != "" {
			t.Errorf("%d bytes: %v, id %q", size, err, m.ID)
		}
	}
	for _, table := range []string{"messages", "chunks", "loose", "recipients", "review_log", "tallies"} {
		if n := count(t, s, "SELECT count(*) FROM "+table); n != 0 {
			t.Errorf("%d rows in %s", n, table)
		}
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestTakeCancelled(t *testing.T) {
	s := fresh(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Take(ctx, message(t, "x@gmail.com"), strings.NewReader("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Take = %v", err)
	}
	verify(t, s, 0)
}

func TestNotFound(t *testing.T) {
	s := fresh(t, Options{})
	ctx := t.Context()
	_, get := s.Get(ctx, "nosuch")
	_, open := s.Open(ctx, "nosuch")
	_, list := s.List(ctx, spool.Filter{After: "nosuch"})
	_, redeem := s.RedeemToken(ctx, [32]byte{1})
	for name, err := range map[string]error{
		"Get": get, "Open": open, "List": list, "RedeemToken": redeem,
		"Move":       s.Move(ctx, spool.Move{ID: "nosuch", From: spool.Held, Into: spool.Queued}),
		"IssueToken": s.IssueToken(ctx, "nosuch", [32]byte{1}, time.Now()),
	} {
		if !errors.Is(err, spool.ErrNotFound) {
			t.Errorf("%s = %v", name, err)
		}
	}
}

// TestIDCollision: an id in use is never given again, and ids grow when they
// collide.
func TestIDCollision(t *testing.T) {
	var lengths []int
	s := fresh(t, Options{NewID: func(n int) string {
		lengths = append(lengths, n)
		return strings.Repeat("q", n)
	}})
	for _, want := range []string{"qqqqq", "qqqqqq", "qqqqqqq"} {
		if got := take(t, s, message(t, "x@gmail.com"), "x"); got != want {
			t.Errorf("id = %q, want %q", got, want)
		}
	}
	if want := []int{5, 5, 5, 5, 6, 5, 5, 5, 6, 6, 6, 7}; !reflect.DeepEqual(lengths, want) {
		t.Errorf("lengths tried %v, want %v", lengths, want)
	}
}

// TestEvidenceIsShared: ten messages of one report keep one copy.
func TestEvidenceIsShared(t *testing.T) {
	s := fresh(t, Options{})
	for i := range 10 {
		m := message(t, "x@gmail.com")
		m.Evidence = fmt.Appendf(nil, `{"report":%d}`, i/5)
		take(t, s, m, "x")
	}
	if n := count(t, s, "SELECT count(*) FROM evidence"); n != 2 {
		t.Errorf("%d reports kept, want 2", n)
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	s := open(t, path, Options{})
	var ids []string
	for i := range 3 {
		ids = append(ids, take(t, s, message(t, "x@gmail.com"), strings.Repeat("z", i*pieceBytes)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), ids[0]); !errors.Is(err, spool.ErrStopped) {
		t.Errorf("Get after Close = %v", err)
	}
	if err := s.Take(t.Context(), message(t, "x@gmail.com"), strings.NewReader("x")); !errors.Is(err, spool.ErrStopped) {
		t.Errorf("Take after Close = %v", err)
	}
	s = open(t, path, Options{})
	for i, id := range ids {
		if n := len(content(t, s, id)); n != i*pieceBytes {
			t.Errorf("message %d has %d bytes", i, n)
		}
	}
	take(t, s, message(t, "y@gmail.com"), "more")
	verify(t, s, 4)
}

// raw runs SQL as the writer.
func raw(t testing.TB, s *Store, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if err := s.update(t.Context(), "test", 0, func(b *batch) error { return b.exec(sql) }); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// limitPages has SQLite refuse to let the database grow beyond n pages.
func limitPages(t testing.TB, s *Store, n int) {
	t.Helper()
	err := s.update(t.Context(), "test", 0, func(b *batch) error {
		return b.w.conn.QueryRowContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count(%d)", n)).Scan(new(int))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestErrorsSayOnce: what was being done is the caller's to say, and not the
// store's once more.
func TestErrorsSayOnce(t *testing.T) {
	s, ctx := fresh(t, Options{}), t.Context()
	_, get := s.Get(ctx, "nope")
	_, open := s.Open(ctx, "nope")
	_, list := s.List(ctx, spool.Filter{After: "nope"})
	_, group := s.GroupIDs(ctx, spool.GroupKey{}, "nope", 1)
	_, redeem := s.RedeemToken(ctx, [32]byte{})
	move := s.Move(ctx, spool.Move{ID: "nope", From: spool.Held, Into: spool.Discarded})
	for _, test := range []struct {
		err  error
		want string
	}{
		{get, "not found"}, {open, "not found"}, {redeem, "not found"},
		{s.IssueToken(ctx, "nope", [32]byte{}, time.Now()), "not found"},
		{list, "message nope to go on after: not found"}, {group, "message nope to go on after: not found"},
		{move, "from held to discarded: not found"},
	} {
		if test.err == nil || test.err.Error() != test.want || !errors.Is(test.err, spool.ErrNotFound) {
			t.Errorf("%v, want %s", test.err, test.want)
		}
	}
}
