package spool

import (
	"crypto/rand"
	"strings"
)

// Ids are read aloud and typed: lower case, first a letter, and nothing that is
// taken for something else (0 and o; 1, i and l; u and v).
const (
	idLetters = "abcdefghjkmnpqrstvwxyz"
	idSymbols = "23456789" + idLetters
)

// MinIDLength is the length of the first ids: 18 million of them. A store that
// meets collisions goes on to longer ones.
const MinIDLength = 5

// maxIDLength bounds what ValidID accepts.
const maxIDLength = 16

// NewID returns a random id of the given length. Nobody can tell it from those
// before it; whether it is already in use is for the store to see.
func NewID(length int) string {
	id := make([]byte, length)
	for i := range id {
		if i == 0 {
			id[i] = pick(idLetters)
		} else {
			id[i] = pick(idSymbols)
		}
	}
	return string(id)
}

// pick returns one of the symbols, each as likely as the others.
func pick(symbols string) byte {
	limit := 256 - 256%len(symbols)
	var b [1]byte
	for {
		rand.Read(b[:])
		if int(b[0]) < limit {
			return symbols[int(b[0])%len(symbols)]
		}
	}
}

// ValidID reports whether s has the form of an id.
func ValidID(s string) bool {
	if len(s) < MinIDLength || len(s) > maxIDLength || !strings.Contains(idLetters, s[:1]) {
		return false
	}
	for i := range len(s) {
		if strings.IndexByte(idSymbols, s[i]) < 0 {
			return false
		}
	}
	return true
}
