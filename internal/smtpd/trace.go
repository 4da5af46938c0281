package smtpd

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"mailgate/internal/mail"
)

// dateFormat is that of RFC 5322 section 3.3.
const dateFormat = "Mon, 2 Jan 2006 15:04:05 -0700"

// missing returns the fields that every message needs and this one lacks, for mail
// that begins its way here (RFC 6409 section 8).
func missing(header mail.Header, qid string, name mail.Domain, now time.Time) mail.Header {
	var added mail.Header
	if len(header.All("Date")) == 0 {
		added = append(added, field("Date", now.Format(dateFormat)))
	}
	if len(header.All("Message-ID")) == 0 {
		added = append(added, field("Message-ID", fmt.Sprintf("<%s.%s@%s>", qid, rand.Text(), name)))
	}
	return added
}

func field(name, value string) mail.Field {
	return mail.Field{Name: name, Raw: []byte(name + ": " + value + "\r\n")}
}

// received is the trace field (RFC 5321 section 4.4). It names the recipient only
// if there is one: others must not learn of a blind copy.
func (s *session) received(m *message) mail.Field {
	var b strings.Builder
	fmt.Fprintf(&b, "from %s (%s)\r\n\tby %s with %s%s\r\n\tid %s", heloName(m.env.Helo), literal(m.env.Client),
		s.server.Name, s.protocol(m.env.SMTPUTF8), cipher(s.conn.tls), m.qid)
	if to := m.env.To; len(to) == 1 && len(to[0].String()) < softLimit/2 {
		fmt.Fprintf(&b, "\r\n\tfor %s", path(to[0]))
	}
	fmt.Fprintf(&b, ";\r\n\t%s", s.server.Now().Format(dateFormat))
	return field("Received", b.String())
}

// heloName keeps a HELO argument only if it has the characters of a name or a
// literal.
func heloName(s string) string {
	const more = ".-_:[]"
	for _, c := range s {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && !strings.ContainsRune(more, c) {
			return "unknown"
		}
	}
	if s == "" {
		return "unknown"
	}
	return s
}

// literal writes an address as RFC 5321 section 4.1.3 has it.
func literal(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "[unknown]"
	case a.Is6():
		return "[IPv6:" + a.String() + "]"
	}
	return "[" + a.String() + "]"
}

func cipher(state *tls.ConnectionState) string {
	if state == nil {
		return ""
	}
	return fmt.Sprintf(" (%s %s)", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
}
