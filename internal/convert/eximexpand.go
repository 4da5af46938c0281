package convert

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// eximString expands one of Exim's strings (spec chapter 11) as far as it depends on
// From and on files only.
type eximString struct {
	tree    *tree
	vars    map[string]string // what $name gives
	touched *eximTouched
	steps   int
	text    string
	pos     int
	depth   int
}

// eximTouched is where domains may be named.
type eximTouched struct {
	dirs, files []string
	paths       []string // with a domain in them
	words       []string // compared with something
	sender      bool     // the envelope sender was asked for
}

// errForced is an expansion that "fail" ended: the option counts as not set.
var errForced = errors.New("forced failure")

// notStatic is a part of a string that can't be known without a message.
type notStatic struct{ what string }

func (e *notStatic) Error() string { return e.what + " can't be evaluated here" }

// Bounds of an expansion.
const (
	maxEximSteps   = 10_000
	maxEximNesting = 50
	maxEximResult  = 64 << 10 // in bytes
	maxEximText    = 16 << 10 // in bytes
)

func (e *eximString) expand(text string) (string, error) {
	if len(text) > maxEximText {
		return "", errors.New("too long")
	}
	inner := *e
	inner.text, inner.pos = text, 0
	inner.depth++
	s, err := inner.until("")
	e.steps = inner.steps
	if err == nil && inner.pos < len(text) {
		err = fmt.Errorf("%q is left over", text[inner.pos:min(len(text), inner.pos+10)])
	}
	return s, err
}

// until expands up to one of the characters in stop, which stays.
func (e *eximString) until(stop string) (string, error) {
	var b strings.Builder
	if e.depth > maxEximNesting {
		return "", errors.New("nested too deep")
	}
	for e.pos < len(e.text) {
		c := e.text[e.pos]
		if strings.IndexByte(stop, c) >= 0 {
			break
		}
		if e.steps++; e.steps > maxEximSteps || b.Len() > maxEximResult {
			return "", errors.New("too long")
		}
		e.pos++
		switch {
		case c == '\\':
			b.WriteString(e.escape())
		case c == '$':
			s, err := e.dollar()
			if err != nil {
				return "", err
			}
			b.WriteString(s)
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

func (e *eximString) escape() string {
	if e.pos >= len(e.text) {
		return `\`
	}
	c := e.text[e.pos]
	e.pos++
	switch c {
	case 'N':
		rest := e.text[e.pos:]
		if end := strings.Index(rest, `\N`); end >= 0 {
			e.pos += end + 2
			return rest[:end]
		}
		e.pos = len(e.text)
		return rest
	case 'n':
		return "\n"
	case 't':
		return "\t"
	}
	return string([]byte{c})
}

// dollar expands what comes after "$".
func (e *eximString) dollar() (string, error) {
	if e.pos < len(e.text) && e.text[e.pos] == '{' {
		e.pos++
		return e.item()
	}
	return e.variable(e.name())
}

// name reads the name of a variable; that of a header ends in a colon.
func (e *eximString) name() string {
	begin := e.pos
	for e.pos < len(e.text) && (wordByte(e.text[e.pos]) || isHeader(e.text[begin:e.pos]) && e.text[e.pos] == '-') {
		e.pos++
	}
	name := e.text[begin:e.pos]
	if isHeader(name) && e.pos < len(e.text) && e.text[e.pos] == ':' {
		e.pos++
	}
	return name
}

func wordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

func isHeader(name string) bool {
	for _, p := range []string{"h_", "rh_", "bh_", "lh_", "header_", "rheader_", "bheader_", "lheader_"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func (e *eximString) variable(name string) (string, error) {
	if isHeader(name) {
		if _, field, _ := strings.Cut(name, "_"); strings.EqualFold(field, "from") {
			return e.vars["sender_address"], nil
		}
		return "", &notStatic{"$" + name + ":"}
	}
	value, ok := e.vars[name]
	e.touched.sender = e.touched.sender || strings.HasPrefix(name, "sender_address") || name == "return_path"
	switch {
	case ok:
		return value, nil
	case name == "domain" || name == "local_part" || name == "host" || name == "original_domain":
		return "", &notStatic{"$" + name + ", which is about the recipient,"}
	}
	return "", &notStatic{"$" + name}
}

// item expands what comes after "${".
func (e *eximString) item() (string, error) {
	e.blanks()
	name := e.name()
	e.blanks()
	next := byte(0)
	if e.pos < len(e.text) {
		next = e.text[e.pos]
	}
	switch {
	case next == '}':
		e.pos++
		return e.variable(name)
	case name == "if":
		return e.conditional()
	case name == "lookup":
		return e.lookup()
	case name == "readfile":
		return e.readFile()
	case next == ':':
		e.pos++
		return e.operator(name)
	}
	return "", &notStatic{"${" + name + "…}"}
}

func (e *eximString) operator(name string) (string, error) {
	e.depth++
	arg, err := e.until("}")
	e.depth--
	if err != nil {
		return "", err
	}
	if err := e.closing(); err != nil {
		return "", err
	}
	at := strings.LastIndexByte(arg, '@')
	switch name {
	case "lc":
		return strings.ToLower(arg), nil
	case "uc":
		return strings.ToUpper(arg), nil
	case "domain":
		if at < 0 {
			return "", nil
		}
		return arg[at+1:], nil
	case "local_part":
		return arg[:max(at, 0)], nil
	case "address", "quote", "quote_local_part", "expand":
		return arg, nil
	}
	return "", &notStatic{"${" + name + ":…}"}
}

func (e *eximString) readFile() (string, error) {
	name, err := e.arg()
	if err != nil {
		return "", err
	}
	end := "\n"
	e.blanks()
	if e.pos < len(e.text) && e.text[e.pos] == '{' {
		if end, err = e.arg(); err != nil {
			return "", err
		}
	}
	if err := e.closing(); err != nil {
		return "", err
	}
	e.touched.path(name)
	data, err := e.tree.read(path.Clean("/" + name))
	if err != nil {
		return "", fmt.Errorf("%s can't be read: %w", name, err)
	}
	return strings.ReplaceAll(string(data), "\n", end), nil
}

func (t *eximTouched) path(name string) { t.paths = appendNew(t.paths, name) }

func appendNew(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	if len(list) > 1000 {
		return list
	}
	return append(list, s)
}
