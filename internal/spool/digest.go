package spool

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// digestVersion begins what is hashed, so that another layout can never give the
// same bytes.
const digestVersion = "mailgate review log 1"

// Digest is the hash that chains the review log: SHA-256 over the hash of the
// entry before (zeros for the first) and every field of e but Hash, each with its
// length before it. Times count in nanoseconds.
func (e *LogEntry) Digest(before [32]byte) [32]byte {
	b := make([]byte, 0, 512)
	b = append(b, digestVersion...)
	b = append(b, before[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.N))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Time.UnixNano()))
	for _, s := range [...]string{
		e.ID, e.Recipient.Local, string(e.Recipient.Domain),
		string(e.Action), string(e.From), string(e.Into), string(e.Before), e.After,
		e.Actor, e.Reason, strings.Join(e.Codes, " "), e.Where,
	} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return sha256.Sum256(b)
}
