package main

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// signerWatch tells when a key stops signing because the world can't see it, or one on
// standby signs in its place: once for each change, not for each message. It remembers
// no more than the keys there are.
type signerWatch struct {
	log     *slog.Logger
	mu      sync.Mutex
	sets    map[string]*signerSet                // by signing domain and selectors
	standIn func(d mail.Domain, selector string) // see OnStandIn
}

// signerSet is the keys of which some sign together.
type signerSet struct {
	checked time.Time // when DNS was asked
	amiss   map[string]amiss
}

// amiss is what is out of the ordinary with a key.
type amiss string

const (
	leftOut amiss = "left out"  // in use, but not published while another one is
	standIn amiss = "stands in" // on standby, but it signs
	inOrder amiss = ""
)

func amissWith(k preflight.KeyFact) amiss {
	switch {
	case k.Unused && !k.Standby:
		return leftOut
	case !k.Unused && k.Standby:
		return standIn
	}
	return inOrder
}

func newSignerWatch(log *slog.Logger) *signerWatch {
	return &signerWatch{log: log, sets: map[string]*signerSet{}, standIn: func(mail.Domain, string) {}}
}

// OnStandIn has f called for each report by which a key on standby signs, and when it
// has signed until then. f must not call back.
func (w *signerWatch) OnStandIn(f func(d mail.Domain, selector string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.standIn = f
}

// Found notes what a report says of the keys.
func (w *signerWatch) Found(r *preflight.Report) {
	keys := r.Facts.DKIM
	if len(keys) < 2 { // nothing to choose from
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	set := w.set(keys)
	if r.Checked.Before(set.checked) { // another one was faster
		return
	}
	set.checked = r.Checked
	for _, k := range keys {
		now := amissWith(k)
		if now != set.amiss[k.Selector] {
			w.tell(r, k, now)
		}
		if now == standIn || set.amiss[k.Selector] == standIn {
			w.standIn(k.Domain, k.Selector)
		}
		if now == inOrder {
			delete(set.amiss, k.Selector)
		} else {
			set.amiss[k.Selector] = now
		}
	}
}

func (w *signerWatch) set(keys []preflight.KeyFact) *signerSet {
	var selectors []string
	for _, k := range keys {
		selectors = append(selectors, k.Selector)
	}
	name := setName(keys[0].Domain, selectors)
	if w.sets[name] == nil {
		w.sets[name] = &signerSet{amiss: map[string]amiss{}}
	}
	return w.sets[name]
}

// setName is the same in whichever order the keys are.
func setName(d mail.Domain, selectors []string) string {
	slices.Sort(selectors)
	return string(d) + " " + strings.Join(selectors, " ")
}

func (w *signerWatch) tell(r *preflight.Report, k preflight.KeyFact, now amiss) {
	about := []any{"domain", string(k.Domain), "selector", k.Selector, "signing", strings.Join(r.Facts.Signing(), " ")}
	switch {
	case now == leftOut:
		w.log.Warn("a key doesn't sign: what DNS has at its name isn't its record, and another key is published", append(about, "finding", keyFinding(r, k))...)
	case now == standIn:
		w.log.Warn("a key on standby signs: no key of its kind that should is published", about...)
	case k.Standby:
		w.log.Info("a key on standby doesn't sign any more", about...)
	default:
		w.log.Info("a key signs again", about...)
	}
}

// keyFinding is the code of what is found about a key.
func keyFinding(r *preflight.Report, k preflight.KeyFact) string {
	i := slices.IndexFunc(r.Findings, func(f preflight.Finding) bool {
		return f.Check == preflight.DKIM && f.Selector == k.Selector
	})
	if i < 0 {
		return ""
	}
	return r.Findings[i].Code
}

// Keep forgets the sets that are not in the ring any more.
func (w *signerWatch) Keep(ring *sign.Keyring) {
	known := map[string]bool{}
	for keys := range ring.Sets() {
		var selectors []string
		for _, k := range keys {
			selectors = append(selectors, k.Selector)
		}
		known[setName(keys[0].Domain, selectors)] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.sets, func(name string, _ *signerSet) bool { return !known[name] })
}

// count is the number of keys with which that is amiss.
func (w *signerWatch) count(what amiss) float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	keys := map[string]bool{}
	for name, set := range w.sets {
		domain, _, _ := strings.Cut(name, " ")
		for selector, a := range set.amiss {
			if a == what {
				keys[selector+"."+domain] = true
			}
		}
	}
	return float64(len(keys))
}

func (w *signerWatch) register(r *prometheus.Registry) {
	r.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mailgate_keys_left_out",
			Help: "Signing keys that don't sign, because they are not published while another key is.",
		}, func() float64 { return w.count(leftOut) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mailgate_keys_standing_in",
			Help: "Keys on standby that sign, because no key of their kind that should is published.",
		}, func() float64 { return w.count(standIn) }),
	)
}
