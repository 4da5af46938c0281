package spool

import (
	"testing"
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

func TestIn(t *testing.T) {
	m := Message{Recipients: []Recipient{{State: Held, Rule: "a"}, {State: Queued}, {State: Held, Rule: "b"}}}
	got := m.In(Held)
	if len(got) != 2 || got[0].Rule != "a" || got[1].Rule != "b" {
		t.Errorf("In(Held) = %v", got)
	}
}
