package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseWhen understands how long ago something was (24h, 30m, 7d, 1d12h) and a date or a
// time of day (2026-11-20, 2026-11-20T15:04), in the zone of now.
func parseWhen(s string, now time.Time) (time.Time, error) {
	if d, ok := parseAge(s); ok {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05", time.DateTime, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 24h or 7d, nor a date such as 2026-11-20 or 2026-11-20T15:04", s)
}

// parseAge understands 24h, 30m, 7d and 1d12h.
func parseAge(s string) (time.Duration, bool) {
	days, rest, some := strings.Cut(s, "d")
	if !some {
		d, err := time.ParseDuration(s)
		return d, err == nil && d >= 0
	}
	n, err := strconv.ParseUint(days, 10, 16)
	age := time.Duration(n) * 24 * time.Hour
	if rest == "" || err != nil {
		return age, err == nil
	}
	d, err := time.ParseDuration(rest)
	return age + d, err == nil && d >= 0 && d < 24*time.Hour
}
