package spool

import (
	"time"

	"mailgate/internal/mail"
)

// LogEntry is one row of the review log, which is only ever appended to.
type LogEntry struct {
	N          int64 // 1, 2, 3 … without a gap
	Time       time.Time
	ID         string
	Recipient  mail.Address
	Action     Action
	From, Into State  // From is empty when the message was taken
	Before     Reason // what it was held for until now
	After      string // the verdict at that moment, if it was asked for
	Actor      string
	Reason     string
	Codes      []string
	Where      string
	Hash       [32]byte // Digest of this entry over the hash of the one before
}

// LogFilter selects entries of the review log. Zero fields select everything.
type LogFilter struct {
	ID           string
	Recipient    string // part of the address
	Action       Action
	Actor        string    // part of it
	Since, Until time.Time // Until is exclusive
	After        int64     // entries with a greater N (OldestFirst) or a smaller one; 0: from the end
	OldestFirst  bool
	Limit        int // 0: 1,000
}

// Chain is a stretch of the review log whose hashes were found right.
type Chain struct {
	First, Last int64    // entries; 0, 0: none
	Head        [32]byte // Hash of the last
	Trimmed     int64    // entries removed before First by Trim
	Base        [32]byte // Hash of the last of these
}
