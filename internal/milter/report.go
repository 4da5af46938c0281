package milter

import (
	"log/slog"
	"strings"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
)

// verdictLine is what the log tells beyond the Outcome.
type verdictLine struct {
	id      string // in custody; empty when it never was
	verdict gate.Disposition
	reply   string // given to the SMTP client; empty for 250
	signed  string // who signed: "example.com/mail example.com/mail-e"
}

// verdictNotice is the verdict on a notice that passes, which is no one's mail.
const verdictNotice = "notice"

// report logs a message, in one line, and counts it.
func (s *session) report(m *message, out *gate.Outcome, line verdictLine) {
	verdict, why := string(line.verdict), out.Why
	if m.isNotice() && line.verdict == gate.Pass {
		verdict, why = verdictNotice, ""
	}
	s.server.Metrics.message(verdict, m.trusted, time.Since(m.began))
	attrs := []slog.Attr{
		slog.String("id", line.id),
		slog.String("qid", m.env.QueueID),
		slog.String("from", path(m.env.From)),
		slog.String("to", gate.Paths(m.env.To)),
		slog.String("verdict", verdict),
		slog.String("signed", line.signed),
		slog.String("rule", out.Rule()),
		slog.String("dkim", out.Worst("dkim")),
		slog.String("spf", out.Worst("spf")),
		slog.String("dmarc", out.Worst("dmarc")),
		slog.String("domain", string(out.From.Domain)),
		slog.String("client", m.why),
		slog.String("reply", strings.ReplaceAll(line.reply, "%%", "%")),
		slog.String("why", why),
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
	s.log.LogAttrs(s.ctx, slog.LevelInfo, "message", said...)
}

func path(a mail.Address) string { return "<" + a.String() + ">" }
