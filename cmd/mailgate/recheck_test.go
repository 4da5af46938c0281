package main

import (
	"strings"
	"testing"

	"mailgate/internal/quarantine"
)

func TestPrintRechecked(t *testing.T) {
	for _, tt := range []struct {
		sum  quarantine.Rechecked
		want string
	}{
		{quarantine.Rechecked{}, "nothing is held there\n"},
		{quarantine.Rechecked{Recipients: 1, Passing: 1, Released: 1},
			"1 held recipient checked: 1 would pass, 0 would be refused, 0 waiting for DNS\n1 released now\n"},
		{quarantine.Rechecked{Recipients: 9, Passing: 9, Released: 2, Failed: 1, AutoRelease: true},
			"9 held recipients checked: 9 would pass, 0 would be refused, 0 waiting for DNS\n2 released now\n" +
				"1 not taken by the next server, tried again later\n6 would pass, and leave by themselves as hold.release_rate allows\n"},
		{quarantine.Rechecked{Recipients: 1, Passing: 1},
			"1 held recipient checked: 1 would pass, 0 would be refused, 0 waiting for DNS\n" +
				"1 would pass and stays held, as hold.auto_release is off; send them: mailgate quarantine release ALL --reason \"…\"\n"},
		{quarantine.Rechecked{Recipients: 4, Refused: 1, Foreign: 2, Waiting: 1},
			"4 held recipients checked: 0 would pass, 1 would be refused, 1 waiting for DNS, 2 without a key here\n"},
	} {
		var b strings.Builder
		printRechecked(&b, tt.sum)
		if b.String() != tt.want {
			t.Errorf("%+v: %q, want %q", tt.sum, b.String(), tt.want)
		}
	}
}
