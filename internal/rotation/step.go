package rotation

import (
	"context"
	"fmt"
	"time"

	"mailgate/internal/sign"
)

const (
	// minHold is how long a record has to be everywhere where the old one's TTL asks
	// for less: some DNS hosts have many machines behind one name server's address.
	minHold = 30 * time.Second
	// lifeUnknown is taken for the old record's TTL until it was seen.
	lifeUnknown = time.Hour
	// longestGap is how late a look may come: by a restart, or by many that are due.
	longestGap = 5 * time.Minute

	publishPatience = time.Minute
)

// step does the next thing there is to do for a rotation, if any.
func (e *Engine) step(ctx context.Context, r Rotation) error {
	if !e.driven(r) {
		r.Problem = "the configuration doesn't name this key any more: the rotation is left as it is"
		e.note(r)
		return nil
	}
	r.Problem, r.Foreign, r.Grace = "", nil, e.o.Site().Grace
	switch r.State {
	case Publishing, Holding:
		return e.await(ctx, r)
	case Signing:
		return e.grace(ctx, r)
	case Revoking:
		return e.revoke(ctx, r)
	}
	return nil
}

func (e *Engine) driven(r Rotation) bool {
	book := e.Book()
	for _, k := range e.o.Site().Keys {
		if book.drives(k.Domain, k.Selector, &r) {
			return true
		}
	}
	return false
}

// await sees to it that the new record is everywhere for long enough, and switches.
func (e *Engine) await(ctx context.Context, r Rotation) error {
	if old := lookFor(ctx, e.o.DNS(), r.OldName(), ""); old.known() {
		r.OldLife = old.life
	} else if r.OldLife == 0 {
		r.OldLife = lifeUnknown
	}
	r.Hold = max(r.OldLife, minHold)
	s := lookFor(ctx, e.o.DNS(), r.NewName(), r.Record)
	since := e.saw(&r, s)
	switch {
	case s.missing() && r.State == Holding:
		r.State, r.Visible, r.Waited, r.Publisher = Publishing, time.Time{}, 0, Published{}
		e.note(r) // also where it can't be kept
		if err := e.keep(ctx, r, "the new record is gone again from "+lacking(s), ""); err != nil {
			return err
		}
		return e.publish(ctx, r)
	case s.missing():
		return e.publish(ctx, r)
	case !s.everywhere():
		r.Problem = unseen(s)
		e.note(r)
		return nil
	case r.State == Publishing:
		r.State, r.Visible, r.Waited = Holding, r.Looked, 0
		return e.keep(ctx, r, fmt.Sprintf("the new record is on every name server, and has to stay so for %s", r.Hold), "")
	}
	r.Waited += since
	if r.Waited <= r.Hold {
		return e.keep(ctx, r, "", "")
	}
	return e.switchOver(ctx, r)
}

// saw notes what was seen, and returns how much of the time since the last look counts:
// none where a server gave no answer then. Over a gap longer than there should be
// nothing is known, and what has to be seen without a break begins anew.
func (e *Engine) saw(r *Rotation, s sight) (since time.Duration) {
	now := e.o.Now()
	since = now.Sub(r.Looked)
	have, of := r.HaveIt()
	switch {
	case since < 0 || since > longestWait(r.State)+longestGap:
		since = 0
		if r.State == Holding {
			r.Visible, r.Waited = now, 0
		}
	case of == 0 || have < of: // it began without an answer from all
		since = 0
	}
	r.Looked, r.Servers, r.Seen = now, s.servers, s.texts
	return since
}

// switchOver makes the new key sign. Its record was seen everywhere this moment.
func (e *Engine) switchOver(ctx context.Context, r Rotation) error {
	if err := sameFile(r); err != nil {
		r.Problem = err.Error()
		return e.keep(ctx, r, "", "")
	}
	r.State, r.Switched, r.Waited = Signing, r.Looked, 0
	return e.move(ctx, r, fmt.Sprintf("the new key signs; the old one is kept for %s", r.Grace), "", true)
}

// sameFile makes sure that the new key can be read and is the one published.
func sameFile(r Rotation) error {
	record, err := recordOf(r.New.File)
	if err != nil {
		return err
	}
	if record != r.Record {
		return fmt.Errorf("%s holds another key than the one published: put it back, or cancel this rotation", r.New.File)
	}
	return nil
}

// recordOf is the record of the key in a file.
func recordOf(file string) (string, error) {
	signer, _, err := sign.LoadKey(file)
	if err != nil {
		return "", err
	}
	return sign.Key{Signer: signer}.Record(), nil
}

