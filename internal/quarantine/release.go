package quarantine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

var (
	// ErrForeign: not released, because no key signs for its author.
	ErrForeign = errors.New("held by policy; --anyway sends it unsigned")
	// ErrWouldBeRefused: not released, because a recipient's provider would refuse it.
	ErrWouldBeRefused = errors.New("would be refused; --anyway sends it all the same")
	// ErrWaiting: not released, because DNS gives no answer.
	ErrWaiting = errors.New("DNS gives no answer, so it can't be told whether it would be refused; --anyway sends it all the same")
	// ErrNotTaken: the next server didn't take it, or can't be reached. It is held
	// again.
	ErrNotTaken = errors.New("not taken by the next server")
)

// Request is a reviewer's wish to move one message.
type Request struct {
	ID     string
	To     []string // recipients; empty: every held one
	Actor  string
	Reason string
	Anyway bool // release although it would be refused
	Paced  bool // one of many: ErrPaced rather than past Policy.ReleaseRate
}

// Release checks a held message again and sends it: signed afresh, by the way it
// came. Without Anyway nothing is sent unless every recipient would take it.
func (q *Quarantine) Release(ctx context.Context, r Request) (*Released, error) {
	m, to, err := q.heldRecipients(ctx, r)
	if err != nil {
		return nil, err
	}
	judge := q.judgeAfresh
	if r.Paced {
		if err := q.hasRoom(m, to); err != nil {
			return nil, fmt.Errorf("release %s: %w", m.ID, err)
		}
		judge = q.judgeLately
	}
	verdict := judge(ctx, m, to)
	if err := wouldPass(verdict); err != nil {
		if !r.Anyway {
			return nil, fmt.Errorf("%s: %w", m.ID, err)
		}
		r.Reason = "anyway: " + r.Reason
	}
	if err := q.takeRoom(m, to, r.Paced); err != nil {
		return nil, fmt.Errorf("release %s: %w", m.ID, err)
	}
	released, err := q.send(ctx, m, verdict.Recipients, r)
	if err != nil {
		q.o.Logger.Warn("release failed", "id", m.ID, "actor", r.Actor, "error", err)
	}
	return released, err
}

func wouldPass(v gate.Verdict) error {
	for _, r := range v.Recipients {
		switch {
		case r.Disposition == gate.Pass:
		case r.Cause == gate.CauseWaiting:
			return fmt.Errorf("<%s>: %s: %w", r.Address, why(r), ErrWaiting)
		case r.Cause == gate.CauseForeign:
			return fmt.Errorf("<%s>: %s: %w", r.Address, why(r), ErrForeign)
		default:
			return fmt.Errorf("<%s>: %s: %w", r.Address, why(r), ErrWouldBeRefused)
		}
	}
	return nil
}

func why(r gate.Recipient) string { return strings.TrimSuffix(r.Prediction.Why, ".") }

// heldRecipients finds the message and those of the wanted recipients it holds.
func (q *Quarantine) heldRecipients(ctx context.Context, r Request) (*spool.Message, []mail.Address, error) {
	m, err := q.store.Get(ctx, r.ID)
	if err != nil {
		return nil, nil, fmt.Errorf("message %s: %w", r.ID, err)
	}
	to, err := parsePaths(r.To)
	if err != nil {
		return nil, nil, err
	}
	held := addresses(m.In(spool.Held))
	if len(to) == 0 {
		if len(held) == 0 {
			err := q.tellWho(ctx, m.ID, addresses(m.Recipients), spool.ErrConflict)
			return nil, nil, fmt.Errorf("no recipient of %s is held any more: %w", m.ID, err)
		}
		return m, held, nil
	}
	for _, want := range to {
		if !slices.Contains(addresses(m.Recipients), want) {
			return nil, nil, fmt.Errorf("%s has no recipient <%s>: %w", m.ID, want, spool.ErrNotFound)
		}
		if !slices.Contains(held, want) {
			err := q.tellWho(ctx, m.ID, []mail.Address{want}, spool.ErrConflict)
			return nil, nil, fmt.Errorf("<%s> of %s is not held any more: %w", want, m.ID, err)
		}
	}
	return m, to, nil
}

