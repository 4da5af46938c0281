package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/tlspolicy"
	"mailgate/internal/tlsprobe"
	"mailgate/internal/web"
)

const (
	watchTurn  = 10 * time.Minute
	watchEvery = 24 * time.Hour     // between two probes of a destination
	watchKept  = 8 * 24 * time.Hour // what a probe found
)

// overrideWatch probes the destinations of overrides once a day, by the policy they
// would have without: an exception that is no longer needed is told of.
type overrideWatch struct {
	policies *tlspolicy.Policies
	memory   tlspolicy.Memory
	probe    func(ctx context.Context, d tlspolicy.Destination) (works bool, words string)
	needed   *prometheus.GaugeVec
	log      *slog.Logger
	now      func() time.Time

	mu    sync.Mutex
	found map[string]web.TLSProbed
}

func (g *gateway) newOverrideWatch(ctx context.Context) (*overrideWatch, error) {
	w := &overrideWatch{
		policies: g.policies, memory: tlsMemory{g.store}, log: g.log, now: time.Now, found: map[string]web.TLSProbed{},
		probe: tlsAPI{g}.worksWithout,
		needed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mailgate_tls_override_needed",
			Help: "1 where the last daily probe of an overridden destination failed without the override, 0 where it worked.",
		}, []string{"destination"}),
	}
	g.registry.MustRegister(w.needed)
	notes, err := w.memory.Recall(ctx, tlspolicy.KindProbe)
	if err != nil {
		return nil, err
	}
	for _, n := range notes {
		var p web.TLSProbed
		if json.Unmarshal(n.Data, &p) == nil { // what can't be read is found out anew
			w.note(n.Name, p)
		}
	}
	return w, nil
}

// worksWithout probes a destination by what it demands, as if there were no override.
func (v tlsAPI) worksWithout(ctx context.Context, d tlspolicy.Destination) (works bool, words string) {
	hosts, suggestion, err := v.probing(v.g.policies.Demanded).destination(ctx, d, func(*tlsprobe.Host) {})
	if err != nil {
		return false, err.Error()
	}
	return workWithout(hosts, suggestion)
}

// workWithout judges hosts probed without the override: each that could be talked to
// has to work, as mail may go to any.
func workWithout(hosts []*tlsprobe.Host, suggestion tlsprobe.Suggestion) (works bool, words string) {
	for _, h := range hosts {
		switch {
		case h.Error != "":
			continue
		case !h.Works() || !h.ByPolicy.OK():
			return false, suggestion.Words // of the first that doesn't
		}
		if !works {
			works, words = true, "TLS "+h.ByPolicy.Version.String()+" works without the override"
		}
	}
	if !works {
		return false, suggestion.Words
	}
	return true, words
}

// Run probes until ctx ends.
func (w *overrideWatch) Run(ctx context.Context) error {
	tick := time.NewTicker(watchTurn)
	defer tick.Stop()
	for {
		w.turn(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// turn probes what was not for a day, one destination after the other.
func (w *overrideWatch) turn(ctx context.Context) {
	overridden := map[string]bool{}
	for _, o := range w.policies.Overrides() {
		overridden[o.Destination] = true
		d, err := tlspolicy.ParseNextHop(o.Destination)
		if last := w.last(o.Destination); err != nil || last != nil && w.now().Sub(last.At) < watchEvery || ctx.Err() != nil {
			continue // a pattern stands for no server in particular
		}
		works, words := w.probe(ctx, d)
		if ctx.Err() != nil {
			return
		}
		w.keep(ctx, o, web.TLSProbed{At: w.now(), Works: works, Answer: words})
	}
	w.forget(overridden)
}

func (w *overrideWatch) keep(ctx context.Context, o tlspolicy.Override, p web.TLSProbed) {
	w.note(o.Destination, p)
	if p.Works {
		w.log.InfoContext(ctx, "a TLS override may not be needed any more", "destination", o.Destination, "reason", o.Reason, "probe", p.Answer)
	}
	data, err := json.Marshal(p)
	if err == nil {
		err = w.memory.Keep(ctx, tlspolicy.Note{Kind: tlspolicy.KindProbe, Name: o.Destination, Data: data, Until: p.At.Add(watchKept)}, nil)
	}
	if err != nil {
		w.log.WarnContext(ctx, "what a probe found can't be kept", "destination", o.Destination, "error", err)
	}
}

func (w *overrideWatch) note(destination string, p web.TLSProbed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found[destination] = p
	needed := 1.0
	if p.Works {
		needed = 0
	}
	w.needed.WithLabelValues(destination).Set(needed)
}

// forget drops what isn't overridden any more.
func (w *overrideWatch) forget(overridden map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.found, func(destination string, _ web.TLSProbed) bool {
		if overridden[destination] {
			return false
		}
		w.needed.DeleteLabelValues(destination)
		return true
	})
}

// last is what the last probe of a destination found; nil: there was none.
func (w *overrideWatch) last(destination string) *web.TLSProbed {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p, ok := w.found[destination]; ok {
		return &p
	}
	return nil
}
