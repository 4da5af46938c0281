package notice

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	addr "mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// checkLines checks what every message must be on its way: lines of at most 998
// bytes that end with CRLF, and 7-bit but for UTF-8 in the header.
func checkLines(t *testing.T, message []byte) {
	t.Helper()
	header, body, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	if !bytes.HasSuffix(message, []byte("\r\n")) || bytes.IndexByte(message, 0) >= 0 || !utf8.Valid(header) {
		t.Errorf("ends with no CRLF, has a NUL or no UTF-8: %q", message)
	}
	for line := range bytes.SplitSeq(message, []byte("\r\n")) {
		if len(line) > maxLine || bytes.ContainsAny(line, "\r\n") {
			t.Errorf("line of %d bytes: %q", len(line), line)
		}
	}
	if !isASCII(body) {
		t.Errorf("the body is not 7-bit: %q", body)
	}
}

// checkReport reads a report with other code than ours, and checks that it has the
// fields and parts it should and no more.
func checkReport(t *testing.T, r *Report, message []byte) {
	t.Helper()
	checkLines(t, message)
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		t.Fatalf("%v\n%s", err, message)
	}
	for name, values := range m.Header {
		if len(values) != 1 || !slices.Contains([]string{
			"From", "To", "Subject", "Date", "Message-Id", "In-Reply-To", "References", "Auto-Submitted", "Mime-Version", "Content-Type",
		}, name) {
			t.Errorf("field %s: %q", name, values)
		}
	}
	if got := m.Header.Get("Auto-Submitted"); got != "auto-replied" {
		t.Errorf("Auto-Submitted: %q", got)
	}
	if from, err := m.Header.AddressList("From"); err != nil || len(from) != 1 || from[0].Address != "MAILER-DAEMON@"+string(r.Hostname) {
		t.Errorf("From: %v, %v", from, err)
	}
	if id := m.Header.Get("Message-Id"); !isMessageID(id) {
		t.Errorf("Message-ID: %q", id)
	}
	if _, err := m.Header.Date(); err != nil {
		t.Error(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("%s, %v, %v", kind, params, err)
	}
	parts := readParts(t, m.Body, params["boundary"])
	if len(parts) != 3 {
		t.Fatalf("%d parts\n%s", len(parts), message)
	}
	if got := strings.Join([]string{parts[0].kind, parts[1].kind}, " "); got != "text/plain; charset=utf-8 message/delivery-status" {
		t.Errorf("parts %s", got)
	}
	if k := parts[2].kind; strings.HasPrefix(k, "message/") && !strings.HasSuffix(k, "-headers") {
		if !r.asksWhole() || parts[2].text != string(ended(r.Whole)) {
			t.Errorf("%s: %q", k, parts[2].text)
		}
	} else if k != "text/rfc822-headers" && k != "message/global-headers" {
		t.Errorf("third part %s", k)
	}
	checkStatus(t, r, parts[1].text)
}

// checkStatus checks that there is a block of fields for the message and one for
// each recipient.
func checkStatus(t *testing.T, r *Report, status string) {
	t.Helper()
	blocks := strings.Split(strings.TrimSuffix(status, "\r\n"), "\r\n\r\n")
	if len(blocks) != len(r.Recipients)+1 {
		t.Fatalf("%d blocks for %d recipients:\n%s", len(blocks), len(r.Recipients), status)
	}
	for i, b := range blocks {
		m, err := mail.ReadMessage(strings.NewReader(b + "\r\n\r\n"))
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		must, may := []string{"Reporting-Mta"}, []string{"X-Mailgate-Id", "Arrival-Date", "Original-Envelope-Id"}
		if i > 0 {
			must, may = []string{"Final-Recipient", "Action", "Status"}, []string{"Remote-Mta", "Diagnostic-Code", "Last-Attempt-Date", "Will-Retry-Until", "Original-Recipient"}
		}
		for name, values := range m.Header {
			if len(values) != 1 || !slices.Contains(append(may, must...), name) {
				t.Errorf("field %s: %q", name, values)
			}
		}
		for _, name := range must {
			if m.Header[name] == nil {
				t.Errorf("no field %s:\n%s", name, b)
			}
		}
	}
}

type readPart struct{ kind, text string }

func readParts(t *testing.T, body io.Reader, boundary string) []readPart {
	t.Helper()
	var parts []readPart
	reader := multipart.NewReader(body, boundary)
	for {
		p, err := reader.NextPart()
		if err == io.EOF {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(p) // quoted-printable is decoded by the reader
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, readPart{p.Header.Get("Content-Type"), string(text)})
	}
}

// FuzzReport composes from hostile values: whatever they are, what comes out has
// the form it should.
func FuzzReport(f *testing.F) {
	f.Add("Quarterly figures", "ann@example.com", "bob@gmail.com", "<a@b>", header, "550 5.7.26 no", "dkim-missing", "v=spf1 -all", false)
	f.Add("a\r\nBcc: eve@example.net", `"a b"@example.com`, `"x\"\\y"@b.test`, "<a@b>\r\nX: y", "X: a\r\n\r\n--mailgate-0\r\n", "550\r\n\r\nx", "a\r\nb", "\r\n.\r\n", true)
	f.Add("=?utf-8?q?=0D=0AX:_y?=", "änn@example.com", "佐藤@例え.jp", "<"+strings.Repeat("a", 2000)+"@b>", "Subject: \xff\r\n", strings.Repeat("x", 3000), "\u202e", strings.Repeat("y", 9000), true)
	f.Fuzz(func(t *testing.T, subject, from, to, id, header, reply, code, value string, delayed bool) {
		sender, err := addr.ParsePath(from)
		if err != nil {
			sender = addr.Address{}
		}
		recipient, err := addr.ParsePath(to)
		if err != nil || recipient.IsNull() {
			recipient = addr.Address{Local: "bob", Domain: "gmail.com"}
		}
		r := &Report{
			Kind: Failed, Hostname: "mx1.example.com", To: sender, At: now, Until: now,
			Message: &spool.Message{ID: id, Received: now, From: sender, Envelope: addr.Envelope{From: sender}, Subject: subject, MessageID: id},
			Recipients: []Recipient{
				{Address: recipient, Status: reply, Diagnostic: reply, Why: subject, RemoteMTA: code, LastAttempt: now},
				{Address: recipient, Status: "5.0.0", Diagnostic: reply, Predicted: true, Why: value},
			},
			Findings: []preflight.Finding{{Code: code, Name: subject, Text: value}},
			Records:  []Record{{At: subject, Type: code, Name: reply, Value: value, Replaces: []string{header}, Notes: []string{id}}},
		}
		if delayed {
			r.Kind = Delayed
		}
		r.Message.Return = "full"
		r.Recipients[1].ByHand = delayed
		if err := r.Return(strings.NewReader(header + "\r\n" + value)); err != nil {
			t.Fatal(err)
		}
		checkReport(t, r, r.Compose())
		d := &Digest{
			Hostname: "mx1.example.com", To: recipient, Since: now, At: now,
			New:     []spool.HoldCount{{From: addr.Domain(value), Reason: spool.Reason(reply), Codes: []string{code, reply}}},
			Records: map[addr.Domain][]Record{addr.Domain(value): r.Records},
		}
		message := d.Compose()
		checkLines(t, message)
		m, err := mail.ReadMessage(bytes.NewReader(message))
		if err != nil || len(m.Header) < 8 || len(m.Header) > 9 {
			t.Errorf("%v\n%s", err, message)
		}
	})
}
