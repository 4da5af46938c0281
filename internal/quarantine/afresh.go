package quarantine

import (
	"context"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

func (q *Quarantine) judge(ctx context.Context, m *spool.Message, to []mail.Address) gate.Verdict {
	return q.o.Judge().Judge(ctx, m.From.Domain, m.Envelope.From, to)
}

func (q *Quarantine) judgeAfresh(ctx context.Context, m *spool.Message, to []mail.Address) gate.Verdict {
	return q.o.Judge().JudgeAfresh(ctx, m.From.Domain, m.Envelope.From, to)
}

// judgeSince asks afresh, but for what DNS was asked after since: messages released one
// after the other share its answers, and whoever publishes a record and then releases
// isn't told what DNS said before.
func (q *Quarantine) judgeSince(ctx context.Context, since time.Time, m *spool.Message, to []mail.Address) gate.Verdict {
	return q.judgeAfresh(preflight.Round(ctx, since), m, to)
}
