package convert

import (
	"strings"
)

// Bounds of a UCL file.
const (
	maxUCLDepth  = 32
	maxUCLValues = 100_000
)

// uclValue is a value of libucl's language, as rspamd's configuration is written:
// text, a list, or an object. A name given several times has all its values in a list.
type uclValue struct {
	text   string
	items  []*uclValue          // of a list
	fields map[string]*uclValue // of an object
	names  []string             // of its fields, in their order
	at     place
}

func newObject(at place) *uclValue {
	return &uclValue{fields: map[string]*uclValue{}, at: at}
}

// get is a field, nil where there is none.
func (v *uclValue) get(name string) *uclValue {
	if v == nil || v.fields == nil {
		return nil
	}
	return v.fields[name]
}

// all is the items of a list, or the value alone.
func (v *uclValue) all() []*uclValue {
	switch {
	case v == nil:
		return nil
	case v.items != nil:
		return v.items
	}
	return []*uclValue{v}
}

// scalar is text, or the last text of a list; "" for others.
func (v *uclValue) scalar() string {
	list := v.all()
	if len(list) == 0 || list[len(list)-1].fields != nil {
		return ""
	}
	return list[len(list)-1].text
}

func (v *uclValue) add(name string, value *uclValue) {
	old, ok := v.fields[name]
	switch {
	case !ok:
		v.names = append(v.names, name)
		v.fields[name] = value
	case old.items != nil && value.items != nil:
		old.items = append(old.items, value.items...)
	case old.items != nil:
		old.items = append(old.items, value)
	default:
		v.fields[name] = &uclValue{items: append([]*uclValue{old}, value.all()...), at: old.at}
	}
}

// merge lays over v what a file of local.d says: objects field by field, other values
// in the place of the old ones.
func (v *uclValue) merge(over *uclValue) {
	for _, name := range over.names {
		value := over.fields[name]
		old := v.fields[name]
		if old != nil && old.fields != nil && value.fields != nil {
			old.merge(value)
			continue
		}
		v.set(name, value)
	}
}

// override lays over v what a file of override.d says: whole values.
func (v *uclValue) override(over *uclValue) {
	for _, name := range over.names {
		v.set(name, over.fields[name])
	}
}

func (v *uclValue) set(name string, value *uclValue) {
	if _, ok := v.fields[name]; !ok {
		v.names = append(v.names, name)
	}
	v.fields[name] = value
}

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
