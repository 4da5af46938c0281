package bounce

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime/multipart"
	"mime/quotedprintable"
	"regexp"
	"strings"
)

const (
	maxDepth = 6   // of parts within parts
	maxParts = 100 // of one message, in all
)

// headerLine is how a message begins: a field that messages have and reports in
// themselves don't.
var headerLine = regexp.MustCompile(`(?i)^(?:Return-Path|Received|Delivered-To|X-Original-To|Envelope-To|Delivery-date|From|To|Subject|Date|Message-ID|MIME-Version|Content-Type|DKIM-Signature|Authentication-Results|ARC-[A-Za-z-]+|Auto-Submitted|X-Failed-Recipients|Thread-[A-Za-z]+|X-MS-[A-Za-z0-9-]+): ?`)

// atMessage reports whether a message begins here, in mbox form or alone. The fields
// must be several: one may stand in a text.
func (s *scanner) atMessage() bool {
	if s.stats.Reports == 0 && s.stats.Lines > 0 && len(s.block) > 0 {
		return false
	}
	start, _ := s.in.Peek(2048)
	if bytes.HasPrefix(start, []byte("From ")) {
		_, after, ok := bytes.Cut(start, []byte("\n"))
		return ok && headerLine.Match(after)
	}
	if !headerLine.Match(start) {
		return false
	}
	n := 0
	for _, l := range strings.Split(string(start), "\n") {
		switch {
		case headerLine.MatchString(l):
			n++
		case strings.TrimSpace(l) == "":
			return n > 1
		}
	}
	return n > 1
}

// message reads one message, up to the next of an mbox, and takes it apart.
func (s *scanner) message() error {
	if err := s.flush(); err != nil {
		return err
	}
	var raw bytes.Buffer
	blank, begun := false, false
	for {
		start, _ := s.in.Peek(5)
		if begun && blank && string(start) == "From " && s.mboxLine() {
			break
		}
		line, err := s.in.ReadSlice('\n')
		s.stats.Bytes += int64(len(line))
		if raw.Len()+len(line) <= maxMessage {
			raw.Write(line)
		}
		blank = len(bytes.TrimRight(line, "\r\n")) == 0
		begun = true
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if !errors.Is(err, io.EOF) {
				return err
			}
			break
		}
	}
	s.stats.Reports++
	if s.progress != nil {
		s.progress(s.stats)
	}
	s.blank = true
	return s.emit(s.readMessage(raw.String()))
}

// mboxLine reports whether the line ahead is a separator, as "From " may begin a line
// of text.
func (s *scanner) mboxLine() bool {
	start, _ := s.in.Peek(2048)
	_, after, ok := bytes.Cut(start, []byte("\n"))
	return ok && headerLine.Match(after)
}

// parts is what of a message matters here.
type parts struct {
	status   []string // delivery-status
	original fields   // of the returned message
	texts    []string
	left     int // how many parts may still come
}

// readMessage finds the readings in a message: in its status parts, and where it has
// none or they say nothing, in its text.
func (s *scanner) readMessage(raw string) []Reading {
	if strings.HasPrefix(raw, "From ") {
		_, raw, _ = strings.Cut(raw, "\n")
	}
	header, body := readFields(raw)
	p := &parts{left: maxParts}
	p.walk(header, body, 0)
	base := Reading{Format: wroteReport(header), Event: Failed}
	if len(p.original) > 0 {
		base.fillFromOriginal(p.original)
	}
	if base.Sender == "" {
		base.Sender = lastAddress(header.get("To"))
	}
	var list []Reading
	for _, status := range p.status {
		list = append(list, readStatus(status, base)...)
	}
	base.Recipient = lastAddress(header.get("X-Failed-Recipients"))
	text := strings.Join(p.texts, "\n\n")
	if len(list) == 0 && len(p.status) > 0 && strings.Contains(strings.ToLower(p.status[0]), "action: ") && !strings.Contains(strings.ToLower(p.status[0]), "action: failed") {
		s.stats.Delivered++
		return nil
	}
	if len(list) == 0 {
		if strings.TrimSpace(text) == "" {
			text = raw
		}
		return readText(strings.Split(cut(text, maxBlock), "\n"), base)
	}
	return fromTexts(list, text, base)
}

