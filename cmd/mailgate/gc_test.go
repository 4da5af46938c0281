package main

import "testing"

func TestMemoryLimitFollowsWhatLives(t *testing.T) {
	for live, want := range map[uint64]int64{0: gcLimit, 20 << 20: gcLimit, 100 << 20: 300 << 20} {
		if got := limitFor(live); got != want {
			t.Errorf("%d bytes live: limit %d, want %d", live, got, want)
		}
	}
}
