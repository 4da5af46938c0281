package quarantine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// Kinds of notices, as they are counted.
const (
	kindDelayed  = "delayed"
	kindReturned = "returned"
	kindDigest   = "digest"

	// KindTLSReport, for Mail, is that of reports on TLS (RFC 8460). They go out whatever
	// TLS policies demand.
	KindTLSReport = "tls-report"
)

var (
	// errRefused: the next server doesn't take a notice for good.
	errRefused = errors.New("the next server refuses the notice")
	// errLater: it doesn't take this one now.
	errLater = errors.New("the next server doesn't take the notice now")
	// errNoWay: it gives no answer, and would give none about the next notice.
	errNoWay = errors.New("the next server gives no answer")
)

const (
	minTryAgain = time.Minute
	maxTryAgain = 4 * time.Hour
)

// mailing is what notices and returns remember from one round to the next. It is
// lost at a stop, which costs no more than a try.
type mailing struct {
	mu        sync.Mutex
	late, old string // messages that the last rounds ended with
	tries     map[string]try
	warned    time.Time // when it was said that something can't be returned
}

type try struct {
	next time.Time
	wait time.Duration
}

const wayOut = "" // in place of a message's id: the next server altogether

// failed notes a try in vain; at least is how long to wait.
func (m *mailing) failed(id string, now time.Time, atLeast time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tries == nil {
		m.tries = map[string]try{}
	}
	for id, t := range m.tries {
		if now.Sub(t.next) > 2*maxTryAgain { // it left some other way
			delete(m.tries, id)
		}
	}
	if now.Before(m.tries[id].next) {
		return // noted already, and for longer
	}
	wait := max(min(2*m.tries[id].wait, maxTryAgain), minTryAgain, atLeast)
	m.tries[id] = try{now.Add(wait), wait}
}

func (m *mailing) tooEarly(id string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.tries[id].next)
}

func (m *mailing) done(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tries, id)
}

// forget lets everything be tried at once: a new configuration may have mended it.
func (m *mailing) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tries, m.warned = nil, time.Time{}
}

// warnAgain reports whether a day has passed since it last did.
func (m *mailing) warnAgain(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.warned) < 24*time.Hour {
		return false
	}
	m.warned = now
	return true
}

// errand is what a round does with the messages of a list.
type errand struct {
	what  string  // for the log
	after *string // the message that the last round ended with; empty: begin at the start
	list  func(after string) ([]string, error)
	do    func(ctx context.Context, id string) (sent bool, err error)
}

// budget is what is left for a round.
type budget struct {
	looks, sends int
	until        time.Time
}

// round goes on with a list from where the last round ended, and begins again at
// its end. It is bounded, so that one kind of work doesn't keep the others.
func (q *Quarantine) round(ctx context.Context, e errand) {
	left := budget{noticeLooks, noticeSends, q.o.Now().Add(noticeTime)}
	for !q.mailing.tooEarly(wayOut, q.o.Now()) {
		ids, err := e.list(*e.after)
		if len(ids) == 0 || err != nil {
			*e.after = ""
			if err != nil && !errors.Is(err, spool.ErrNotFound) { // that one: it is forgotten
				q.complain(ctx, e.what, "", err)
			}
			return
		}
		for _, id := range ids {
			if ctx.Err() != nil || left.looks == 0 || left.sends == 0 || q.o.Now().After(left.until) {
				return
			}
			left.looks--
			*e.after = id
			if q.mailing.tooEarly(id, q.o.Now()) {
				continue
			}
			sent, err := e.do(ctx, id)
			if sent {
				left.sends--
			}
			if !q.goOn(ctx, e.what, id, err) {
				return
			}
		}
	}
}

// goOn notes how it went with one message, and reports whether the next is worth
// trying.
func (q *Quarantine) goOn(ctx context.Context, what, id string, err error) bool {
	switch {
	case err == nil:
		q.mailing.done(id)
		return true
	case errors.Is(err, spool.ErrConflict), errors.Is(err, spool.ErrNotFound):
		return true // a reviewer, or a release, was first
	}
	q.complain(ctx, what, id, err)
	if errors.Is(err, ErrStopping) || errors.Is(err, spool.ErrStopped) {
		return false
	}
	q.mailing.failed(id, q.o.Now(), 0)
	if errors.Is(err, errNoWay) {
		q.mailing.failed(wayOut, q.o.Now(), 0)
		return false
	}
	return true
}

func (q *Quarantine) complain(ctx context.Context, what, id string, err error) {
	if ctx.Err() == nil && !errors.Is(err, ErrStopping) {
		q.o.Logger.Warn(what+": tried again later", "id", id, "error", err)
	}
}

// mail hands a notice about message id (empty: about none) to the next server, and
// returns its words. A token lets it pass our own milter, signed and not held.
func (q *Quarantine) mail(ctx context.Context, kind, id string, to mail.Address, content []byte) (string, error) {
	if !q.releases.begin() {
		return "", ErrStopping
	}
	defer q.releases.done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenLifetime)
	defer cancel()
	answer, err := q.inject(ctx, kind, to, content)
	result := "sent"
	switch {
	case errors.Is(err, errRefused):
		result = "refused"
		q.o.Logger.Warn("notice refused", "kind", kind, "id", id, "to", to.String(), "error", err)
	case err != nil:
		result = "failed"
	default:
		q.mailing.done(wayOut)
		q.o.Logger.Info("notice sent", "kind", kind, "id", id, "to", to.String(), "reply", answer)
	}
	q.o.Noticed(kind, result)
	return answer, err
}

// Mail sends mail of our own that is no notice as notices go: from the null sender,
// signed for its author's domain, and past our own milter.
func (q *Quarantine) Mail(ctx context.Context, kind string, to mail.Address, content []byte) error {
	_, err := q.mail(ctx, kind, "", to, content)
	return err
}

func (q *Quarantine) inject(ctx context.Context, kind string, to mail.Address, content []byte) (string, error) {
	token, err := q.issueToken(ctx, "")
	if err != nil {
		return "", err
	}
	m := &spool.Message{
		Source: "notice", Received: q.o.Now(), Envelope: envelope(to), Size: int64(len(content)), TLSReport: kind == KindTLSReport,
		Recipients: []spool.Recipient{{Address: to, State: spool.Queued}},
	}
	results, err := q.o.Injector.Inject(ctx, m, m.Envelope.To, token, bytes.NewReader(content))
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %w", errNoWay, err)
	case len(results) != 1:
		return "", fmt.Errorf("%w: %d answers about one recipient", errLater, len(results))
	case results[0].Err != nil && results[0].Permanent:
		return "", fmt.Errorf("%w: %w", errRefused, results[0].Err)
	case results[0].Err != nil:
		return "", fmt.Errorf("%w: %w", errLater, results[0].Err)
	}
	return results[0].Answer, nil
}
