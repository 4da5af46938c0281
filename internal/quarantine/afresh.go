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
	began := q.o.Now()
	v := q.o.Judge().JudgeAfresh(ctx, m.From.Domain, m.Envelope.From, to)
	if ctx.Err() == nil { // otherwise DNS wasn't asked to the end
		q.asked.note(identityOf(m), began, q.o.Now())
	}
	return v
}

// judgeSince asks afresh, unless that was done for the same identity just now and
// after since: whoever publishes a record and then releases isn't told what DNS said
// before.
func (q *Quarantine) judgeSince(ctx context.Context, since time.Time, m *spool.Message, to []mail.Address) gate.Verdict {
	if !since.IsZero() && q.asked.after(since, identityOf(m), q.o.Now()) {
		return q.judge(ctx, m, to)
	}
	return q.judgeAfresh(ctx, m, to)
}

// asked keeps when identities were judged afresh, for freshFor: when the last such
// judgement began.
type asked struct {
	mu sync.Mutex
	at map[identity]time.Time
}

func (a *asked) note(id identity, began, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at == nil {
		a.at = map[identity]time.Time{}
	}
	maps.DeleteFunc(a.at, func(_ identity, t time.Time) bool { return now.Sub(t) > freshFor })
	if began.After(a.at[id]) {
		a.at[id] = began
	}
}

func (a *asked) after(since time.Time, id identity, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, found := a.at[id]
	return found && !t.Before(since) && now.Sub(t) <= freshFor
}
