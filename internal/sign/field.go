package sign

import (
	"bytes"
	"errors"
	"fmt"

	"mailgate/internal/mail"
)

const (
	fieldName = "DKIM-Signature"
	maxLine   = 998 // bytes without CRLF; RFC 5322, section 2.1.1
)

// signatureField makes a header field of what the library formatted, and makes
// sure that it will arrive as it is: no mail server has cause to wrap it.
func signatureField(text string) (mail.Field, error) {
	raw := []byte(text)
	if !bytes.HasPrefix(raw, []byte(fieldName+":")) || !bytes.HasSuffix(raw, []byte("\r\n")) {
		return mail.Field{}, errors.New("malformed signature field")
	}
	lines := bytes.Split(bytes.TrimSuffix(raw, []byte("\r\n")), []byte("\r\n"))
	for i, line := range lines {
		if err := checkLine(line, i > 0); err != nil {
			return mail.Field{}, fmt.Errorf("line %d of the signature field: %w", i+1, err)
		}
	}
	return mail.Field{Name: fieldName, Raw: raw}, nil
}

func checkLine(line []byte, continued bool) error {
	if len(line) > maxLine {
		return fmt.Errorf("%d bytes long", len(line))
	}
	if continued && (blank(line) || line[0] != ' ' && line[0] != '\t') {
		return errors.New("not a continuation")
	}
	for _, b := range line {
		if b != '\t' && (b < ' ' || b > '~') {
			return fmt.Errorf("holds the byte %#02x", b)
		}
	}
	return nil
}
