package milter

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what the door does. A nil *Metrics counts nothing.
type Metrics struct {
	messages *prometheus.CounterVec
	sessions prometheus.Gauge
	errors   *prometheus.CounterVec
	duration prometheus.Histogram
}

// kinds of faults that are counted.
func kinds() []string {
	return []string{"connection", "copy", "custody", "outcome", "panic", "redeem"}
}

// NewMetrics registers the door's metrics.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailgate_milter_messages_total",
			Help: "Messages by verdict (pass, hold, reject, defer; notice: one of mailgate's own passed) and whether the client is trusted.",
		}, []string{"verdict", "trusted"}),
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mailgate_milter_sessions",
			Help: "Connections of the MTA that are open.",
		}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailgate_milter_errors_total",
			Help: "Faults by kind: " + strings.Join(kinds(), ", ") + ".",
		}, []string{"kind"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mailgate_milter_message_seconds",
			Help:    "Time from the end of the header to the answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}),
	}
	for _, kind := range kinds() {
		m.errors.WithLabelValues(kind) // there from the start, at 0
	}
	registry.MustRegister(m.messages, m.sessions, m.errors, m.duration)
	return m
}

func (m *Metrics) message(verdict string, trusted bool, took time.Duration) {
	if m == nil {
		return
	}
	yes := "no"
	if trusted {
		yes = "yes"
	}
	m.messages.WithLabelValues(verdict, yes).Inc()
	m.duration.Observe(took.Seconds())
}

func (m *Metrics) sessionBegan() {
	if m != nil {
		m.sessions.Inc()
	}
}

func (m *Metrics) sessionEnded() {
	if m != nil {
		m.sessions.Dec()
	}
}

func (m *Metrics) failed(kind string) {
	if m != nil {
		m.errors.WithLabelValues(kind).Inc()
	}
}
