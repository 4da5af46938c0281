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

// ErrWouldBeRefused says that a message was not released because a recipient's
// provider would still refuse it.
var ErrWouldBeRefused = errors.New("would still be refused")

// Request is a reviewer's wish to move one message.
type Request struct {
	ID     string
	To     []string // recipients; empty: every held one
	Actor  string
	Reason string
	Anyway bool // release although it would be refused
}

// Release checks a held message again and sends it: signed afresh, by the way it
// came. Without Anyway nothing is sent while one of the recipients would be
// refused.
func (q *Quarantine) Release(ctx context.Context, r Request) (*Released, error) {
	m, to, err := q.heldRecipients(ctx, r)
	if err != nil {
		return nil, err
	}
	verdict := q.o.Judge().JudgeAfresh(ctx, m.From.Domain, m.Envelope.From, to)
	if !r.Anyway {
		if err := refused(verdict); err != nil {
			return nil, fmt.Errorf("%s: %w", m.ID, err)
		}
	}
	return q.send(ctx, m, to, r)
}

func refused(v gate.Verdict) error {
	for _, r := range v.Recipients {
		if r.Disposition != gate.Pass {
			return fmt.Errorf("%w: <%s>: %s", ErrWouldBeRefused, r.Address, r.Prediction.Why)
		}
	}
	return nil
}

// heldRecipients finds the message and those of the wanted recipients it holds.
func (q *Quarantine) heldRecipients(ctx context.Context, r Request) (*spool.Message, []mail.Address, error) {
	m, err := q.store.Get(ctx, r.ID)
	if err != nil {
		return nil, nil, fmt.Errorf("find %s: %w", r.ID, err)
	}
	to, err := parsePaths(r.To)
	if err != nil {
		return nil, nil, err
	}
	held := addresses(m.In(spool.Held))
	if len(to) == 0 {
		if len(held) == 0 {
			return nil, nil, fmt.Errorf("%s: %w: no recipient is held any more", m.ID, spool.ErrConflict)
		}
		return m, held, nil
	}
	for _, want := range to {
		if !slices.Contains(held, want) {
			return nil, nil, fmt.Errorf("%s: %w: <%s> is not held", m.ID, spool.ErrConflict, want)
		}
	}
	return m, to, nil
}

// send moves the recipients to queued, hands the message over, and records how
// that went. Whoever moves them first sends them; the other gets ErrConflict.
func (q *Quarantine) send(ctx context.Context, m *spool.Message, to []mail.Address, r Request) (*Released, error) {
	if q.bypassed.Load() {
		return nil, fmt.Errorf("release %s: %w", m.ID, ErrBypassed)
	}
	move := spool.Move{ID: m.ID, To: to, From: spool.Held, Into: spool.Queued, Actor: r.Actor, Reason: r.Reason, At: q.o.Now()}
	if err := q.store.Move(ctx, move); err != nil {
		return nil, fmt.Errorf("release %s: %w", m.ID, err)
	}
	results, err := q.handOver(ctx, m, to)
	if errors.Is(err, ErrBypassed) {
		_, settled := q.settle(m, results, r)
		return nil, errors.Join(err, settled)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("release %s: %w", m.ID, err), q.putBack(m.ID, to, r.Actor, err.Error()))
	}
	return q.settle(m, results, r)
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
	results, err := q.o.Injector.Inject(ctx, m, to, token, content)
	if err != nil {
		return nil, err
	}
	return results, q.checkRedeemed(m.ID, token, results)
}

// checkRedeemed makes sure that what the MTA took went through our milter. If the
// token still works it did not, and the message left unsigned: a fault of the
// configuration, after which nothing more is released until a reload.
func (q *Quarantine) checkRedeemed(id, token string, results []spool.Handover) error {
	taken := slices.ContainsFunc(results, func(h spool.Handover) bool { return h.Err == nil })
	if !taken {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	_, unused, err := q.Redeem(ctx, token)
	if err != nil || !unused {
		return nil // a store that can't tell is no proof of a bypass
	}
	q.bypassed.Store(true)
	q.o.Logger.Error("a released message left without passing this milter; nothing more is released until a reload", "id", id)
	return fmt.Errorf("%s: %w", id, ErrBypassed)
}

// ErrBypassed says that the server behind [release] via doesn't pass mail through
// this milter, so that released mail would leave unsigned.
var ErrBypassed = errors.New("the server behind [release] via doesn't use this milter: add it there, then mailgate reload")

// settleTimeout bounds the last write of a release that was cancelled: the message
// is gone, so the store must hear of it.
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
		failures = append(failures, fmt.Errorf("<%s>: %w", h.Recipient, h.Err))
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
		q.o.Logger.Info("released", "id", m.ID, "from", m.Envelope.From.String(), "to", joinAddresses(to), "actor", r.Actor, "reply", answer)
	}
	return viewReleased(m.ID, results), errors.Join(failures...)
}

// putBack holds recipients again whose release failed.
func (q *Quarantine) putBack(id string, to []mail.Address, actor, why string) error {
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

// Resume holds again what a crash left between release and delivery, so that the
// re-check sends it. The MTA may have taken it just before: that is the one case
// in which a message can arrive twice.
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
		if err := q.putBack(id, addresses(m.In(spool.Queued)), "start", "interrupted by a stop of mailgate"); err != nil {
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
