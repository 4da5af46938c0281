package relay

import "net"

// greetedConn shows a client that wants a greeting one, as the server's was read
// already. The answer to EHLO it shows with keywords in capitals: they may be in any case
// (RFC 5321 section 2.4), and the client knows capitals only. What counts is this answer,
// over TLS: what was offered before may be anybody's word.
type greetedConn struct {
	net.Conn
	greeting []byte
	hello    bool // what is read is the answer to EHLO
	line     keywordLine
}

func (c *greetedConn) Read(p []byte) (int, error) {
	if len(c.greeting) > 0 {
		n := copy(p, c.greeting)
		c.greeting = c.greeting[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p)
	if c.hello {
		c.line.capitalize(p[:n])
	}
	return n, err
}

// keywordLine is where in a line of the answer to EHLO the reading has come to. The zero
// value is its beginning.
type keywordLine struct {
	column int
	past   bool // the keyword is over, or there is none
}

// capitalize makes the keywords of an answer "250-KEYWORD parameters" capitals.
func (l *keywordLine) capitalize(p []byte) {
	const yes = "250"
	for i, c := range p {
		switch {
		case c == '\n':
			*l = keywordLine{}
			continue
		case l.column < len(yes):
			l.past = l.past || c != yes[l.column]
		case l.column > len(yes) && c == ' ':
			l.past = true
		case l.column > len(yes) && !l.past && 'a' <= c && c <= 'z':
			p[i] = c - 'a' + 'A'
		}
		l.column++
	}
}