// send moves the recipients to queued, hands the message over, and records how
// that went. Whoever moves them first sends them; the other gets ErrConflict. Once
// they are queued, it goes on to its end although ctx is cancelled: a message broken
// off while the next server takes it would be sent again.
func (q *Quarantine) send(ctx context.Context, m *spool.Message, judged []gate.Recipient, r Request) (*Released, error) {
	if !q.releases.begin() {
		return nil, fmt.Errorf("release %s: %w", m.ID, ErrStopping)
	}
	defer q.releases.done()
	to := make([]mail.Address, len(judged))
	for i, j := range judged {
		to[i] = j.Address
	}
	first := judged[0].Prediction
	err := q.store.Move(ctx, spool.Move{
		ID: m.ID, To: to, From: spool.Held, Into: spool.Queued, Actor: r.Actor, Reason: r.Reason,
		Verdict: string(first.Verdict), Codes: first.Codes, At: q.o.Now(),
	})
	if err != nil {
		return nil, fmt.Errorf("release %s: %w", m.ID, q.tellWho(ctx, m.ID, to, err))
	}
	q.o.CrashPoint("release-claimed")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenLifetime)
	defer cancel()
	results, err := q.handOver(ctx, m, to)
	q.o.CrashPoint("release-sent")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("release %s: %w: %w", m.ID, ErrNotTaken, err), q.putBack(m.ID, to, r.Actor, err.Error()))
	}
	released, err := q.settle(m, results, r)
	q.o.CrashPoint("release-settled")
	return released, err
}

func (q *Quarantine) handOver(ctx context.Context, m *spool.Message, to []mail.Address) ([]spool.Handover, error) {
	token, err := q.issueToken(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	content, err := q.store.Open(ctx, m.ID)
	if err != nil {
		return nil, fmt.Errorf("read the held message: %w", err)
	}
	defer content.Close()
	return q.o.Injector.Inject(ctx, m, to, token, content)
}

// settleTimeout bounds the last write of a release: the message is gone, so the
// store must hear of it.
const settleTimeout = 10 * time.Second

// settle records the answers: delivered, or held again.
func (q *Quarantine) settle(m *spool.Message, results []spool.Handover, r Request) (*Released, error) {
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	var failures []error
	byAnswer := map[string][]mail.Address{}
	for _, h := range results {
		if h.Err == nil {
			byAnswer[h.Answer] = append(byAnswer[h.Answer], h.Recipient)
			continue
		}
		failures = append(failures, fmt.Errorf("<%s>: %w: %w", h.Recipient, ErrNotTaken, h.Err))
		failures = append(failures, q.putBack(m.ID, []mail.Address{h.Recipient}, r.Actor, h.Err.Error()))
	}
	for answer, to := range byAnswer {
		err := q.store.Move(ctx, spool.Move{
			ID: m.ID, To: to, From: spool.Queued, Into: spool.Delivered,
			Actor: r.Actor, Reason: r.Reason, Where: answer, At: q.o.Now(),
		})
		if err != nil {
			failures = append(failures, fmt.Errorf("record the delivery of %s: %w", m.ID, err))
			continue
		}
		q.o.Count("delivered", len(to))
		q.o.Logger.Info("released", "id", m.ID, "from", m.Envelope.From.String(), "to", joinAddresses(to), "actor", r.Actor, "reply", answer)
	}
	return viewReleased(m.ID, results), errors.Join(failures...)
}

// putBack holds recipients again whose release failed.
func (q *Quarantine) putBack(id string, to []mail.Address, actor, why string) error {
	q.o.Count("failed", len(to))
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	err := q.store.Move(ctx, spool.Move{
		ID: id, To: to, From: spool.Queued, Into: spool.Held,
		Actor: actor, Reason: "release failed: " + why, At: q.o.Now(),
	})
	if err != nil {
		return fmt.Errorf("hold %s again: %w", id, err)
	}
	return nil
}

// Resume holds again what a stop left between release and delivery, so that the
// re-check sends it. It must run before anything can be released. The next server
// may have taken the message just before the stop: that, and a connection that
// breaks before its answer, are the cases in which a message can arrive twice.
func (q *Quarantine) Resume(ctx context.Context) error {
	ids, err := q.store.Stuck(ctx)
	if err != nil {
		return fmt.Errorf("look for interrupted releases: %w", err)
	}
	for _, id := range ids {
		m, err := q.store.Get(ctx, id)
		if err != nil {
			return fmt.Errorf("read interrupted release %s: %w", id, err)
		}
		stuck := slices.DeleteFunc(m.In(spool.Queued), func(r spool.Recipient) bool { return !r.Delivery.Next.IsZero() })
		if err := q.putBack(id, addresses(stuck), "start", "interrupted by a stop of mailgate"); err != nil {
			return err
		}
		q.o.Logger.Warn("interrupted release is held again", "id", id)
	}
	return nil
}

func joinAddresses(list []mail.Address) string {
	var b strings.Builder
	for i, a := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("<" + a.String() + ">")
	}
	return b.String()
}
