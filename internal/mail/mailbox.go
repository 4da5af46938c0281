package mail

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// parseMailboxes parses a mailbox-list (RFC 5322 3.4) as it stands in a field,
// folds included. It gives at least one address or an error.
//
// Of RFC 5322 it leaves out groups, domain literals, white space and comments
// within an address, and the obsolete syntax but for dots in a display name.
func parseMailboxes(s []byte) ([]Address, error) {
	if err := checkText(s); err != nil {
		return nil, err
	}
	if err := checkEncodedWords(s); err != nil {
		return nil, err
	}
	p := parser{s: string(s)}
	list := make([]Address, 0, 1)
	for {
		a, err := p.mailbox()
		if err != nil {
			return nil, err
		}
		list = append(list, a)
		if err := p.skipCFWS(); err != nil {
			return nil, err
		}
		switch {
		case p.end():
			return list, nil
		case p.s[p.i] == '<':
			return nil, errors.New("an address stands before <, where a name must be within quotes,")
		case p.s[p.i] != ',':
			return nil, fmt.Errorf("%s after an address", quote(p.s[p.i:]))
		}
		p.i++
	}
}

// checkText refuses bytes that some reader would take for something else: control
// characters, raw text that is not UTF-8 (in several East Asian encodings a
// second byte may be "@" or "\"), and a folded line of white space only, which
// becomes the end of the header once somebody trims it.
func checkText(s []byte) error {
	ascii, blank := true, false // blank: only white space since the last fold
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\r':
			if i+2 >= len(s) || s[i+1] != '\n' || !isWSP(s[i+2]) {
				return errors.New("a line end that is no fold")
			}
			if blank {
				return errors.New("a line of white space only")
			}
			i++
			blank = true
		case isWSP(c):
		case isControl(c):
			return errors.New("a control character")
		default:
			blank = false
			ascii = ascii && c < utf8.RuneSelf
		}
	}
	switch {
	case blank:
		return errors.New("a line of white space only")
	case !ascii && !utf8.Valid(s):
		return errors.New("text that is not UTF-8")
	case !ascii && bytes.ContainsFunc(s, isSeparator):
		return errors.New("a control character")
	}
	return nil
}

// isSeparator reports the control and line-breaking characters beyond ASCII.
func isSeparator(r rune) bool {
	return 0x80 <= r && r <= 0x9f || r == '\u2028' || r == '\u2029'
}

// parser reads text that passed checkText: a CR begins a CRLF that is a fold.
type parser struct {
	s string
	i int
}

func (p *parser) end() bool { return p.i == len(p.s) }

// at reports whether c comes next.
func (p *parser) at(c byte) bool { return p.i < len(p.s) && p.s[p.i] == c }

// mailbox = name-addr / addr-spec.
func (p *parser) mailbox() (Address, error) {
	if err := p.skipCFWS(); err != nil {
		return Address{}, err
	}
	if p.end() || p.at(',') {
		return Address{}, errors.New("no address, or an empty place in a list,")
	}
	start := p.i
	for words := 0; ; words++ {
		switch {
		case p.at('<'):
			return p.angle()
		case words == 0 && p.atAddress():
			return p.address()
		}
		if err := p.word(start); err != nil {
			return Address{}, err
		}
		if err := p.skipCFWS(); err != nil {
			return Address{}, err
		}
	}
}

// atAddress reports whether a local part and "@" come next, without consuming them.
func (p *parser) atAddress() bool {
	q := *p
	if q.at('"') {
		_, err := q.quoted()
		return err == nil && q.at('@')
	}
	return q.atom() != "" && q.at('@')
}

// word consumes one word of a display name that began at start: an atom, dots in
// it allowed, or a quoted string.
func (p *parser) word(start int) error {
	if p.at('"') {
		_, err := p.quoted()
		return err
	}
	if p.atom() != "" {
		return nil
	}
	before := quote(strings.TrimRight(p.s[start:p.i], " \t\r\n"))
	switch {
	case p.end() || p.at(','):
		return fmt.Errorf("%s without a domain (a name with a comma must be within quotes)", before)
	case p.at(':'):
		return errors.New("a group instead of a mailbox")
	case p.at('@'):
		return fmt.Errorf("@ after %s outside quotes and angle brackets", before)
	}
	return fmt.Errorf("%s outside quotes", quote(p.s[p.i:p.i+1]))
}

