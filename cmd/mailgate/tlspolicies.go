package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/config"
	"mailgate/internal/spool"
	"mailgate/internal/tlspolicy"
)

// newTLS makes what knows, watches and reports on TLS policies.
func (g *gateway) newTLS(ctx context.Context) (err error) {
	if g.policies, err = g.newPolicies(ctx); err != nil {
		return err
	}
	if g.watch, err = g.newOverrideWatch(ctx); err != nil {
		return err
	}
	g.reports, err = g.newReports(ctx)
	return err
}

// newPolicies is the TLS policy of every destination, by the configuration in force.
func (g *gateway) newPolicies(ctx context.Context) (*tlspolicy.Policies, error) {
	return tlspolicy.New(ctx, tlspolicy.Options{
		View:    func() tlspolicy.View { return tlsView(g.live.Load().cfg, g.live.Load().view) },
		Table:   func() *tlspolicy.Table { return g.live.Load().tls },
		Memory:  tlsMemory{g.store},
		Private: func() bool { return g.live.Load().cfg.MTASTS.Private },
		Metrics: newTLSMetrics(g.registry),
		Log:     g.log,

		LookupTime: g.dnsTime,
	})
}

// tlsView is how DNS is seen for TLS policies.
func tlsView(cfg *config.Config, v *view) tlspolicy.View {
	return tlspolicy.View{DNS: v.resolver, Validating: cfg.DNS.Validating, STS: cfg.MTASTS.Enabled}
}

// tlsMemory keeps what tlspolicy remembers in the store.
type tlsMemory struct{ notes spool.Notes }

// Recall implements tlspolicy.Memory.
func (m tlsMemory) Recall(ctx context.Context, kind tlspolicy.Kind) ([]tlspolicy.Note, error) {
	list, err := m.notes.Notes(ctx, string(kind))
	notes := make([]tlspolicy.Note, len(list))
	for i, n := range list {
		notes[i] = tlspolicy.Note{Kind: kind, Name: n.Name, Data: n.Data, Until: n.Until}
	}
	return notes, err
}

// Keep implements tlspolicy.Memory.
func (m tlsMemory) Keep(ctx context.Context, n tlspolicy.Note, by *tlspolicy.Act) error {
	note := spool.Note{Kind: string(n.Kind), Name: n.Name, Data: n.Data, Until: n.Until}
	var o tlspolicy.Override
	if by != nil {
		if err := json.Unmarshal(n.Data, &o); err != nil {
			return fmt.Errorf("read what is to be kept of %s: %w", n.Name, err)
		}
	}
	return m.notes.KeepNote(ctx, note, tlsEntry(spool.ActionOverride, n.Name, overrideWords(o), by))
}

// Forget implements tlspolicy.Memory.
func (m tlsMemory) Forget(ctx context.Context, kind tlspolicy.Kind, name string, by *tlspolicy.Act) error {
	return m.notes.DropNote(ctx, string(kind), name, tlsEntry(spool.ActionNoOverride, name, "", by))
}

// overrideWords is an override for the review log.
func overrideWords(o tlspolicy.Override) string {
	if o.Expires.IsZero() {
		return o.String()
	}
	return o.String() + ", until " + o.Expires.UTC().Format(time.RFC3339)
}

// tlsEntry is what the review log says of an act; nil for none.
func tlsEntry(action spool.Action, destination, after string, by *tlspolicy.Act) *spool.LogEntry {
	if by == nil {
		return nil
	}
	return &spool.LogEntry{Time: time.Now(), Action: action, Actor: by.Actor, Reason: by.Reason, Where: destination, After: after}
}

// tlsMetrics implements tlspolicy.Metrics.
type tlsMetrics struct {
	fetches  *prometheus.CounterVec
	expiring prometheus.Gauge
}

func newTLSMetrics(r *prometheus.Registry) *tlsMetrics {
	m := &tlsMetrics{
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailgate_tls_sts_fetches_total",
			Help: "MTA-STS policies fetched, by result (ok, failed).",
		}, []string{"result"}),
		expiring: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mailgate_tls_overrides_expiring",
			Help: "TLS overrides that end within a week.",
		}),
	}
	for _, result := range []string{"ok", "failed"} {
		m.fetches.WithLabelValues(result)
	}
	r.MustRegister(m.fetches, m.expiring)
	return m
}

// STSFetch implements tlspolicy.Metrics.
func (m *tlsMetrics) STSFetch(result string) { m.fetches.WithLabelValues(result).Inc() }

// Expiring implements tlspolicy.Metrics.
func (m *tlsMetrics) Expiring(overrides int) { m.expiring.Set(float64(overrides)) }

// madeAtRunTime tells it of the override for a destination. Of two the first holds.
func madeAtRunTime(all []tlspolicy.Override, destination string) bool {
	i := slices.IndexFunc(all, func(o tlspolicy.Override) bool { return o.Destination == destination })
	return i >= 0 && all[i].RunTime
}

// destinationQuery reads a destination as a command or the API names it.
func destinationQuery(s string) (tlspolicy.Destination, error) {
	d, err := tlspolicy.ParseNextHop(s)
	if err != nil {
		return d, fmt.Errorf("destination: %w: %w", errQuery, err)
	}
	return d, nil
}
