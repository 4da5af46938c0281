package notice

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// MaxWhole is how much of a message goes back as a whole at most, in bytes. Of a
// longer one its header does.
const MaxWhole = 64 << 10

// Return has the report give back the message, read from content as it came: the
// whole of it where its sender asked for that and it failed (RFC 3461 section 4.3),
// its header otherwise.
func (r *Report) Return(content io.Reader) error {
	begin, err := io.ReadAll(io.LimitReader(content, max(MaxHeader, MaxWhole)+1))
	if err != nil {
		return fmt.Errorf("read the message to be returned: %w", err)
	}
	r.Header, r.Whole = HeaderOf(begin), nil
	if r.asksWhole() && len(begin) <= MaxWhole {
		r.Whole = begin
	}
	return nil
}

func (r *Report) asksWhole() bool {
	return r.Kind == Failed && strings.EqualFold(r.Message.Return, "FULL")
}

// HeaderOf is what a message has before its first empty line.
func HeaderOf(message []byte) []byte {
	n := 0
	for line := range bytes.Lines(message) {
		if s := string(line); s == "\r\n" || s == "\n" {
			break
		}
		n += len(line)
	}
	return message[:n]
}

// original is the message, or its header. A message within a message is never
// encoded (RFC 2046 section 5.2.1), save one with a header in UTF-8 (RFC 6532 section
// 3.7): what can't go as it is doesn't go. Nor does what is 8-bit: nobody would hear of
// a report that the sender's server doesn't take for want of 8BITMIME.
func (r *Report) original() part {
	header := HeaderOf(r.Whole)
	switch {
	case len(r.Whole) == 0:
		return headerPart(r.Header)
	case !isASCII(header) && utf8.Valid(header):
		return encode("message/global", r.Whole)
	case !isSevenBit(r.Whole):
		return headerPart(r.Header)
	}
	return part{kind: "message/rfc822", body: ended(r.Whole)}
}

// notWhole is why a sender who asked for the whole message gets its header; empty
// where he gets it, or didn't ask.
func (r *Report) notWhole() string {
	switch {
	case !r.asksWhole() || !strings.HasSuffix(r.original().kind, "-headers"):
		return ""
	case len(r.Whole) == 0:
		return fmt.Sprintf("is longer than %d KiB", MaxWhole>>10)
	case !isASCII(r.Whole):
		return "has 8-bit characters, which not every mail server takes"
	}
	return "has lines or characters that can't go within another message"
}
