package rotation

import (
	"time"

	"mailgate/internal/mail"
)

// StoodIn tells that a key on standby signs, or has signed until now: its grace begins
// anew. It may come between two looks at DNS, which see nothing of it.
func (e *Engine) StoodIn(d mail.Domain, selector string) {
	name, now := recordName(d, selector), e.o.Now()
	r, ok := e.current(name)
	if !ok || r.State != Signing {
		return
	}
	e.mu.Lock()
	e.stoodIn[name] = now
	e.mu.Unlock()
	if since := now.Sub(r.Looked); since < 0 || since > time.Minute {
		e.soon(name) // what is kept survives a stop
	}
}

// stoodInSince reports whether the old key signed since the last look.
func (e *Engine) stoodInSince(r Rotation) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, ok := e.stoodIn[r.OldName()]
	return ok && !at.Before(r.Looked)
}
