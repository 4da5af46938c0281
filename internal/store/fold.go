package store

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// fold returns s so that what differs in case only becomes the same, letter by
// letter. Bytes that are not UTF-8 become U+FFFD.
func fold(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, s)
		}
	}
	return strings.ToLower(s)
}

// foldRune returns the one rune that stands for all that differ from r in case
// only: the lower case of the first of them. So k is that of the kelvin sign.
func foldRune(r rune) rune {
	first := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		first = min(first, next)
	}
	return unicode.ToLower(first)
}
