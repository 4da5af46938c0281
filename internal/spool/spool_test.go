package spool

import (
	"slices"
	"testing"

	"mailgate/internal/mail"
)

// TestTransitions pins the whole table: what is not in it is refused.
func TestTransitions(t *testing.T) {
	allowed := map[[2]State]Action{
		{"", Held}:          ActionHold,
		{"", Queued}:        ActionQueue,
		{Held, Queued}:      ActionRelease,
		{Held, Held}:        ActionAssess,
		{Held, Discarded}:   ActionDiscard,
		{Held, Bounced}:     ActionBounce,
		{Queued, Delivered}: ActionDeliver,
		{Queued, Held}:      ActionRequeue,
		{Queued, Bounced}:   ActionBounce,
	}
	states := []State{"", Held, Queued, Delivered, Bounced, Discarded, "odd"}
	for _, from := range states {
		for _, into := range states {
			want, ok := allowed[[2]State{from, into}]
			got, gotOK := ActionOf(from, into)
			if got != want || gotOK != ok {
				t.Errorf("ActionOf(%q, %q) = %q, %v; want %q, %v", from, into, got, gotOK, want, ok)
			}
			if from.Final() && gotOK {
				t.Errorf("a move leads out of the final state %q", from)
			}
		}
	}
}

// TestMoveAction: a flag is for one transition and turns it into another action.
func TestMoveAction(t *testing.T) {
	for _, c := range []struct {
		move Move
		want Action
	}{
		{Move{From: Held, Into: Queued}, ActionRelease},
		{Move{From: Held, Into: Queued, Return: true}, ActionReturn},
		{Move{From: Held, Into: Held}, ActionAssess},
		{Move{From: Held, Into: Held, Notice: true}, ActionNotify},
		{Move{From: Held, Into: Queued, Notice: true}, ""},
		{Move{From: Held, Into: Held, Return: true}, ""},
		{Move{From: Queued, Into: Bounced, Return: true}, ""},
		{Move{From: Held, Into: Delivered}, ""},
		{Move{Into: Held}, ""},
	} {
		if got, ok := c.move.Action(); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%+v: %q, %v; want %q", c.move, got, ok, c.want)
		}
	}
}

func TestMoveOf(t *testing.T) {
	a, b := mail.Address{Local: "a", Domain: "gmail.com"}, mail.Address{Local: "b", Domain: "other.example"}
	m := Move{To: []mail.Address{a, b}, Codes: []string{"all"}, Verdict: "unknown", Reason: "why", Where: "there"}
	if one := m.Of(b); !slices.Equal(one.To, []mail.Address{b}) || one.Verdict != "unknown" || one.Reason != "why" {
		t.Errorf("%+v", one)
	}
	m.Each = []Found{{Codes: []string{"dkim-missing"}, Verdict: "refuse", Reason: "anyway: why"}, {Verdict: "accept"}}
	if one := m.Of(a); one.Verdict != "refuse" || one.Reason != "anyway: why" || !slices.Equal(one.Codes, []string{"dkim-missing"}) {
		t.Errorf("%+v", one)
	}
	if one := m.Of(b); one.Verdict != "accept" || one.Reason != "why" || one.Codes != nil || one.Where != "there" {
		t.Errorf("%+v", one)
	}
}

func TestIn(t *testing.T) {
	m := Message{Recipients: []Recipient{{State: Held, Rule: "a"}, {State: Queued}, {State: Held, Rule: "b"}}}
	got := m.In(Held)
	if len(got) != 2 || got[0].Rule != "a" || got[1].Rule != "b" {
		t.Errorf("In(Held) = %v", got)
	}
}
