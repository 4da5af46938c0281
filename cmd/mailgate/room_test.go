package main

import (
	"testing"

	"mailgate/internal/web"
)

func TestStoreLine(t *testing.T) {
	for _, test := range []struct {
		status web.StoreStatus
		want   string
	}{
		{web.StoreStatus{Used: 2 << 20, File: 5 << 20}, "store: 2.0 MiB used, 5.0 MiB on disk"},
		{web.StoreStatus{Used: 2 << 20, Max: 10 << 30, File: 5 << 20}, "store: 2.0 MiB used of 10.0 GiB, 5.0 MiB on disk"},
		{web.StoreStatus{Used: 2 << 20, Max: 2 << 20, File: 5 << 20, Full: true, Refused: 1},
			"store: 2.0 MiB used of 2.0 MiB, 5.0 MiB on disk; full: mail that would be held is answered 452; 1 message answered 452 since the start"},
		{web.StoreStatus{Stopped: true}, "store: stopped: nothing is taken or released; see the log, and start mailgate again"},
	} {
		if got := storeLine(test.status); got != test.want {
			t.Errorf("%s\nwant %s", got, test.want)
		}
	}
}
