package tlsreport

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"time"

	"mailgate/internal/mail"
)

const mediaType = "application/tlsrpt+gzip"

// message is the mail that a report is sent in (RFC 8460, section 5.3).
func (l *letter) message(to mail.Address, now time.Time) []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	boundary := "tlsrpt-" + string(l.day) + "-mailgate" // base64 has no "-"
	line("From: <%s>", l.settings.From)
	line("To: <%s>", to)
	line("Subject: Report Domain: %s", l.domain)
	line(" Submitter: %s", l.settings.Hostname)
	line(" Report-ID: <%s>", l.id())
	line("Date: %s", now.UTC().Format(time.RFC1123Z))
	line("Message-ID: <%s>", l.id())
	line("TLS-Report-Domain: %s", l.domain)
	line("TLS-Report-Submitter: %s", l.settings.Hostname)
	line("Auto-Submitted: auto-generated")
	line("MIME-Version: 1.0")
	line(`Content-Type: multipart/report; report-type="tlsrpt";`)
	line(` boundary="%s"`, boundary)
	line("")
	line("--%s", boundary)
	line("Content-Type: text/plain; charset=us-ascii")
	line("")
	line("This is an aggregate TLS report (RFC 8460) from %s", l.settings.Hostname)
	line("about mail for %s on %s (UTC).", l.domain, l.day)
	line("")
	line("--%s", boundary)
	line("Content-Type: %s", mediaType)
	line("Content-Transfer-Encoding: base64")
	line("Content-Disposition: attachment;")
	line(` filename="%s"`, l.filename())
	line("")
	text := base64.StdEncoding.EncodeToString(l.content)
	for len(text) > 0 {
		n := min(len(text), 76)
		line("%s", text[:n])
		text = text[n:]
	}
	line("--%s--", boundary)
	return b.Bytes()
}
