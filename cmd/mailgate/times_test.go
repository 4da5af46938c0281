package main

import (
	"testing"
	"time"
)

func TestParseWhen(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, zone)
	for s, want := range map[string]time.Time{
		"24h":                  now.Add(-24 * time.Hour),
		"7d":                   now.Add(-7 * 24 * time.Hour),
		"0d":                   now,
		"1d12h":                now.Add(-36 * time.Hour),
		"2026-11-20":           time.Date(2026, 11, 20, 0, 0, 0, 0, zone),
		"2026-11-20T15:04":     time.Date(2026, 11, 20, 15, 4, 0, 0, zone),
		"2026-11-20 15:04":     time.Date(2026, 11, 20, 15, 4, 0, 0, zone),
		"2026-11-20 15:04:05":  time.Date(2026, 11, 20, 15, 4, 5, 0, zone),
		"2026-11-20T15:04:05Z": time.Date(2026, 11, 20, 15, 4, 5, 0, time.UTC),
	} {
		if got, err := parseWhen(s, now); err != nil || !got.Equal(want) {
			t.Errorf("parseWhen(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "d", "-1d", "-1h", "7", "yesterday", "2026-13-01", "99999999999d", "1d-2h", "1d25h", "1d2d", "xd2h"} {
		if got, err := parseWhen(s, now); err == nil {
			t.Errorf("parseWhen(%q) = %v, want an error", s, got)
		}
	}
}
