package main

import (
	"strings"
	"testing"
	"time"

	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
)

// TestRowShowsWhatItIsListedFor: of a message to several, those that answer to the
// filters are shown, with their own state.
func TestRowShowsWhatItIsListedFor(t *testing.T) {
	received := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	at := received.Add(10 * time.Hour)
	to := func(address string, state spool.State, now string) quarantine.Recipient {
		r := quarantine.Recipient{Address: address, Selected: true, State: state, Now: now, Changed: received}
		if state != spool.Held {
			r.Changed = received.Add(2 * time.Hour)
		}
		return r
	}
	bob, carol, dora := to("bob@gmail.com", spool.Held, "refuse"), to("Carol@yahoo.com", spool.Discarded, ""), to("dora@other.example", spool.Held, "pass")
	hand, said := to("hand@down.example", spool.Held, "by-hand"), to("said@gmail.com", spool.Held, "refuse")
	missing := bob
	hand.Reason, said.Codes, missing.Codes = spool.ByHand, []string{"receiver-refused"}, []string{"dkim-missing"}
	other := bob
	other.Selected = false
	for _, tt := range []struct {
		name    string
		columns string
		to      []quarantine.Recipient
		want    string
	}{
		{"one of two", "", []quarantine.Recipient{other, carol}, "2h00m Carol@yahoo.com discarded"},
		{"held, and its own verdict", "", []quarantine.Recipient{other, dora}, "10h00m dora@other.example would pass ✓"},
		{"the gravest of two", "", []quarantine.Recipient{dora, bob}, "10h00m bob@gmail.com +1 would be refused ✗"},
		{"one by hand", "", []quarantine.Recipient{hand, missing}, "10h00m bob@gmail.com +1 dkim-missing would be refused ✗, 1 by hand"},
		{"one by hand, narrow", "88", []quarantine.Recipient{hand, missing}, "10h00m bob@gmail.com +1 dkim-missing refused ✗, 1 by hand"},
		{"one by hand, the other passes", "", []quarantine.Recipient{hand, dora}, "10h00m dora@other.example +1 by-hand would pass ✓, 1 by hand"},
		{"all by hand", "", []quarantine.Recipient{hand, hand}, "10h00m hand@down.example +1 by-hand held by hand"},
		{"refused by the receiver", "", []quarantine.Recipient{said}, "10h00m said@gmail.com receiver-refused was refused ✗"},
		{"mixed", "", []quarantine.Recipient{bob, dora, carol}, "10h00m bob@gmail.com +2 2 held, 1 discarded"},
		{"mixed, narrow", "64", []quarantine.Recipient{bob, dora, carol}, "10h00m bob@gmail.com +2 mixed"},
		{"narrower", "60", []quarantine.Recipient{bob, dora, carol}, "10h00m gmail.com +2 mixed"},
		{"none marked", "", []quarantine.Recipient{other}, "10h00m bob@gmail.com would be refused ✗"},
	} {
		t.Setenv("COLUMNS", tt.columns)
		var b strings.Builder
		m := quarantine.Message{ID: "q7f3a", Received: received, From: "ann@example.com", Now: "refuse", Recipients: tt.to}
		printPage(&b, quarantine.Page{Messages: []quarantine.Message{m}}, false, at)
		_, row, _ := strings.Cut(b.String(), "\n")
		if got := strings.Join(strings.Fields(row), " "); got != "q7f3a "+strings.Replace(tt.want, "m ", "m ann@example.com ", 1) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