// angle = "<" addr-spec ">", spaces beside the brackets allowed.
func (p *parser) angle() (Address, error) {
	p.i++
	p.skipFWS()
	if p.at('>') {
		return Address{}, errors.New("an empty address")
	}
	if p.at('@') {
		return Address{}, errors.New("a source route or an empty local part")
	}
	a, err := p.address()
	if err != nil {
		return Address{}, err
	}
	p.skipFWS()
	if !p.at('>') {
		return Address{}, errors.New("no > after the address")
	}
	p.i++
	return a, nil
}

// address = local-part "@" domain, nothing between its parts.
func (p *parser) address() (Address, error) {
	local, err := p.local()
	if err != nil {
		return Address{}, err
	}
	if strings.Contains(local, "=?") {
		return Address{}, errors.New("an encoded word within an address")
	}
	if !p.at('@') {
		return Address{}, fmt.Errorf("no @ after %s, or white space or a comment within an address,", quote(local))
	}
	p.i++
	if p.at('[') {
		return Address{}, errors.New("an address literal instead of a domain")
	}
	domain := p.atom()
	if domain == "" {
		return Address{}, fmt.Errorf("no domain after %s@", quote(local))
	}
	a, err := newAddress(local, domain)
	if err != nil {
		return Address{}, err
	}
	return a, checkSpelling(domain, a.Domain)
}

// checkSpelling refuses a domain that is spelled in a way that not every reader
// maps to the same name: a final dot, or characters UTS 46 replaces by others.
func checkSpelling(written string, d Domain) error {
	if len(written) == len(d) && strings.EqualFold(written, string(d)) {
		return nil
	}
	if strings.ToLower(written) == d.Unicode() {
		return nil
	}
	return fmt.Errorf("domain %s, which must be written %s,", quote(written), d)
}

// local consumes a local part and returns it unquoted.
func (p *parser) local() (string, error) {
	if !p.at('"') {
		s := p.atom()
		if !isDotAtom(s) {
			return "", fmt.Errorf("%s, which is no local part,", quote(s))
		}
		return s, nil
	}
	s, err := p.quoted()
	if err == nil && strings.ContainsAny(s, "@<>,;:\"\\\t\r\n") {
		err = fmt.Errorf("%s, which is read in different ways as a local part,", quote(s))
	}
	return s, err
}

// atom consumes atext and dots.
func (p *parser) atom() string {
	start := p.i
	for p.i < len(p.s) && (p.s[p.i] == '.' || isAtext(p.s[p.i])) {
		p.i++
	}
	return p.s[start:p.i]
}

// quoted consumes a quoted string and returns it unquoted.
func (p *parser) quoted() (string, error) {
	content, rest, err := cutQuoted(p.s[p.i:])
	if err != nil {
		return "", err
	}
	p.i = len(p.s) - len(rest)
	return content, nil
}

func (p *parser) skipFWS() {
	for p.i < len(p.s) && (isWSP(p.s[p.i]) || p.s[p.i] == '\r' || p.s[p.i] == '\n') {
		p.i++
	}
}

// skipCFWS skips white space and comments.
func (p *parser) skipCFWS() error {
	for {
		p.skipFWS()
		if !p.at('(') {
			return nil
		}
		if err := p.comment(); err != nil {
			return err
		}
	}
}

// comment skips one comment. What a reader without knowledge of comments would
// take for an address or a quoted string is refused in it.
func (p *parser) comment() error {
	for depth := 0; !p.end(); p.i++ {
		switch p.s[p.i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				p.i++
				return nil
			}
		case '<', '>', '@', '"', '\\':
			return fmt.Errorf("%s within a comment", quote(p.s[p.i:p.i+1]))
		}
	}
	return errors.New("a comment without an end")
}
