package quarantine

import (
	"errors"
	"testing"
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