// grace waits until nothing is on its way any more that the old key signed.
func (e *Engine) grace(ctx context.Context, r Rotation) error {
	stoodIn := e.stoodInSince(r)
	s := lookFor(ctx, e.o.DNS(), r.NewName(), r.Record)
	since := e.saw(&r, s)
	if stoodIn {
		since, r.Waited = 0, 0
		if err := e.keep(ctx, r, "", ""); err != nil {
			return err
		}
	}
	switch {
	case s.missing():
		// The old key signs in its place now, so that its grace begins anew.
		r.Waited = 0
		r.Problem = "the new record is gone from " + lacking(s) + ": publish it again, or go back with --cancel"
		return e.keep(ctx, r, "", "")
	case !s.everywhere():
		r.Problem = unseen(s)
		e.note(r)
		return nil
	}
	if e.isBehind() { // the old key may be signing still
		r.Problem = "the gateway could not take the new key yet; see its log"
		e.note(r)
		return nil
	}
	if r.Waited += since; r.Waited < r.Grace {
		return e.keep(ctx, r, "", "")
	}
	r.State, r.Revoke, r.Waited = Revoking, r.Looked, 0
	return e.move(ctx, r, "the old key signs no more, and is to be revoked in DNS", "", true)
}

// revoke sees to it that the old record says so.
func (e *Engine) revoke(ctx context.Context, r Rotation) error {
	if e.isBehind() {
		return nil
	}
	s := lookRevoked(ctx, e.o.DNS(), r.OldName())
	e.saw(&r, s)
	gone := s.known()
	for _, v := range s.servers {
		gone = gone && v.State != Other
	}
	switch {
	case gone:
		r.State, r.Ended = Done, r.Looked
		err := e.move(ctx, r, "the old key is revoked", "", false)
		e.o.CrashPoint("rotate-revoked")
		return err
	case !s.missing():
		r.Problem = unseen(s)
		e.note(r)
		return nil
	}
	return e.publish(ctx, r)
}

// publish has the domain's publisher write the record that is missing, with patience,
// or reminds people to.
func (e *Engine) publish(ctx context.Context, r Rotation) error {
	name, value := r.ToPublish()
	if r.Foreign = e.foreign(ctx, r); len(r.Foreign) > 0 {
		r.Problem = foreignProblem(r)
		if e.firstToday(r, "foreign") {
			e.o.Log.WarnContext(ctx, "rotation: it waits for you: "+r.Problem, e.attrs(r)...)
		}
		e.note(r)
		return nil
	}
	p := e.o.Publisher(r.Domain)
	if p == nil {
		e.remind(ctx, r, name, value)
		e.note(r)
		return nil
	}
	now := e.o.Now()
	if since := now.Sub(r.Publisher.Tried); since >= 0 && since < retryAfter(r.Publisher) {
		e.note(r)
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, publishPatience)
	defer cancel()
	err := p.Publish(limited, name, value, r.Seen, max(r.OldLife, time.Minute))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	again := r.Publisher.Written
	r.Publisher.Tried, r.Publisher.Written = now, err == nil
	if err != nil {
		r.Publisher.Failures++
		r.Publisher.Error = err.Error()
		e.o.Log.WarnContext(ctx, "rotation: the record can't be published; it is tried again", append(e.attrs(r), "name", name, "error", err)...)
		e.note(r)
		return nil
	}
	act := ""
	if !again {
		act = "published " + name
	}
	r.Publisher.Failures, r.Publisher.Error = 0, ""
	e.o.CrashPoint("rotate-published")
	return e.keep(ctx, r, act, "")
}

// retryAfter grows with failures; what was written takes its time to be everywhere.
func retryAfter(p Published) time.Duration {
	if p.Written {
		return 15 * time.Minute
	}
	return min(30*time.Second<<min(p.Failures, 10), time.Hour)
}

// remind says once a day what has to be published.
func (e *Engine) remind(ctx context.Context, r Rotation, name, value string) {
	if e.firstToday(r, string(r.State)) {
		e.o.Log.WarnContext(ctx, "rotation: it waits for a record that you have to publish", append(e.attrs(r), "name", name, "type", "TXT", "value", value)...)
	}
}

// firstToday reports whether something about a rotation was not told within a day.
func (e *Engine) firstToday(r Rotation, what string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	last, told := e.told[r.OldName()+what]
	now := e.o.Now()
	if told && now.Sub(last) < 24*time.Hour && !now.Before(last) {
		return false
	}
	e.told[r.OldName()+what] = now
	return true
}

func lacking(s sight) string {
	for _, v := range s.servers {
		if v.State == Lacks || v.State == Other {
			return v.Name
		}
	}
	return "a name server"
}

// unseen says why nothing is certain.
func unseen(s sight) string {
	if s.problem != "" {
		return "the name servers can't be asked: " + s.problem
	}
	for _, v := range s.servers {
		if v.State == Unknown {
			return fmt.Sprintf("%s gives no answer: %s", v.Name, v.Words)
		}
	}
	return "nothing is known"
}
