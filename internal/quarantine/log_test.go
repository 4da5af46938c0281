package quarantine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
)

func TestLog(t *testing.T) {
	w := newWorld(t)
	first := w.hold(t, "one", "b@gmail.com", "c@other.example")
	second := w.hold(t, "two", "b@gmail.com")
	if _, err := w.Release(t.Context(), Request{ID: first, Actor: "ann", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Discard(t.Context(), Request{ID: second, Actor: "bob", Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	hour := time.Hour
	for _, c := range []struct {
		query LogQuery
		want  string
	}{
		{LogQuery{}, "discard deliver deliver release release hold hold hold"},
		{LogQuery{OldestFirst: true, Limit: 4}, "hold hold hold release"},
		{LogQuery{OldestFirst: true, After: 4}, "release deliver deliver discard"},
		{LogQuery{After: 4}, "hold hold hold"},
		{LogQuery{ID: second}, "discard hold"},
		{LogQuery{Recipient: "other"}, "deliver release hold"},
		{LogQuery{Action: "discard"}, "discard"},
		{LogQuery{Actor: "bob"}, "discard"},
		{LogQuery{Since: time.Now().Add(hour)}, ""},
		{LogQuery{Until: time.Now().Add(-hour)}, ""},
	} {
		page, err := w.Log(t.Context(), c.query)
		if err != nil {
			t.Errorf("%+v: %v", c.query, err)
			continue
		}
		var got []string
		for _, e := range page.Entries {
			got = append(got, string(e.Action))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %s, want %s", c.query, got, c.want)
		}
		if full := c.query.Limit > 0 && c.query.Limit == len(got); full != (page.Next != 0) {
			t.Errorf("%+v: next %d", c.query, page.Next)
		}
	}
	for _, q := range []LogQuery{{Limit: -1}, {Limit: MaxPage + 1}, {After: -1}, {ID: "../etc"}, {Action: "steal"}} {
		if _, err := w.Log(t.Context(), q); !errors.Is(err, ErrQuery) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// forged is a store whose log tells something else.
type forged struct {
	spool.Store
	chain spool.Chain
	err   error
	entry spool.LogEntry
}

func (f *forged) VerifyLog(context.Context) (spool.Chain, error) { return f.chain, f.err }

func (f *forged) Log(_ context.Context, l spool.LogFilter) ([]spool.LogEntry, error) {
	if l.After+1 != f.entry.N {
		return nil, nil
	}
	return []spool.LogEntry{f.entry}, nil
}

func TestVerifyLog(t *testing.T) {
	w := newWorld(t)
	if v, err := w.VerifyLog(t.Context(), ""); err != nil || !v.Right || v.Entries != 0 {
		t.Fatalf("empty log: %+v, %v", v, err)
	}
	id := w.hold(t, "one", "b@gmail.com")
	noted, err := w.VerifyLog(t.Context(), "")
	if err != nil || !noted.Right || noted.Entries != 1 || !strings.HasPrefix(noted.Head, "1:") {
		t.Fatalf("%+v, %v", noted, err)
	}
	if err := w.Discard(t.Context(), Request{ID: id, Actor: "ann", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	v, err := w.VerifyLog(t.Context(), noted.Head)
	if err != nil || !v.Right || v.Entries != 2 || v.First != 1 || v.Last != 2 {
		t.Fatalf("%+v, %v", v, err)
	}
	hash := strings.TrimPrefix(noted.Head, "1:")
	for _, c := range []struct{ against, problem string }{
		{"1:" + strings.Repeat("0", 64), "written anew"},
		{"3:" + hash, "the log ends with entry 2"},
	} {
		if v, err := w.VerifyLog(t.Context(), c.against); err != nil || v.Right || !strings.Contains(v.Problem, c.problem) {
			t.Errorf("against %s: %+v, %v", c.against, v, err)
		}
	}
	for _, bad := range []string{"1", "x:" + hash, "1:zz", "1:" + hash[2:], "-1:" + hash} {
		if _, err := w.VerifyLog(t.Context(), bad); !errors.Is(err, ErrQuery) {
			t.Errorf("against %q: %v", bad, err)
		}
	}
}

// TestVerifyTrimmedLog: a head noted before what is kept proves nothing, save that of
// the last entry removed, whose hash is known.
func TestVerifyTrimmedLog(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	head := func() string {
		t.Helper()
		v, err := w.VerifyLog(t.Context(), "")
		if err != nil || !v.Right {
			t.Fatalf("%+v, %v", v, err)
		}
		return v.Head
	}
	first := head()
	if err := w.Discard(t.Context(), Request{ID: id, Actor: "ann", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	second := head()
	if n, err := w.store.Trim(t.Context(), time.Now().Add(time.Hour)); err != nil || n != 2 {
		t.Fatalf("%d entries trimmed, %v", n, err)
	}
	third := head()
	for _, tt := range []struct {
		against           string
		right             bool
		problem, unproven string
	}{
		{first, false, "", "entry 1 was removed"},
		{second, true, "", ""},
		{"2:" + strings.Repeat("0", 64), false, "entry 2 is not the one noted", ""},
		{third, true, "", ""},
		{"4:" + strings.Repeat("0", 64), false, "the log ends with entry 3", ""},
	} {
		v, err := w.VerifyLog(t.Context(), tt.against)
		if err != nil || v.Right != tt.right || !says(v.Problem, tt.problem) || !says(v.Unproven, tt.unproven) {
			t.Errorf("against %s: %+v, %v", tt.against, v, err)
		}
	}
}

// says reports whether a text has a part, and is empty where that is.
func says(text, part string) bool {
	return (text == "") == (part == "") && strings.Contains(text, part)
}

func TestVerifyLogFaults(t *testing.T) {
	w := newWorld(t)
	hash := strings.Repeat("01", 32)
	broken := fmt.Errorf("%w: entry 7 was changed, or one before it", spool.ErrLog)
	for _, c := range []struct {
		name    string
		store   forged
		against string
		right   bool
		problem string
	}{
		{"changed", forged{chain: spool.Chain{First: 1, Last: 6}, err: broken}, "", false, "entry 7 was changed"},
		{"trimmed", forged{chain: spool.Chain{First: 5, Last: 9, Trimmed: 4}}, "", true, ""},
		{"noted entry is gone", forged{chain: spool.Chain{First: 1, Last: 9}}, "3:" + hash, false, "missing"},
	} {
		c.store.Store = w.store
		w.Quarantine = New(&c.store, w.o)
		v, err := w.VerifyLog(t.Context(), c.against)
		if err != nil || v.Right != c.right || !strings.Contains(v.Problem, c.problem) {
			t.Errorf("%s: %+v, %v", c.name, v, err)
		}
	}
	w.Quarantine = New(&forged{Store: w.store, err: spool.ErrStopped}, w.o)
	if _, err := w.VerifyLog(t.Context(), ""); !errors.Is(err, ErrStopped) {
		t.Errorf("a log that can't be read: %v", err)
	}
}
