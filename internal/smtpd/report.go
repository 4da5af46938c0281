package smtpd

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
)

// maxNamed is how many recipients a log line names.
const maxNamed = 10

// verdictLine is what the log tells beyond the Outcome.
type verdictLine struct {
	id      string // in custody; empty when it never was
	verdict gate.Disposition
	reply   string // given to the SMTP client; empty for 250
	signed  string // who signed: "example.com/mail example.com/mail-e"
}

// report logs a message, in one line, and counts it.
func (s *session) report(m *message, out *gate.Outcome, line verdictLine) {
	var took time.Duration
	if !m.began.IsZero() {
		took = time.Since(m.began)
	}
	s.server.Metrics.message(string(line.verdict), took)
	attrs := []slog.Attr{
		slog.String("id", line.id),
		slog.String("qid", m.qid),
		slog.String("from", path(m.env.From)),
		slog.String("to", recipients(m.env.To)),
		slog.String("verdict", string(line.verdict)),
		slog.String("signed", line.signed),
		slog.String("rule", rule(out)),
		slog.String("dkim", worst(out, "dkim")),
		slog.String("spf", worst(out, "spf")),
		slog.String("dmarc", worst(out, "dmarc")),
		slog.String("notes", strings.Join(m.notes, " ")),
		slog.String("domain", string(out.From.Domain)),
		slog.String("client", m.why),
		slog.String("reply", line.reply),
		slog.String("why", out.Why),
	}
	said := attrs[:0]
	for _, a := range attrs {
		if a.Value.String() != "" {
			said = append(said, a)
		}
	}
	if m.tx != nil && m.tx.Err() != nil {
		said = append(said, slog.Any("error", m.tx.Err()))
	}
	s.conn.log.LogAttrs(s.conn.ctx, slog.LevelInfo, "message", said...)
}

func recipients(to []mail.Address) string {
	var b strings.Builder
	for i, a := range to {
		if i == maxNamed {
			fmt.Fprintf(&b, " and %d more", len(to)-maxNamed)
			break
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(path(a))
	}
	return b.String()
}

// signers names the keys of the signatures, by domain and selector.
func signers(signatures []mail.Field) string {
	var b strings.Builder
	for i, f := range signatures {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(tag(f, "d="))
		b.WriteByte('/')
		b.WriteString(tag(f, "s="))
	}
	return b.String()
}

// tag returns the value of a tag of a signature we made (RFC 6376 section 3.5).
func tag(signature mail.Field, name string) string {
	_, tags, _ := bytes.Cut(signature.Raw, []byte(":"))
	for t := range bytes.SplitSeq(tags, []byte(";")) {
		if value, ok := bytes.CutPrefix(bytes.TrimSpace(t), []byte(name)); ok {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// rule names the rule that predicts a refusal of some recipient.
func rule(out *gate.Outcome) string {
	for _, r := range out.Recipients {
		if r.Prediction.Rule != "" {
			return r.Prediction.Rule
		}
	}
	return ""
}

// worst names the gravest finding of one check without the check's own name, as in
// dkim=missing, or pass when all is well; empty if there are no findings.
func worst(out *gate.Outcome, check string) string {
	if out.Report == nil {
		return ""
	}
	gravity := func(status string) int {
		return strings.Index("pass warn unknown fail", status)
	}
	found, code := "", ""
	for _, f := range out.Report.Findings {
		status := string(f.Status)
		if string(f.Check) == check && (found == "" || gravity(status) > gravity(found)) {
			found, code = status, f.Code
		}
	}
	if found == "pass" || found == "" {
		return found
	}
	return strings.TrimPrefix(code, check+"-")
}
