package mail

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// isAtext reports whether c may stand in an atom (RFC 5322 3.2.3). Bytes above
// ASCII belong to it by RFC 6532; whether they are good UTF-8 is checked apart.
func isAtext(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c >= utf8.RuneSelf:
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '/', '=', '?', '^', '_', '`', '{', '|', '}', '~':
		return true
	}
	return false
}

func isWSP(c byte) bool { return c == ' ' || c == '\t' }

func isControl(c byte) bool { return c < ' ' || c == 0x7f }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// isAddressRune reports whether r may stand in a local part: what can be seen,
// the ASCII space, and the two joiners that some scripts need inside a word.
func isAddressRune(r rune) bool {
	const zwnj, zwj = '\u200c', '\u200d'
	return r != utf8.RuneError && (unicode.IsPrint(r) || r == zwnj || r == zwj)
}

// quote shows a piece of outside text within an error: ASCII, one line, bounded.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
