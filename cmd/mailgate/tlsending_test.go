package main

import (
	"slices"
	"testing"
	"time"

	"mailgate/internal/notice"
	"mailgate/internal/tlspolicy"
)

func TestAnnouncements(t *testing.T) {
	end := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	list := announcements([]tlspolicy.Override{
		{Destination: "gmail.com", Level: tlspolicy.Encrypt, Reason: "old gateway", Expires: end},
		{Destination: "mx:*.google.com", Level: tlspolicy.Encrypt, Expires: end},
	})
	want := []notice.Ending{
		{Name: "TLS override gmail.com", What: "The TLS override for gmail.com (encrypt: old gateway)", End: end, Look: "mailgate tls policy gmail.com"},
		{Name: "TLS override mx:*.google.com", What: "The TLS override for mx:*.google.com (encrypt)", End: end, Look: "mailgate tls override list"},
	}
	if !slices.Equal(list, want) {
		t.Errorf("got  %+v\nwant %+v", list, want)
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
