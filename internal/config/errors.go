package config

import (
	"fmt"
	"sort"
	"strings"
)

// Error is one fault of a configuration file.
type Error struct {
	File         string
	Line, Column int    // from 1; 0 where the fault is not in a line of the file
	Key          string // "relay.trusted[1]", empty for a syntax error
	Problem      string // what is wrong and what to write instead
	Err          error  // the cause, if the file could not be read
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	if e.Key != "" {
		fmt.Fprintf(&b, ": %s", e.Key)
	}
	fmt.Fprintf(&b, ": %s", e.Problem)
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Errors are all faults found, in the order of the file; one line each. It is the
// type of every error that Load and Parse return.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

func (e Errors) Unwrap() []error {
	list := make([]error, len(e))
	for i, err := range e {
		list[i] = err
	}
	return list
}

func (e Errors) sorted() Errors {
	sort.SliceStable(e, func(i, j int) bool {
		if e[i].Line != e[j].Line {
			return e[i].Line < e[j].Line
		}
		return e[i].Column < e[j].Column
	})
	return e
}
