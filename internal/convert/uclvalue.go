package convert

import (
	"strings"
)

// field reads "name value", with "=" or ":" or nothing between. A name, another name
// and an object are a section with a name: section name { … }.
func (p *uclParser) field(into *uclValue, depth int) error {
	at := p.at()
	name, err := p.name()
	if err != nil {
		return err
	}
	if err := p.space(""); err != nil {
		return err
	}
	if c := p.peek(); c == '=' || c == ':' {
		p.advance(1)
		if err := p.space(""); err != nil {
			return err
		}
	} else if p.section() {
		inner := newObject(at)
		if err := p.field(inner, depth+1); err != nil {
			return err
		}
		into.add(name, inner)
		return p.count(at, depth)
	}
	v, err := p.value(depth + 1)
	if err != nil {
		return err
	}
	into.add(name, v)
	return p.count(at, depth)
}

func (p *uclParser) count(at place, depth int) error {
	if p.values++; p.values > maxUCLValues || depth > maxUCLDepth {
		return at.fault("more than %d values, or nested too deep", maxUCLValues)
	}
	return nil
}

// section looks whether a name and a brace come next.
func (p *uclParser) section() bool {
	rest := p.text[p.pos:]
	if rest == "" || strings.IndexByte("{[<;,}", rest[0]) >= 0 {
		return false
	}
	end := strings.IndexAny(rest, "{;\n\r}[=")
	if end < 0 || rest[end] != '{' || strings.HasSuffix(rest[:end], "$") {
		return false
	}
	return true
}

func (p *uclParser) name() (string, error) {
	at := p.at()
	if c := p.peek(); c == '"' || c == '\'' {
		v, err := p.value(0)
		if err != nil {
			return "", err
		}
		return v.text, nil
	}
	name := p.word(" \t\r\n=:{[;,}]")
	if name == "" {
		return "", at.fault("%q: want a name", p.text[p.pos:min(p.pos+1, len(p.text))])
	}
	return name, nil
}

func (p *uclParser) value(depth int) (*uclValue, error) {
	at := p.at()
	rest := p.text[p.pos:]
	switch {
	case depth > maxUCLDepth:
		return nil, at.fault("more than %d levels of braces", maxUCLDepth)
	case rest == "":
		return nil, at.fault("the value is missing")
	case rest[0] == '{':
		p.advance(1)
		return p.object(depth, false)
	case rest[0] == '[':
		p.advance(1)
		return p.list(depth, at)
	case rest[0] == '"':
		return p.double(at)
	case rest[0] == '\'':
		return p.single(at)
	case strings.HasPrefix(rest, "<<"):
		return p.heredoc(at)
	}
	return &uclValue{text: p.bare(), at: at}, nil
}

func (p *uclParser) list(depth int, at place) (*uclValue, error) {
	v := &uclValue{items: []*uclValue{}, at: at}
	for {
		if err := p.space(",;"); err != nil {
			return nil, err
		}
		switch {
		case p.end():
			return nil, at.fault("the bracket has no end")
		case p.peek() == ']':
			p.advance(1)
			return v, nil
		case p.peek() == '}':
			return nil, p.at().fault("a closing brace in a list")
		}
		before := p.pos
		item, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if p.pos == before {
			return nil, p.at().fault("%q in a list", p.peek())
		}
		v.items = append(v.items, item)
		if err := p.count(item.at, depth); err != nil {
			return nil, err
		}
	}
}

func (p *uclParser) double(at place) (*uclValue, error) {
	var b strings.Builder
	for p.advance(1); !p.end(); p.advance(1) {
		switch c := p.peek(); c {
		case '"':
			p.advance(1)
			return &uclValue{text: b.String(), at: at}, nil
		case '\\':
			p.advance(1)
			c := p.peek()
			if i := strings.IndexByte("ntrbf", c); i >= 0 {
				c = "\n\t\r\b\f"[i]
			}
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return nil, at.fault("the string has no end")
}

func (p *uclParser) single(at place) (*uclValue, error) {
	var b strings.Builder
	for p.advance(1); !p.end(); p.advance(1) {
		c := p.peek()
		if c == '\\' && strings.HasPrefix(p.text[p.pos+1:], "'") {
			p.advance(1)
			c = '\''
		} else if c == '\'' {
			p.advance(1)
			return &uclValue{text: b.String(), at: at}, nil
		}
		b.WriteByte(c)
	}
	return nil, at.fault("the string has no end")
}

// heredoc reads the lines between <<WORD and WORD.
func (p *uclParser) heredoc(at place) (*uclValue, error) {
	p.advance(2)
	word := strings.TrimRight(p.word("\n"), "\r")
	p.advance(1)
	if word == "" {
		return nil, at.fault("<< without a word after it")
	}
	body := p.text[p.pos:]
	end := strings.Index("\n"+body, "\n"+word)
	if end < 0 {
		return nil, at.fault("no line %s ends the text", word)
	}
	p.advance(end + len(word))
	return &uclValue{text: strings.TrimSuffix(body[:end], "\n"), at: at}, nil
}

// bare reads an unquoted value, up to the end of the line or what ends a value.
func (p *uclParser) bare() string {
	begin, depth := p.pos, 0
	for !p.end() {
		c := p.peek()
		switch {
		case c == '{':
			depth++
		case c == '}' && depth > 0:
			depth--
		case strings.IndexByte("\r\n;,}]", c) >= 0,
			c == '#' && p.pos > begin && strings.IndexByte(" \t", p.text[p.pos-1]) >= 0,
			strings.HasPrefix(p.text[p.pos:], "/*"):
			return strings.TrimRight(p.text[begin:p.pos], " \t")
		}
		p.advance(1)
	}
	return strings.TrimRight(p.text[begin:p.pos], " \t")
}
