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
	// Since is when the order that this is part of was given: what DNS was asked after
	// that serves. Zero: DNS is asked for this message.
	Since time.Time
}

// Release checks a held message again and sends it: signed afresh, by the way it
// came. Without Anyway nothing is sent unless every recipient would take it.
func (q *Quarantine) Release(ctx context.Context, r Request) (*Released, error) {
	m, to, err := q.heldRecipients(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.Paced {
		if err := q.hasRoom(m, to); err != nil {
			return nil, fmt.Errorf("release %s: %w", m.ID, err)
		}
	}
	verdict := q.judgeSince(ctx, r.Since, m, to)
	if err := wouldPass(verdict); err != nil && !r.Anyway {
		return nil, fmt.Errorf("%s: %w", m.ID, err)
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
// that went; or leaves that to the relay. Whoever moves them first sends them; the
// other gets ErrConflict. Once they are queued, it goes on to its end although ctx is
// cancelled: a message broken off while the next server takes it would be sent again.
func (q *Quarantine) send(ctx context.Context, m *spool.Message, judged []gate.Recipient, r Request) (*Released, error) {
	if !q.releases.begin() {
		return nil, fmt.Errorf("release %s: %w", m.ID, ErrStopping)
	}
	defer q.releases.done()
	claim := spool.Move{
		ID: m.ID, From: spool.Held, Into: spool.Queued, Actor: r.Actor, Reason: r.Reason, At: q.o.Now(),
	}
	for _, j := range judged {
		claim.To = append(claim.To, j.Address)
		claim.Each = append(claim.Each, r.found(j))
	}
	if q.relayTakes(m) {
		return q.queue(ctx, m, claim, r.Anyway)
	}
	to := claim.To
	if err := q.leave(ctx, claim); err != nil {
		return nil, fmt.Errorf("release %s: %w", m.ID, err)
	}
	q.o.CrashPoint("release-claimed")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenLifetime)
	defer cancel()
	results, err := q.handOver(ctx, m, to)
	q.o.CrashPoint("release-sent")
	if err != nil {
		failed := spool.Handover{Err: err}
		return nil, errors.Join(fmt.Errorf("release %s: %w: %w", m.ID, ErrNotTaken, err), q.putBack(m.ID, to, r.Actor, failed))
	}
	released, err := q.settle(m, results, claim)
	q.o.CrashPoint("release-settled")
	return released, err
}

// found is what the log says of one recipient of a release.
func (r *Request) found(j gate.Recipient) spool.Found {
	f := foundOf(j)
	if r.Anyway && j.Disposition != gate.Pass {
		f.Reason = "anyway: " + r.Reason
	}
	return f
}

// foundOf is a verdict in the words of the log.
func foundOf(j gate.Recipient) spool.Found {
	return spool.Found{Codes: j.Prediction.Codes, Verdict: string(j.Prediction.Verdict)}
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

// actorStart of a move that takes back what a stop interrupted.
const actorStart = "start"

// Resume holds again what a stop left between release and delivery, or in the
// middle of its return, so that it is sent or returned. It must run before anything
// can be released. The next server may have taken the message just before the stop:
// that, and a connection that breaks before its answer, are the cases in which a
// message can arrive twice.
func (q *Quarantine) Resume(ctx context.Context) error {
	ids, err := q.store.Stuck(ctx)
	if err != nil {
		return fmt.Errorf("look for interrupted releases and returns: %w", err)
	}
	for _, id := range ids {
		m, err := q.store.Get(ctx, id)
		if err != nil {
			return fmt.Errorf("read %s, whose release or return was interrupted: %w", id, err)
		}
		stuck := slices.DeleteFunc(m.In(spool.Queued), func(r spool.Recipient) bool { return !r.Delivery.Next.IsZero() })
		err = q.holdAgain(spool.Move{
			ID: id, To: addresses(stuck), Actor: actorStart, Reason: "interrupted by a stop of mailgate",
		})
		if err != nil {
			return err
		}
		q.o.Logger.Warn("release or return interrupted by a stop: held again", "id", id)
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
