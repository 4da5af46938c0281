package quarantine

import (
	"context"
	"maps"
	"sync"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// freshFor is how old an answer may be that still counts as asked afresh, where
// many messages are released one after the other.
const freshFor = 5 * time.Second

func (q *Quarantine) judge(ctx context.Context, m *spool.Message, to []mail.Address) gate.Verdict {
	return q.o.Judge().Judge(ctx, m.From.Domain, m.Envelope.From, to)
}

func (q *Quarantine) judgeAfresh(ctx context.Context, m *spool.Message, to []mail.Address) gate.Verdict {
	v := q.o.Judge().JudgeAfresh(ctx, m.From.Domain, m.Envelope.From, to)
	if ctx.Err() == nil { // otherwise DNS wasn't asked to the end
		q.asked.note(identityOf(m), q.o.Now())
	}
	return v
}

// judgeLately asks afresh, unless that was done just now for the same identity.
func (q *Quarantine) judgeLately(ctx context.Context, m *spool.Message, to []mail.Address) gate.Verdict {
	if q.asked.lately(identityOf(m), q.o.Now()) {
		return q.judge(ctx, m, to)
	}
	return q.judgeAfresh(ctx, m, to)
}

// asked keeps when identities were judged afresh, for freshFor.
type asked struct {
	mu sync.Mutex
	at map[identity]time.Time
}

func (a *asked) note(id identity, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at == nil {
		a.at = map[identity]time.Time{}
	}
	maps.DeleteFunc(a.at, func(_ identity, t time.Time) bool { return now.Sub(t) > freshFor })
	a.at[id] = now
}

func (a *asked) lately(id identity, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, found := a.at[id]
	return found && now.Sub(t) <= freshFor
}
