package mail

import (
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds what Subject and MessageID return, in bytes.
const maxText = 500

// Subject returns the first Subject with its encoded words decoded (RFC 2047),
// fit for one line of text: valid UTF-8, without control characters and marks
// that change the direction of writing, at most 500 bytes. Words in a character
// set other than UTF-8, US-ASCII and ISO 8859-1 are left encoded.
func (h Header) Subject() string {
	s := cut(h.Get("Subject"), 16*maxText) // encoded, a character may take 12 bytes and more
	var words mime.WordDecoder
	if decoded, err := words.DecodeHeader(s); err == nil {
		s = decoded
	}
	return cut(clean(s), maxText)
}

// MessageID returns the first Message-ID as written, with its angle brackets and
// cleaned as Subject is; "" if there is none.
func (h Header) MessageID() string {
	return cut(clean(h.Get("Message-ID")), maxText)
}

func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// cut shortens s to at most n bytes, between two characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
