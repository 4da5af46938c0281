package convert

import (
	"errors"
	"strings"
)

func (e *eximString) closing() error {
	e.blanks()
	if e.pos >= len(e.text) || e.text[e.pos] != '}' {
		return errors.New("a closing brace is missing")
	}
	e.pos++
	return nil
}

func (e *eximString) blanks() {
	for e.pos < len(e.text) && strings.IndexByte(" \t\n", e.text[e.pos]) >= 0 {
		e.pos++
	}
}

// arg expands "{…}".
func (e *eximString) arg() (string, error) {
	e.blanks()
	if e.pos >= len(e.text) || e.text[e.pos] != '{' {
		return "", errors.New("an opening brace is missing")
	}
	e.pos++
	e.depth++
	s, err := e.until("}")
	e.depth--
	if err != nil {
		return "", err
	}
	return s, e.closing()
}

// skipped is "{…}" without its expansion.
func (e *eximString) skipped() error {
	e.blanks()
	if e.pos >= len(e.text) || e.text[e.pos] != '{' {
		return errors.New("an opening brace is missing")
	}
	for depth := 0; e.pos < len(e.text); e.pos++ {
		switch c := e.text[e.pos]; {
		case c == '\\':
			e.pos++
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				e.pos++
				return nil
			}
		}
	}
	return errors.New("a closing brace is missing")
}

// branches expands {yes}{no} and the closing brace of the item around them. Without
// them it is what otherwise gives.
func (e *eximString) branches(yes bool, otherwise string) (string, error) {
	e.blanks()
	if e.pos < len(e.text) && e.text[e.pos] == '}' {
		e.pos++
		if yes {
			return otherwise, nil
		}
		return "", nil
	}
	first, err := e.branch(yes)
	if err != nil {
		return "", err
	}
	second := ""
	e.blanks()
	if strings.HasPrefix(e.text[e.pos:], "fail") {
		e.pos += len("fail")
		if !yes {
			return "", errForced
		}
	} else if e.pos < len(e.text) && e.text[e.pos] == '{' {
		if second, err = e.branch(!yes); err != nil {
			return "", err
		}
	}
	if yes {
		second = first
	}
	return second, e.closing()
}

func (e *eximString) branch(taken bool) (string, error) {
	if taken {
		return e.arg()
	}
	return "", e.skipped()
}
