package mail

import "bufio"

// Field is one header field with its original bytes.
type Field struct {
	Name string // as written, without white space or colon
	Raw  []byte // "Name: value\r\n", folds kept, line ends CRLF
}

// NewField builds a field from a name and the bytes after the colon (leading
// space included, folds with LF or CRLF), as a milter is given them.
func NewField(name, value string) (Field, error) { return Field{}, nil }

// Value returns the unfolded value without surrounding white space.
func (f Field) Value() string { return "" }

// Header is the message header, in order.
type Header []Field

// ReadHeader reads a header up to and including the empty line; the body stays
// in r. A header over maxBytes, or with a malformed line, is an error.
func ReadHeader(r *bufio.Reader, maxBytes int) (Header, error) { return nil, nil }

// Bytes returns the header as it goes on the wire, without the empty line.
func (h Header) Bytes() []byte { return nil }

// Get returns the value of the first field of that name, or "".
func (h Header) Get(name string) string { return "" }

// All returns the fields of that name, in order.
func (h Header) All(name string) []Field { return nil }

// From returns the author's address by the one rule that keeps mailgate from
// signing for the wrong name: exactly one From field, in RFC 5322 syntax. One
// mailbox is the normal case; several mailboxes need one Sender with a mailbox,
// whose address must be under one of their domains, and all must share a domain.
// Anything else (no From, two, a group, raw bytes a reader could take otherwise)
// is a *FromError.
func (h Header) From() (Address, error) { return Address{}, nil }

// FromError says why a header has no single author; Error is fit for an SMTP
// reply.
type FromError struct{ Reason string }

func (e *FromError) Error() string { return e.Reason }

// Subject returns the decoded Subject, fit for a line of text.
func (h Header) Subject() string { return "" }

// MessageID returns the Message-ID.
func (h Header) MessageID() string { return "" }
