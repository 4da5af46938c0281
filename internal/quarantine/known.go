package quarantine

import (
	"maps"
	"strings"
	"sync"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// known keeps the last verdict on each place, for lists: a list never asks DNS.
type known struct {
	mu sync.Mutex
	of map[place]judged
}

// place is what one verdict is about: a group, or where the group's provider is not
// known, those of it in one domain.
type place struct {
	group spool.GroupKey
	to    mail.Domain // empty: all of the group
}

func placeOf(m *spool.Message, r spool.Recipient) place {
	p := place{group: keyOf(m, r)}
	if !hasProvider(p.group) {
		p.to = r.Address.Domain
	}
	return p
}

// judged is a verdict in the words of a list.
type judged struct {
	now, why string
	at       time.Time
}

func (k *known) remember(p place, r gate.Recipient, at time.Time) {
	word, why := wordOf(r)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil {
		k.of = map[place]judged{}
	}
	k.of[p] = judged{word, why, at}
}

// keep forgets all but the given groups.
func (k *known) keep(groups []spool.Group) {
	there := make(map[spool.GroupKey]bool, len(groups))
	for _, g := range groups {
		there[g.GroupKey] = true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.of, func(p place, _ judged) bool { return !there[p.group] })
}

// lookUp returns the gravest of what is known of the held recipients of m; of a
// group not judged yet, what it was held for.
func (k *known) lookUp(m *spool.Message) judged {
	k.mu.Lock()
	defer k.mu.Unlock()
	var worst judged
	for _, r := range m.In(spool.Held) {
		j, held := k.last(placeOf(m, r)), heldFor(m, r)
		if j.at.Before(r.Changed) { // then held is what was found last
			if j.now != held.now {
				j = held
			}
			j.at = r.Changed
		}
		if gravity(j.now) > gravity(worst.now) {
			worst = j
		}
	}
	return worst
}

// last is the newest verdict on a place: its own, or that on all of its group.
func (k *known) last(p place) judged {
	own, all := k.of[p], k.of[place{group: p.group}]
	if all.at.After(own.at) {
		return all
	}
	return own
}

// heldFor puts into words what a recipient was held for.
func heldFor(m *spool.Message, r spool.Recipient) judged {
	j := judged{now: "refuse", why: r.Reply, at: r.Changed}
	switch r.Reason {
	case spool.Waiting:
		j.now, j.why = "unknown", "DNS gave no answer"
	case spool.ByHand:
		j.now, j.why = string(spool.ByHand), "held by hand"
	case spool.Foreign:
		j.now, j.why = "foreign", "no signing key for "+string(m.From.Domain)+" here"
		if m.From.Domain == "" {
			j.why = "From doesn't have exactly one usable address"
		}
	}
	if j.why == "" {
		j.why = strings.Join(r.Codes, ", ")
	}
	return j
}

// wordOf puts a verdict into words.
func wordOf(r gate.Recipient) (now, why string) {
	switch {
	case r.Disposition == gate.Pass:
		return "pass", ""
	case r.Cause == causeByHand:
		return string(spool.ByHand), r.Prediction.Why
	case r.Cause == gate.CauseWaiting:
		return "unknown", r.Prediction.Why
	case r.Cause == gate.CauseForeign:
		return "foreign", r.Prediction.Why
	}
	return "refuse", r.Prediction.Why
}

// summary is the gravest verdict on some recipients.
func summary(v gate.Verdict, at time.Time) judged {
	var worst judged
	for _, r := range v.Recipients {
		if word, why := wordOf(r); gravity(word) > gravity(worst.now) {
			worst = judged{word, why, at}
		}
	}
	return worst
}

func gravity(now string) int {
	switch now {
	case "pass":
		return 1
	case string(spool.ByHand):
		return 2
	case "unknown":
		return 3
	case "foreign":
		return 4
	case "refuse":
		return 5
	}
	return 0
}
