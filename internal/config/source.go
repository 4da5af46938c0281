package config

import (
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// source knows where each key and value of the file stands. The decoder reports
// positions of its own errors only, and only the first wrong type, so the syntax
// tree is walked once beside it, checked against the shape of file.
//
// Keys are paths as "relay.trusted[1]" or "domain[0].keys[2].file".
type source struct {
	path   string
	lines  []int // offsets at which lines begin
	parser unstable.Parser
	at     map[string]int // offset of a key's value, or of a section's name
	tables map[string]int // how many [[name]] were seen, by path
	errs   Errors
}

func readSource(data []byte, path string) *source {
	s := &source{path: path, lines: []int{0}, at: map[string]int{}, tables: map[string]int{}}
	for i, c := range data {
		if c == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	s.parser.Reset(data)
	table, inFile := place{typ: reflect.TypeFor[file]()}, true
	for s.parser.NextExpression() {
		switch e := s.parser.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table, inFile = s.header(e)
		case unstable.KeyValue:
			if inFile {
				s.keyValue(table, e)
			}
		}
	}
	return s
}

// place is a point in the file: its path and what belongs there.
type place struct {
	path string
	typ  reflect.Type
}

// has reports whether the file has that section or key.
func (s *source) has(path string) bool {
	_, ok := s.at[path]
	return ok
}

// fail notes a fault of what stands at path.
func (s *source) fail(path, format string, args ...any) {
	s.errs = append(s.errs, s.fault(path, format, args...))
}

// fault is a fault of what stands at path. Where the file has no such key, the
// section around it is shown.
func (s *source) fault(path, format string, args ...any) *Error {
	e := &Error{File: s.path, Line: 1, Column: 1, Key: path, Problem: fmt.Sprintf(format, args...)}
	for p := path; p != ""; p = p[:max(0, strings.LastIndexAny(p, ".["))] {
		if offset, ok := s.at[p]; ok {
			e.Line = sort.SearchInts(s.lines, offset+1)
			e.Column = offset - s.lines[e.Line-1] + 1
			break
		}
	}
	return e
}

// mark notes that the key or section at path begins at n, unless it began before.
func (s *source) mark(path string, n *unstable.Node) {
	if !s.has(path) {
		s.at[path] = int(n.Raw.Offset)
	}
}

// header resolves [a.b] and [[a.b]].
func (s *source) header(e *unstable.Node) (place, bool) {
	here, keys := place{typ: reflect.TypeFor[file]()}, e.Key()
	for keys.Next() {
		n := keys.Node()
		next, ok := s.child(here, n)
		if !ok {
			return place{}, false
		}
		array := keys.IsLast() && e.Kind == unstable.ArrayTable
		switch list := isTables(next.typ); {
		case keys.IsLast() && list && !array:
			s.fail(next.path, "write [[%s]], as there may be several", next.path)
			return place{}, false
		case array && !list && isTable(next.typ):
			s.fail(next.path, "write [%s], as there is only one", next.path)
			return place{}, false
		case !list && !isTable(next.typ):
			s.fail(next.path, "is no section: want %s", want(next.typ))
			return place{}, false
		case list:
			if array {
				s.tables[next.path]++
			}
			next = element(next, max(0, s.tables[next.path]-1))
		}
		s.mark(next.path, n)
		here = next
	}
	return here, true
}

// keyValue checks key = value, where the key may be dotted.
func (s *source) keyValue(here place, e *unstable.Node) {
	keys := e.Key()
	for keys.Next() {
		next, ok := s.child(here, keys.Node())
		if !ok {
			return
		}
		if !keys.IsLast() && !isTable(next.typ) {
			s.fail(next.path, "has no keys of its own: want %s", want(next.typ))
			return
		}
		here = next
	}
	s.value(here, e.Value())
}

// child finds the key n in the table at here.
func (s *source) child(here place, n *unstable.Node) (place, bool) {
	name := string(n.Data)
	next := place{path: join(here.path, name)}
	s.mark(next.path, n)
	for i := range here.typ.NumField() {
		if f := here.typ.Field(i); f.Tag.Get("toml") == name {
			next.typ = f.Type
			return next, true
		}
	}
	next.path = join(here.path, printable(name))
	s.mark(next.path, n)
	s.fail(next.path, "unknown key; %s", suggest(name, keysOf(here.typ)))
	return place{}, false
}

// value checks the kind of a value against the type that belongs there.
func (s *source) value(here place, n *unstable.Node) {
	if n.Raw.Length > 0 { // a list has none: its key is shown
		s.at[here.path] = int(n.Raw.Offset)
	}
	if n.Kind != kindOf(here.typ) {
		s.fail(here.path, "is %s: want %s", describe(n.Kind), want(here.typ))
		return
	}
	switch n.Kind {
	case unstable.Array:
		items := n.Children()
		for i := 0; items.Next(); i++ {
			s.value(element(here, i), items.Node())
		}
	case unstable.InlineTable:
		items := n.Children()
		for items.Next() {
			s.keyValue(here, items.Node())
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func element(p place, i int) place {
	return place{path: fmt.Sprintf("%s[%d]", p.path, i), typ: p.typ.Elem()}
}

func isDate(t reflect.Type) bool  { return t == reflect.TypeFor[toml.LocalDate]() }
func isTable(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isDate(t) }
func isTables(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && isTable(t.Elem())
}

// kindOf is the TOML kind of a Go type in file.
func kindOf(t reflect.Type) unstable.Kind {
	switch {
	case isDate(t):
		return unstable.LocalDate
	case isTable(t):
		return unstable.InlineTable
	}
	switch t.Kind() {
	case reflect.Slice:
		return unstable.Array
	case reflect.Bool:
		return unstable.Bool
	case reflect.Int64:
		return unstable.Integer
	}
	return unstable.String
}

// want says what to write for a Go type in file.
func want(t reflect.Type) string {
	switch kindOf(t) {
	case unstable.LocalDate:
		return "a date without quotes, as 2027-03-31"
	case unstable.InlineTable:
		return "a section with the keys " + strings.Join(keysOf(t), ", ")
	case unstable.Bool:
		return "true or false, without quotes"
	case unstable.Integer:
		return "a whole number, without quotes"
	case unstable.Array:
		if isTables(t) {
			return "a list of tables, as [ { " + strings.Join(keysOf(t.Elem()), " = …, ") + " = … } ]"
		}
		return `a list of strings, as ["…", "…"]`
	}
	return `a string within quotes, as "…"`
}

func describe(k unstable.Kind) string {
	switch k {
	case unstable.String:
		return "a string"
	case unstable.Bool:
		return "true or false"
	case unstable.Integer, unstable.Float:
		return "a number"
	case unstable.Array:
		return "a list"
	case unstable.InlineTable:
		return "a table"
	}
	return "a date or time"
}
