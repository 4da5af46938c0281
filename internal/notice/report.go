package notice

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// Kind is what a report tells of a recipient, in the words of RFC 3464 section
// 2.3.3.
type Kind string

const (
	Delayed Kind = "delayed" // not sent yet; it is still tried
	Failed  Kind = "failed"  // not sent, and given up
	Relayed Kind = "relayed" // passed on to a server that reports nothing itself
)

// Report is a delivery status notification on one message: to its sender, or to
// the postmaster on behalf of a sender that can't be told.
type Report struct {
	Kind       Kind
	Hostname   mail.Domain // ours
	To         mail.Address
	Message    *spool.Message
	Recipients []Recipient         // those it tells of
	Header     []byte              // the message's, as it came; fields beyond MaxHeader are left out. Set by Return
	Whole      []byte              // the message as it came; empty: its header has to do. Set by Return
	Findings   []preflight.Finding // what is wrong, for the administrator
	Records    []Record            // what would mend it
	At         time.Time           // now
	Until      time.Time           // with Delayed: when it will be given up; zero: never
	Relay      bool                // the relay reports: the queue's view of the message tells more, not the quarantine's
}

// Recipient is what became of one recipient.
type Recipient struct {
	Address     mail.Address
	Original    string    // ORCPT of RFC 3461, "rfc822;ann@example.com"; empty: none
	Action      Kind      // empty: the report's
	Status      string    // RFC 3463: "5.7.26"; empty: nothing more than the Action is known
	Diagnostic  string    // a server's reply: "550 5.7.26 …"; empty: none
	Predicted   bool      // Diagnostic is what the server is thought to reply: nothing was sent to it
	RemoteMTA   string    // host name of the server that replied; empty: none was asked
	LastAttempt time.Time // zero: none
	Why         string    // in plain words, one or two sentences
	ByHand      bool      // not a server but somebody here decided it: Why tells. Diagnostic is what a server said last
}

// Compose writes the report as a message of 7-bit ASCII, CRLF line ends and lines
// of at most 998 bytes (RFC 3464, RFC 6522). Only the To field holds UTF-8, when
// the address needs it. It is to be sent from the null sender.
func (r *Report) Compose() []byte {
	parts := []part{
		encode("text/plain", []byte(r.text())),
		{kind: "message/delivery-status", body: r.status()},
		r.original(),
	}
	boundary := boundaryFor(parts)
	var m message
	m.add("From", "Mail Delivery System <MAILER-DAEMON@"+string(r.Hostname)+">")
	m.to(r.To)
	m.add("Subject", encodeWords(r.subject()))
	m.add("Date", date(r.At))
	m.add("Message-ID", messageID(r.Hostname, r.At, r.Message.ID, string(r.Kind)))
	if id := r.Message.MessageID; isMessageID(id) {
		m.add("In-Reply-To", id)
		m.add("References", id)
	}
	m.add("Auto-Submitted", "auto-replied")
	m.add("MIME-Version", "1.0")
	m.add("Content-Type", `multipart/report; report-type=delivery-status; boundary="`+boundary+`"`)
	m.line("")
	m.line("This is a delivery status notification in MIME format (RFC 3464).")
	m.multipart(boundary, parts)
	return m.Bytes()
}

func (r *Report) subject() string {
	what := "Message returned, it was not sent"
	switch r.Kind {
	case Delayed:
		what = "Message delayed, it was not sent yet"
	case Relayed:
		what = "Message passed on"
	}
	if s := oneLine(r.Message.Subject, maxSubject); s != "" {
		what += ": " + s
	}
	return what
}

// status writes the message/delivery-status part (RFC 3464 section 2): a block of
// fields about the message, then one for each recipient.
func (r *Report) status() []byte {
	var m message
	if id := ascii(r.Message.EnvelopeID); id != "" {
		m.add("Original-Envelope-Id", id)
	}
	m.add("Reporting-MTA", "dns; "+ascii(string(r.Hostname)))
	if r.Message.ID != "" {
		m.add("X-Mailgate-ID", ascii(r.Message.ID))
	}
	if !r.Message.Received.IsZero() {
		m.add("Arrival-Date", date(r.Message.Received))
	}
	for i := range r.Recipients {
		m.line("")
		r.Recipients[i].status(&m, r)
	}
	return m.Bytes()
}

func (to *Recipient) status(m *message, r *Report) {
	action := to.Action
	if action == "" {
		action = r.Kind
	}
	if to.Original != "" {
		m.add("Original-Recipient", ascii(to.Original))
	}
	m.verbatim("Final-Recipient", typed(to.Address))
	m.add("Action", string(action))
	m.add("Status", statusCode(to.Status, action))
	if to.RemoteMTA != "" && !to.ByHand {
		m.add("Remote-MTA", "dns; "+ascii(to.RemoteMTA))
	}
	switch {
	case to.ByHand:
		m.add("Diagnostic-Code", "x-mailgate; "+ascii(to.Why))
	case to.Diagnostic == "":
	case to.Predicted: // no server has said it: the type smtp would be a lie
		m.add("Diagnostic-Code", "x-mailgate; nothing was sent; predicted reply: "+ascii(to.Diagnostic))
	default:
		m.add("Diagnostic-Code", "smtp; "+ascii(to.Diagnostic))
	}
	if !to.LastAttempt.IsZero() {
		m.add("Last-Attempt-Date", date(to.LastAttempt))
	}
	if action == Delayed && !r.Until.IsZero() {
		m.add("Will-Retry-Until", date(r.Until))
	}
}

// statusCode is s, or the class alone where s doesn't fit (RFC 3464 section 2.3.4).
// What is given up may have a code that begins with 4: the cause may pass.
func statusCode(s string, action Kind) string {
	class, rest, _ := strings.Cut(s, ".")
	subject, detail, _ := strings.Cut(rest, ".")
	if action == Relayed {
		return "2.0.0"
	}
	if (class == "4" || class == "5" && action == Failed) && isNumber(subject) && isNumber(detail) {
		return s
	}
	if action == Delayed {
		return "4.0.0"
	}
	return "5.0.0"
}

func isNumber(s string) bool {
	return s != "" && len(s) <= 3 && strings.Trim(s, "0123456789") == ""
}

// typed is an address with its type. One that isn't ASCII takes the 7-bit form of
// RFC 6533 section 3, as message/delivery-status is 7-bit.
func typed(a mail.Address) string {
	s := visible(a.String())
	if !a.NeedsUTF8() {
		return "rfc822; " + s
	}
	x := []byte("utf-8; ")
	for _, c := range s {
		if c > ' ' && c < 0x7f && c != '+' && c != '=' && c != '\\' {
			x = append(x, byte(c))
		} else {
			x = fmt.Appendf(x, "\\x{%02X}", c)
		}
	}
	return string(x)
}

// messageID is unique by the time; id and kind are for people who look for it.
func messageID(host mail.Domain, at time.Time, id, kind string) string {
	if spool.ValidID(id) {
		id += "."
	} else {
		id = ""
	}
	return "<" + id + kind + "." + strconv.FormatInt(at.UnixNano(), 36) + "@" + string(host) + ">"
}
