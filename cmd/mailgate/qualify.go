package main

import (
	"bytes"
	"strings"

	"mailgate/internal/mail"
)

// qualify gives addresses in the header that have no domain ours, as the sendmail of
// Postfix does: cron writes "From: root (Cron Daemon)". What can't be read as
// addresses is left as it is, and the relay says what is wrong with it.
func qualify(header mail.Header, domain mail.Domain) {
	for i, f := range header {
		name := strings.TrimPrefix(strings.ToLower(f.Name), "resent-")
		switch name {
		case "from", "sender", "reply-to", "to", "cc", "bcc":
			header[i].Raw = qualifyField(f.Raw, domain)
		}
	}
}

// qualifyField inserts "@domain" where an address of a field ends, and changes
// nothing else.
func qualifyField(raw []byte, domain mail.Domain) []byte {
	start := bytes.IndexByte(raw, ':') + 1
	value := raw[start:]
	var m mailbox
	var ends []int // of addresses without a domain
	for i := 0; i < len(value); {
		n := tokenLength(value[i:])
		if n == 0 {
			return raw
		}
		switch c := value[i]; {
		case c == ':' && !m.inAngle: // so far it was the name of a group
			m = mailbox{}
		case (c == ',' || c == ';') && !m.inAngle:
			ends = m.close(ends)
			m = mailbox{}
		default:
			m.take(c, i+n)
		}
		i += n
	}
	ends = m.close(ends)
	out := raw[:start:start]
	at := 0
	for _, end := range ends {
		out = append(append(append(out, value[at:end]...), '@'), domain...)
		at = end
	}
	return append(out, value[at:]...)
}

// mailbox is what was seen of one address of a list.
type mailbox struct {
	words          int
	end            int // of the last word
	at             bool
	angle, inAngle bool
	open           bool // a word that may go on: "bob" of "bob.smith"
}

// take notes a token that begins with c and ends before end.
func (m *mailbox) take(c byte, end int) {
	switch c {
	case ' ', '\t', '\r', '\n', '(':
		m.open = false
	case '<':
		*m = mailbox{angle: true, inAngle: true}
	case '>':
		m.inAngle = false
	case '@':
		m.at = true
	default:
		if m.angle && !m.inAngle {
			return
		}
		if !m.open {
			m.words++
		}
		m.end, m.open = end, true
	}
}

// close adds where the mailbox wants its domain, if it does.
func (m *mailbox) close(ends []int) []int {
	if m.words != 1 || m.at || m.inAngle {
		return ends
	}
	return append(ends, m.end)
}

// tokenLength is the length of the quoted string, comment, domain literal or byte that
// s begins with; 0 where it doesn't end.
func tokenLength(s []byte) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && (depth > 0 || s[0] == '"'):
			i++
			continue
		case s[0] == '"':
			if i > 0 && c == '"' {
				return i + 1
			}
			continue
		case s[0] == '[':
			if c == ']' {
				return i + 1
			}
			continue
		case s[0] != '(':
			return 1
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
		if depth == 0 {
			return i + 1
		}
	}
	return 0
}
