package quarantine

import (
	"fmt"
	"strings"
	"testing"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// holdMixed takes a message whose recipients differ in all that a filter can ask of
// one.
func (w *world) holdMixed(t *testing.T) string {
	t.Helper()
	from := path(t, "ann@example.com")
	bob, carol, dora := path(t, "bob@gmail.com"), path(t, "Carol@yahoo.com"), path(t, "dora@other.example")
	m := &spool.Message{Source: "milter", From: from, Subject: "to bob and carol",
		Envelope: mail.Envelope{From: from, To: []mail.Address{bob, carol, dora}},
		Recipients: []spool.Recipient{
			{Address: bob, State: spool.Held, Reason: spool.Refused, Provider: "google", Codes: []string{"dkim-missing", "spf-softfail"}, Rule: "gmail-unauthenticated"},
			{Address: carol, State: spool.Held, Reason: spool.Waiting, Provider: "yahoo", Codes: []string{"dns-unreachable"}},
			{Address: dora, State: spool.Held, Reason: spool.Foreign, Provider: "other"},
		}}
	if err := w.store.Take(t.Context(), m, strings.NewReader("one")); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// TestListMarksTheRecipientsItSelects: a message is listed whole, and the marks tell
// which of its recipients answer to the filters.
func TestListMarksTheRecipientsItSelects(t *testing.T) {
	w := newWorld(t)
	id := w.holdMixed(t)
	if err := w.Discard(t.Context(), Request{ID: id, To: []string{"dora@other.example"}, Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		query Query
		want  string
	}{
		{Query{}, "bob@gmail.com Carol@yahoo.com"},
		{Query{Domain: "example.com", Sender: "ann@", Text: "carol"}, "bob@gmail.com Carol@yahoo.com"},
		{Query{Recipient: "cAROL@Yahoo"}, "Carol@yahoo.com"},
		{Query{Recipient: "@gmail.com"}, "bob@gmail.com"},
		{Query{Provider: "yahoo"}, "Carol@yahoo.com"},
		{Query{Reason: "waiting"}, "Carol@yahoo.com"},
		{Query{Reason: "refused"}, "bob@gmail.com"},
		{Query{Code: "dkim"}, "bob@gmail.com"},
		{Query{Code: "DKIM-Missing"}, "bob@gmail.com"},
		{Query{Code: "spf-softfail"}, "bob@gmail.com"},
		{Query{Code: "dns-unreachable"}, "Carol@yahoo.com"},
		{Query{States: []string{"discarded"}}, "dora@other.example"},
		{Query{States: []string{"all"}}, "bob@gmail.com Carol@yahoo.com dora@other.example"},
		{Query{Recipient: "bob", Provider: "yahoo"}, "not listed"},
		{Query{Code: "dns", Reason: "refused"}, "not listed"},
	} {
		page, err := w.List(t.Context(), tt.query)
		if err != nil {
			t.Fatal(err)
		}
		got := "not listed"
		if len(page.Messages) > 0 {
			got = marked(page.Messages[0])
		}
		if got != tt.want {
			t.Errorf("%+v selects %s, want %s", tt.query, got, tt.want)
		}
	}
}

func marked(m Message) string {
	var list []string
	for _, r := range m.Recipients {
		if r.Selected {
			list = append(list, r.Address)
		}
	}
	return strings.Join(list, " ")
}

// TestEveryRecipientHasItsVerdict: the message's is the gravest of them.
func TestEveryRecipientHasItsVerdict(t *testing.T) {
	w := newWorld(t)
	id := w.holdMixed(t)
	words := func(m Message) string {
		var list []string
		for _, r := range m.Recipients {
			list = append(list, r.Now)
		}
		return fmt.Sprintf("%s: %s", m.Now, strings.Join(list, " "))
	}
	page, err := w.List(t.Context(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := words(page.Messages[0]), "refuse: refuse unknown foreign"; got != want {
		t.Errorf("list: %s, want %s", got, want)
	}
	w.judge.refuse("yahoo.com")
	if err := w.Discard(t.Context(), Request{ID: id, To: []string{"dora@other.example"}, Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	d, err := w.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := words(d.Message), "refuse: pass refuse "; got != want {
		t.Errorf("show: %s, want %s", got, want)
	}
}
