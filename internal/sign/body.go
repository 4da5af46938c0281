package sign

import (
	"bytes"
	"errors"
)

// maxBlankLines bounds a run of empty lines in a body. The library keeps such a
// run in memory, two bytes a line, until it knows whether text follows.
const maxBlankLines = 1 << 18

var (
	// ErrBareCR says that a body holds a CR that no LF follows.
	ErrBareCR = errors.New("the body holds a bare CR, which may not be sent (RFC 5321, section 2.3.8)")
	// ErrBlankLines says that a body holds more empty lines in a row than any
	// message has.
	ErrBlankLines = errors.New("the body holds more than 262144 empty lines in a row")
)

// bodyCheck watches a body go by for what can't be signed so that all verifiers
// agree. The zero value is at the beginning of a body.
type bodyCheck struct {
	cr    bool // the last byte was CR
	text  bool // this line holds more than white space
	blank int  // empty lines so far in this run
}

// next looks at the next bytes.
func (c *bodyCheck) next(p []byte) error {
	for len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		if err := c.part(line); err != nil {
			return err
		}
		if ended {
			if err := c.lineEnd(); err != nil {
				return err
			}
		}
		p = rest
	}
	return nil
}

// part looks at a piece of one line.
func (c *bodyCheck) part(line []byte) error {
	if len(line) == 0 {
		return nil
	}
	if c.cr {
		return ErrBareCR
	}
	if i := bytes.IndexByte(line, '\r'); i >= 0 {
		if i < len(line)-1 {
			return ErrBareCR
		}
		c.cr = true
		line = line[:i]
	}
	if !c.text && !blank(line) {
		c.text, c.blank = true, 0
	}
	return nil
}

func (c *bodyCheck) lineEnd() error {
	c.cr = false
	if !c.text {
		c.blank++
	}
	c.text = false
	if c.blank > maxBlankLines {
		return ErrBlankLines
	}
	return nil
}

// end looks at the end of the body.
func (c *bodyCheck) end() error {
	if c.cr {
		return ErrBareCR
	}
	return nil
}

func blank(line []byte) bool {
	for _, b := range line {
		if b != ' ' && b != '\t' {
			return false
		}
	}
	return true
}
