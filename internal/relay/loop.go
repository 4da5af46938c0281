package relay

import (
	"context"
	"slices"
	"sync"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// loopWarnEvery is the least time between two warnings of reports that come back.
const loopWarnEvery = time.Hour

// comesBack is the trouble of a domain whose mail would be given to ourselves.
func comesBack(d mail.Domain, host string) *trouble {
	t := forGood("5.4.6", "mail for %s comes back to us: its MX host %s is this machine. If it is delivered here by another server, a [[route]] must say so", d, host)
	t.loop = true
	return t
}

// loopWarned is when it was last warned of reports that come back.
type loopWarned struct {
	mu sync.Mutex
	at time.Time
}

// begin reports whether it is time to warn again.
func (l *loopWarned) begin(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.at.IsZero() && now.Sub(l.at) < loopWarnEvery {
		return false
	}
	l.at = now
	return true
}

// forMessage is a trouble as it concerns a message. Mail without a sender, mostly our
// own reports, isn't given up because it comes back: nobody would hear of it, and what
// is wrong is ours to mend.
func (w *worker) forMessage(ctx context.Context, m *spool.Message, t *trouble) *trouble {
	if !t.loop || !m.Envelope.From.IsNull() {
		return t
	}
	if w.e.looped.begin(w.e.o.Now()) {
		w.e.log.WarnContext(ctx, "reports can't be delivered; they wait for a [[route]] that says where mail of this domain goes, then: mailgate queue flush",
			"id", m.ID, "domain", w.domain, "reason", t.words)
	}
	return later("4.4.6", "%s", t.words)
}

// ComesBack returns the MX host by which mail for a domain would come back to this
// machine, or to the address it leaves from, as behind address translation. It is
// empty where there is none, where a route or the next hop says where the mail goes,
// and where DNS doesn't tell.
func (e *Engine) ComesBack(ctx context.Context, d mail.Domain) string {
	s := e.settings()
	if s.routeFor(d).Via != "" {
		return ""
	}
	records, _, err := e.o.Resolver.MX(ctx, d)
	if err != nil {
		return ""
	}
	if len(records) == 0 {
		records = []MX{{Host: d}}
	}
	ours := slices.Clone(e.o.Local())
	for _, a := range s.Egress {
		ours = append(ours, a.Unmap())
	}
	least := slices.MinFunc(records, func(a, b MX) int { return int(a.Preference) - int(b.Preference) }).Preference
	for _, mx := range records {
		if mx.Preference != least || mx.Host == "" {
			continue
		}
		addresses, _, _ := e.o.Resolver.Addresses(ctx, mx.Host) // without an answer there is nothing to compare
		if mx.Host == s.Hostname || s.isOurs(addresses, ours) {
			return string(mx.Host)
		}
	}
	return ""
}
