package convert

import (
	"strings"
)

// Bounds of a UCL file.
const (
	maxUCLDepth  = 32
	maxUCLValues = 100_000
)

// macro is a directive such as .include; it isn't followed.
type macro struct {
	name, value string
	at          place
}

// parseUCL reads one file.
func parseUCL(file string, data []byte) (*uclValue, []macro, error) {
	p := &uclParser{text: string(data), file: file, line: 1}
	v, err := p.object(0, true)
	return v, p.macros, err
}

type uclParser struct {
	text   string
	pos    int
	file   string
	line   int
	values int
	macros []macro
}

func (p *uclParser) at() place { return place{p.file, p.line} }

func (p *uclParser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *uclParser) end() bool { return p.pos >= len(p.text) }

func (p *uclParser) advance(n int) {
	n = min(n, len(p.text)-p.pos)
	p.line += strings.Count(p.text[p.pos:p.pos+n], "\n")
	p.pos += n
}

// space skips white space, comments and the characters in also.
func (p *uclParser) space(also string) error {
	for !p.end() {
		switch rest := p.text[p.pos:]; {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0 || strings.IndexByte(also, rest[0]) >= 0:
			p.advance(1)
		case rest[0] == '#':
			p.toLineEnd()
		case strings.HasPrefix(rest, "/*"):
			if err := p.comment(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

func (p *uclParser) toLineEnd() {
	n := strings.IndexByte(p.text[p.pos:], '\n')
	if n < 0 {
		n = len(p.text) - p.pos
	}
	p.advance(n)
}

// comment skips /* … */, which may hold others.
func (p *uclParser) comment() error {
	begin, depth := p.at(), 0
	for !p.end() {
		switch rest := p.text[p.pos:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			p.advance(2)
		case strings.HasPrefix(rest, "*/"):
			p.advance(2)
			if depth--; depth == 0 {
				return nil
			}
		default:
			p.advance(1)
		}
	}
	return begin.fault("the comment has no end")
}

// object reads fields up to "}", or to the end of the file.
func (p *uclParser) object(depth int, top bool) (*uclValue, error) {
	v := newObject(p.at())
	if depth > maxUCLDepth {
		return nil, p.at().fault("more than %d levels of braces", maxUCLDepth)
	}
	for {
		if err := p.space(";,"); err != nil {
			return nil, err
		}
		switch {
		case p.end() && top:
			return v, nil
		case p.end():
			return nil, v.at.fault("the brace has no end")
		case p.peek() == '}':
			if top {
				return nil, p.at().fault("a closing brace too many")
			}
			p.advance(1)
			return v, nil
		case p.peek() == '{' && top && len(v.names) == 0: // the whole file in braces, as JSON is
			p.advance(1)
			inner, err := p.object(depth+1, false)
			if err != nil {
				return nil, err
			}
			v.merge(inner)
		case p.peek() == '.':
			if err := p.macro(); err != nil {
				return nil, err
			}
		default:
			if err := p.field(v, depth); err != nil {
				return nil, err
			}
		}
	}
}

func (p *uclParser) macro() error {
	m := macro{at: p.at()}
	p.advance(1)
	m.name = p.word(" \t\r\n(\"'{;")
	p.blanks()
	if p.peek() == '(' {
		n := strings.IndexByte(p.text[p.pos:], ')')
		if n < 0 {
			return m.at.fault(".%s: the bracket has no end", m.name)
		}
		p.advance(n + 1)
		p.blanks()
	}
	switch p.peek() {
	case '"', '\'', '<':
		value, err := p.value(0)
		if err != nil {
			return err
		}
		m.value = value.text
	case '{':
		p.advance(1)
		if _, err := p.object(1, false); err != nil {
			return err
		}
	default:
		m.value = strings.TrimSpace(p.word("\n;"))
	}
	p.macros = append(p.macros, m)
	return nil
}

func (p *uclParser) blanks() {
	for p.peek() == ' ' || p.peek() == '\t' {
		p.advance(1)
	}
}

// word reads up to one of the characters in stop.
func (p *uclParser) word(stop string) string {
	n := strings.IndexAny(p.text[p.pos:], stop)
	if n < 0 {
		n = len(p.text) - p.pos
	}
	s := p.text[p.pos : p.pos+n]
	p.advance(n)
	return s
}
