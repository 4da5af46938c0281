package notice

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mailgate/internal/mail"
)

const (
	foldAt     = 76  // columns of a header line, where it can be broken
	maxLine    = 998 // bytes of a line (RFC 5322 section 2.1.1)
	maxWord    = 900 // bytes of a header line that can't be broken
	maxSubject = 200 // bytes of the original subject
	maxText    = 900 // bytes of a line of somebody else's words
)

// message is mail being written.
type message struct{ bytes.Buffer }

func (m *message) line(s string) {
	m.WriteString(s)
	m.WriteString("\r\n")
}

// add writes a field, folded where the value has spaces.
func (m *message) add(name, value string) {
	column := len(name) + len(":")
	m.WriteString(name + ":")
	for i, word := range strings.Fields(value) {
		for len(word) > maxWord {
			m.WriteString("\r\n " + word[:maxWord])
			word, column = word[maxWord:], foldAt
		}
		if i > 0 && column+len(" ")+len(word) > foldAt {
			m.WriteString("\r\n")
			column = 0
		}
		m.WriteString(" " + word)
		column += len(" ") + len(word)
	}
	m.WriteString("\r\n")
}

// verbatim writes a field as it is: one whose spaces count.
func (m *message) verbatim(name, value string) { m.line(name + ": " + value) }

func (m *message) to(a mail.Address) { m.verbatim("To", "<"+visible(a.String())+">") }

// part is one part of a multipart, in its transfer encoding.
type part struct {
	kind     string // media type
	encoding string // empty: 7bit
	body     []byte // ends with CRLF
}

func (m *message) multipart(boundary string, parts []part) {
	for _, p := range parts {
		m.line("")
		m.line("--" + boundary)
		p.writeHead(m)
		m.line("")
		m.Write(p.body)
	}
	m.line("")
	m.line("--" + boundary + "--")
}

func (p *part) writeHead(m *message) {
	kind := p.kind
	if kind == "text/plain" {
		kind += "; charset=utf-8"
	}
	m.add("Content-Type", kind)
	if p.encoding != "" {
		m.add("Content-Transfer-Encoding", p.encoding)
	}
}

// boundaryFor is a boundary that occurs in no part. It hangs on all that is in
// them, so that nobody can put it there.
func boundaryFor(parts []part) string {
	for n := 0; ; n++ {
		h := sha256.New()
		h.Write([]byte(strconv.Itoa(n)))
		for _, p := range parts {
			h.Write(p.body)
		}
		boundary := "mailgate-" + hex.EncodeToString(h.Sum(nil)[:16])
		free := true
		for _, p := range parts {
			free = free && !bytes.Contains(p.body, []byte(boundary))
		}
		if free {
			return boundary
		}
	}
}

func date(t time.Time) string { return t.UTC().Format(time.RFC1123Z) }

// isMessageID reports whether s is fit for In-Reply-To (RFC 5322 section 3.6.4).
func isMessageID(s string) bool {
	if len(s) < len("<a@b>") || len(s) > maxText || s[0] != '<' || s[len(s)-1] != '>' {
		return false
	}
	inner := s[1 : len(s)-1]
	for i := range len(inner) {
		if inner[i] <= ' ' || inner[i] >= 0x7f || inner[i] == '<' || inner[i] == '>' {
			return false
		}
	}
	return strings.Count(inner, "@") == 1 && inner[0] != '@' && inner[len(inner)-1] != '@'
}

// encodeWords makes s fit for an unstructured field (RFC 2047). What looks like an
// encoded word already is broken up: it would be decoded once more.
func encodeWords(s string) string {
	return mime.BEncoding.Encode("utf-8", strings.ReplaceAll(s, "=?", "= ?"))
}

// oneLine makes s fit for one line of text: valid UTF-8 without control characters
// and marks that change the direction of writing, at most n bytes.
func oneLine(s string, n int) string {
	s = strings.Join(strings.Fields(visible(s)), " ")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// visible takes away what can't be seen; white space other than a blank becomes one.
func visible(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\t' || c == '\r' || c == '\n' || unicode.In(c, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c):
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// ascii is oneLine for fields that hold nothing but ASCII.
func ascii(s string) string {
	return strings.Map(func(c rune) rune {
		if c > 0x7e {
			return '?'
		}
		return c
	}, oneLine(s, maxText))
}