// fromTexts adds what only the part for people tells: the whole reply, and addresses.
func fromTexts(list []Reading, text string, base Reading) []Reading {
	if strings.TrimSpace(text) == "" {
		return list
	}
	base.Event = ""
	told := readText(strings.Split(cut(text, maxBlock), "\n"), base)
	for i := range list {
		for _, t := range told {
			if t.Reply.Code == 0 || t.Recipient != "" && !strings.EqualFold(t.Recipient, list[i].Recipient) {
				continue
			}
			same := t.Reply.Code == list[i].Reply.Code && sameStart(t.Reply.Text, list[i].Reply.Text)
			if same || list[i].Reply.Code == 0 && t.Recipient != "" {
				was := list[i]
				list[i] = both(was, t)
				list[i].Event, list[i].Local = was.Event, was.Local && t.Local
				list[i].Format, list[i].QueueID, list[i].Selectors = was.Format, was.QueueID, was.Selectors
			}
		}
	}
	return list
}

// wroteReport tells which program wrote a bounce.
func wroteReport(h fields) Format {
	low := strings.ToLower(h.get("Subject") + " " + h.get("From") + " " + h.get("X-Mailer"))
	switch {
	case h.get("X-Failed-Recipients") != "":
		return Exim
	case h.get("X-MS-Exchange-Message-Is-Ndr") != "" || h.get("X-MS-Exchange-Organization-SCL") != "" || strings.HasPrefix(low, "undeliverable:"):
		return Exchange
	case strings.Contains(low, "returned mail: see transcript"):
		return Sendmail
	}
	return Report
}

// walk goes through the parts of a message.
func (p *parts) walk(h fields, body string, depth int) {
	if p.left--; p.left < 0 || depth > maxDepth {
		return
	}
	kind, params := mediaType(h.get("Content-Type"))
	switch {
	case strings.HasPrefix(kind, "multipart/") && params["boundary"] != "":
		p.walkAll(body, params["boundary"], depth)
	case kind == "message/delivery-status", kind == "message/global-delivery-status":
		p.status = append(p.status, decoded(h, body))
	case kind == "message/rfc822", kind == "text/rfc822-headers", kind == "message/global", kind == "message/global-headers", kind == "message/rfc822-headers":
		if len(p.original) == 0 {
			p.original, _ = readFields(strings.TrimLeft(decoded(h, body), "\r\n"))
		}
	case kind == "text/plain", kind == "":
		p.texts = append(p.texts, decoded(h, body))
	case kind == "text/html" && len(p.texts) == 0:
		p.texts = append(p.texts, withoutTags(decoded(h, body)))
	}
}

func (p *parts) walkAll(body, boundary string, depth int) {
	reader := multipart.NewReader(strings.NewReader(body), boundary)
	for p.left > 0 {
		part, err := reader.NextRawPart()
		if err != nil {
			return
		}
		content, _ := io.ReadAll(part) // of what was cut off, the beginning counts
		var h fields
		for name, values := range part.Header {
			for _, v := range values {
				h = append(h, field{name, v})
			}
		}
		p.walk(h, string(content), depth+1)
	}
}

// decoded undoes a transfer encoding, as far as it goes.
func decoded(h fields, body string) string {
	var r io.Reader
	switch strings.ToLower(strings.TrimSpace(h.get("Content-Transfer-Encoding"))) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, strings.NewReader(body))
	case "quoted-printable":
		r = quotedprintable.NewReader(strings.NewReader(body))
	default:
		return body
	}
	out, _ := io.ReadAll(r)
	return string(out)
}

var (
	htmlBreak = regexp.MustCompile(`(?i)<(?:br|/p|/div|/tr|/td|/h[1-6]|/li)[^>]*>`)
	htmlNoise = regexp.MustCompile(`(?is)<(?:style|script|head)\b.*?</(?:style|script|head)>`)
	htmlTag   = regexp.MustCompile(`<[a-zA-Z/!][^>]*>`)
)

// withoutTags is what of HTML people see, roughly.
func withoutTags(s string) string {
	s = htmlTag.ReplaceAllString(htmlBreak.ReplaceAllString(htmlNoise.ReplaceAllString(s, " "), "\n"), " ")
	return strings.NewReplacer("&nbsp;", " ", "&#39;", "'", "&lt;", "<", "&gt;", ">", "&quot;", `"`, "&amp;", "&").Replace(s)
}
