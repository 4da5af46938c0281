package notice

import (
	"bytes"
	"mime/quotedprintable"
	"unicode/utf8"
)

// MaxHeader is how much of the original header goes back at most, in bytes.
const MaxHeader = 64 << 10

// headerPart is the original header. What isn't ASCII, or is no header by RFC 5322,
// is encoded, as RFC 6522 section 4 has it; one in UTF-8 is named so (RFC 6533
// section 6).
func headerPart(header []byte) part {
	header = wholeFields(header, MaxHeader)
	if !isASCII(header) && utf8.Valid(header) {
		return encode("message/global-headers", header)
	}
	return encode("text/rfc822-headers", header)
}

// wholeFields cuts a header of over n bytes after the last field that fits.
func wholeFields(header []byte, n int) []byte {
	if len(header) <= n {
		return header
	}
	for end := n; end > 0; end-- {
		next := header[end]
		if header[end-1] == '\n' && next != ' ' && next != '\t' {
			return header[:end]
		}
	}
	return header[:n] // one giant field
}

// encode makes a part of text, quoted-printable where it can't go as it is.
func encode(kind string, text []byte) part {
	text = ended(text)
	if isSevenBit(text) {
		return part{kind: kind, body: text}
	}
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write(text) // a bytes.Buffer takes everything
	_ = w.Close()
	return part{kind: kind, encoding: "quoted-printable", body: b.Bytes()}
}

// ended is text with a CRLF at its end.
func ended(text []byte) []byte {
	if len(text) > 0 && !bytes.HasSuffix(text, []byte("\r\n")) {
		text = append(text[:len(text):len(text)], "\r\n"...)
	}
	return text
}

// isSevenBit reports whether text can go as it is (RFC 2045 section 2.7).
func isSevenBit(text []byte) bool { return isASCII(text) && isLines(text) }

// isLines reports whether text is 8-bit text at most (RFC 2045 section 2.8).
func isLines(text []byte) bool {
	if bytes.IndexByte(text, 0) >= 0 {
		return false
	}
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte("\r\n"))
		if len(line) > maxLine || bytes.ContainsAny(line, "\r\n") {
			return false
		}
		text = rest
	}
	return true
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
