package quarantine

import (
	"errors"
	"fmt"
	"testing"

	"mailgate/internal/spool"
)

func TestDiscard(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	if err := w.Discard(t.Context(), Request{ID: id, Actor: "ann", Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if w.states(t, id) != "discarded" || len(w.mta.got) != 0 {
		t.Errorf("%s, sent %d", w.states(t, id), len(w.mta.got))
	}
	if err := w.Discard(t.Context(), Request{ID: "zzzzz", Actor: "ann", Reason: "spam"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown id: %v", err)
	}
}

func TestQueries(t *testing.T) {
	w := newWorld(t)
	for _, q := range []Query{{States: []string{"lost"}}, {Domain: "a b"}, {Limit: -1}, {Reason: "bogus"}, {Code: "bogus"}, {Provider: "gogle"}, {Limit: MaxPage + 1}} {
		if _, err := w.List(t.Context(), q); !errors.Is(err, ErrQuery) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	w.judge.refuse("gmail.com")
	var ids []string
	for range 3 {
		ids = append(ids, w.hold(t, "one", "b@gmail.com"))
	}
	if _, err := w.Recheck(t.Context(), RecheckRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	page, err := w.List(t.Context(), Query{Limit: 2})
	if err != nil || len(page.Messages) != 2 || page.Messages[0].ID != ids[2] || page.Next != ids[1] {
		t.Fatalf("%+v, %v", page, err)
	}
	if m := page.Messages[0]; m.Now != "refuse" || m.Why != "no key is published" {
		t.Errorf("now %q: %q", m.Now, m.Why)
	}
	if page, err = w.List(t.Context(), Query{Limit: 2, After: page.Next}); err != nil || len(page.Messages) != 1 || page.Next != "" {
		t.Fatalf("second page %+v, %v", page, err)
	}
}

// TestShowHasTheNewestOfTheLog: and says where the rest is.
func TestShowHasTheNewestOfTheLog(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	note := func(n int) {
		for i := range n {
			move := spool.Move{ID: id, From: spool.Held, Into: spool.Held, Actor: "ann", Reason: fmt.Sprint("again ", i)}
			if err := w.store.Move(t.Context(), move); err != nil {
				t.Fatal(err)
			}
		}
	}
	note(5)
	d, err := w.Show(t.Context(), id)
	if err != nil || len(d.Log) != 6 || d.LogNext != 0 || d.Log[0].Action != spool.ActionHold {
		t.Fatalf("%d entries, more after %d, %v", len(d.Log), d.LogNext, err)
	}
	note(MaxPage)
	d, err = w.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if first, last := d.Log[0].N, d.Log[len(d.Log)-1]; len(d.Log) != MaxPage || first != 7 || last.Reason != fmt.Sprint("again ", MaxPage-1) {
		t.Errorf("%d entries, %d to %d (%s)", len(d.Log), first, last.N, last.Reason)
	}
	rest, err := w.Log(t.Context(), LogQuery{ID: id, After: d.LogNext})
	if err != nil || len(rest.Entries) != 6 || rest.Entries[0].N != 6 {
		t.Errorf("the older ones: %+v, %v", rest, err)
	}
}

// TestShowTellsWhetherItLeavesByItself: so that nobody waits for what a reviewer has
// to send.
func TestShowTellsWhetherItLeavesByItself(t *testing.T) {
	w := newWorld(t)
	id := w.hold(t, "one", "b@gmail.com")
	for _, auto := range []bool{true, false} {
		w.policy.AutoRelease = auto
		if d, err := w.Show(t.Context(), id); err != nil || d.AutoRelease != auto {
			t.Errorf("auto release %v: %+v, %v", auto, d, err)
		}
	}
}
