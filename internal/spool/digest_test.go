package spool

import (
	"encoding/hex"
	"testing"
	"time"

	"mailgate/internal/mail"
)

func entry() LogEntry {
	return LogEntry{
		N: 7, Time: time.Unix(1700000000, 5), ID: "q7f3a",
		Recipient: mail.Address{Local: "x", Domain: "gmail.com"},
		Action:    ActionRelease, From: Held, Into: Queued, Before: Refused, After: "accept",
		Actor: "recheck", Reason: "published", Codes: []string{"dkim-ok", "spf-ok"}, Where: "4Zx",
	}
}

// TestDigestIsStable pins the bytes that are hashed: changing them breaks the
// chain of every log there is.
func TestDigestIsStable(t *testing.T) {
	e := entry()
	sum := e.Digest([32]byte{1})
	const want = "6df98e10f9dd3d38ec2e4b8906674ecf6b5278296b5d49dc96a78812e7a82830"
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("digest = %s, want %s", got, want)
	}
	e.Time = e.Time.UTC()
	if e.Digest([32]byte{1}) != sum {
		t.Error("the time zone changes the digest")
	}
}

// TestDigestCoversEverything changes one field at a time.
func TestDigestCoversEverything(t *testing.T) {
	base := entry()
	sums := map[[32]byte]string{base.Digest([32]byte{}): "nothing", base.Digest([32]byte{1}): "before"}
	for name, change := range map[string]func(*LogEntry){
		"N":         func(e *LogEntry) { e.N++ },
		"Time":      func(e *LogEntry) { e.Time = e.Time.Add(1) },
		"ID":        func(e *LogEntry) { e.ID = "q7f3b" },
		"local":     func(e *LogEntry) { e.Recipient.Local = "y" },
		"domain":    func(e *LogEntry) { e.Recipient.Domain = "gmail.org" },
		"Action":    func(e *LogEntry) { e.Action = ActionHold },
		"From":      func(e *LogEntry) { e.From = Queued },
		"Into":      func(e *LogEntry) { e.Into = Held },
		"Before":    func(e *LogEntry) { e.Before = Waiting },
		"After":     func(e *LogEntry) { e.After = "refuse" },
		"Actor":     func(e *LogEntry) { e.Actor = "uid 0 (root)" },
		"Reason":    func(e *LogEntry) { e.Reason = "" },
		"Codes":     func(e *LogEntry) { e.Codes = e.Codes[:1] },
		"Where":     func(e *LogEntry) { e.Where = "5Zx" },
		"neighbour": func(e *LogEntry) { e.Actor, e.Reason = e.Actor+"p", e.Reason[1:] },
	} {
		e := entry()
		change(&e)
		sum := e.Digest([32]byte{})
		if other, there := sums[sum]; there {
			t.Errorf("changing %s gives the digest of changing %s", name, other)
		}
		sums[sum] = name
	}
}
