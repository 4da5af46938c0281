package mail

import (
	"bytes"
	"fmt"
	"strings"
)

// Field is one header field with its original bytes.
type Field struct {
	Name string // as written, without white space or colon
	Raw  []byte // "Name: value\r\n", folds kept, line ends CRLF
}

// SyntaxError is a header field or header that is no RFC 5322 header. Error is
// fit for an SMTP reply.
type SyntaxError struct{ Reason string }

func (e *SyntaxError) Error() string { return e.Reason }

func syntaxErrorf(format string, args ...any) error {
	return &SyntaxError{fmt.Sprintf(format, args...)}
}

// NewField builds a field from a name and the bytes after the colon (leading
// space included, folds with LF or CRLF), as a milter is given them. White space
// after the name is kept in Raw. NUL, a bare CR, a line end that is no fold and a
// name with other than visible ASCII characters are a *SyntaxError.
func NewField(name, value string) (Field, error) {
	bare := strings.TrimRight(name, " \t")
	if err := checkFieldName(bare); err != nil {
		return Field{}, err
	}
	raw := make([]byte, 0, len(name)+len(value)+8)
	raw = append(raw, name...)
	raw = append(raw, ':')
	raw, err := appendFolded(raw, bare, value)
	if err != nil {
		return Field{}, err
	}
	return Field{Name: bare, Raw: append(raw, '\r', '\n')}, nil
}

func checkFieldName(s string) error {
	if s == "" {
		return syntaxErrorf("header field without a name")
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' {
			return syntaxErrorf("header field name %s holds %s", quote(s), quote(s[i:i+1]))
		}
	}
	return nil
}

// appendFolded appends value to raw with CRLF at its folds.
func appendFolded(raw []byte, name, value string) ([]byte, error) {
	for {
		i := strings.IndexAny(value, "\r\n\x00")
		if i < 0 {
			return append(raw, value...), nil
		}
		raw = append(raw, value[:i]...)
		end, crlf := value[i:], strings.HasPrefix(value[i:], "\r\n")
		switch {
		case end[0] == 0:
			return nil, syntaxErrorf("header field %s holds a NUL", name)
		case end[0] == '\r' && !crlf:
			return nil, syntaxErrorf("header field %s holds a bare CR", name)
		case crlf:
			end = end[2:]
		default:
			end = end[1:]
		}
		if end == "" || !isWSP(end[0]) {
			return nil, syntaxErrorf("header field %s holds a line end that is no fold", name)
		}
		raw = append(raw, '\r', '\n')
		value = end
	}
}

// body returns the bytes between the colon and the last line end.
func (f Field) body() []byte {
	_, body, _ := bytes.Cut(f.Raw, []byte(":"))
	return bytes.TrimSuffix(body, []byte("\r\n"))
}

// Value returns the unfolded value without surrounding white space.
func (f Field) Value() string {
	return strings.Trim(strings.ReplaceAll(string(f.body()), "\r\n", ""), " \t")
}

func (f Field) is(name string) bool { return strings.EqualFold(f.Name, name) }
