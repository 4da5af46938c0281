package main

import (
	"testing"
	"time"

	"mailgate/internal/tlspolicy"
)

func TestEndingOverrides(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		made, end time.Duration // from now
		told      bool
	}{
		"ends in a week":                {-30 * day, 7*day - time.Hour, true},
		"ends in eight days":            {-30 * day, 8 * day, false},
		"was told yesterday":            {-30 * day, 5 * day, false},
		"made for three days, just now": {-time.Hour, 3 * day, true},
		"made for three days, before":   {-2 * day, day, false},
	} {
		o := tlspolicy.Override{Destination: "gmail.com", Level: tlspolicy.Encrypt, Reason: "old gateway", Since: now.Add(c.made), Expires: now.Add(c.end)}
		list := endingOverrides([]tlspolicy.Override{o, {Destination: "never.example", Level: tlspolicy.Encrypt}}, now.Add(-day), now)
		if (len(list) == 1) != c.told {
			t.Errorf("%s: %+v", name, list)
		}
		if c.told && (list[0].What != "The TLS override for gmail.com (encrypt: old gateway)" || list[0].Look != "mailgate tls policy gmail.com") {
			t.Errorf("%s: %+v", name, list[0])
		}
	}
}

// What the digest says to run is understood, also by a shell.
func TestLookAtOverride(t *testing.T) {
	for destination, want := range map[string]string{
		"gmail.com":              "mailgate tls policy gmail.com",
		"[smtp.example.net]:587": "mailgate tls policy '[smtp.example.net]:587'",
		".example.net":           "mailgate tls override list",
		"mx:*.google.com":        "mailgate tls override list",
		"mx:mx.example.net":      "mailgate tls override list",
	} {
		if got := lookAtOverride(destination); got != want {
			t.Errorf("%s: %q, want %q", destination, got, want)
		}
	}
}
