package smtpd

import (
	"log/slog"
	"strings"
	"time"

	"mailgate/internal/gate"
)

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
		slog.String("to", gate.Paths(m.env.To)),
		slog.String("verdict", string(line.verdict)),
		slog.String("signed", line.signed),
		slog.String("rule", out.Rule()),
		slog.String("dkim", out.Worst("dkim")),
		slog.String("spf", out.Worst("spf")),
		slog.String("dmarc", out.Worst("dmarc")),
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
