package smtpd

import "bytes"

// dots finds the end of what follows DATA and takes the stuffing away (RFC 5321
// section 4.5.2). Only CRLF.CRLF ends it: a line begins after CRLF and nothing
// else. It works on pieces, however the text is cut. The zero value is at the
// start of a line.
type dots int

const (
	atStart  dots = iota // of a line
	afterDot             // a dot at the start of a line, kept back
	afterDotCR
	afterCR
	inLine
	atEnd // past CRLF.CRLF
)

// decode appends the text in raw to dst and says how many bytes of raw it took:
// all, unless the end is among them.
func (d *dots) decode(dst, raw []byte) (text []byte, n int) {
	for i := 0; i < len(raw); i++ {
		if *d == inLine { // nothing of interest before the next CR
			run := upTo(raw[i:], '\r')
			dst = append(dst, run...)
			if i += len(run); i == len(raw) {
				break
			}
		}
		b := raw[i]
		switch *d {
		case atStart:
			if b == '.' {
				*d = afterDot
				continue
			}
		case afterDot:
			if b == '\r' {
				*d = afterDotCR
				continue
			}
		case afterDotCR:
			if b == '\n' {
				*d = atEnd
				return dst, i + 1
			}
			dst = append(dst, '\r')
			*d = afterCR
		case atEnd:
			return dst, i
		}
		dst = append(dst, b)
		switch {
		case b == '\r':
			*d = afterCR
		case b == '\n' && *d == afterCR:
			*d = atStart
		default:
			*d = inLine
		}
	}
	return dst, len(raw)
}

// upTo returns what stands before the first b.
func upTo(text []byte, b byte) []byte {
	if i := bytes.IndexByte(text, b); i >= 0 {
		return text[:i]
	}
	return text
}
