package smtpd

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what the door does. A nil *Metrics counts nothing.
type Metrics struct {
	messages *prometheus.CounterVec
	sessions prometheus.Gauge
	logins   *prometheus.CounterVec
	errors   *prometheus.CounterVec
	duration prometheus.Histogram
}

// kinds of faults that are counted.
func kinds() []string {
	return []string{"busy", "connection", "copy", "custody", "injection", "outcome", "panic", "proxy", "relay-denied"}
}

// NewMetrics registers the door's metrics.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailgate_smtpd_messages_total",
			Help: "Messages by verdict (pass, hold, reject, defer).",
		}, []string{"verdict"}),
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mailgate_smtpd_sessions",
			Help: "SMTP sessions that are open.",
		}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailgate_smtpd_logins_total",
			Help: "Logins by result (ok, refused, error).",
		}, []string{"result"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailgate_smtpd_errors_total",
			Help: "Faults by kind: " + strings.Join(kinds(), ", ") + ".",
		}, []string{"kind"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mailgate_smtpd_message_seconds",
			Help:    "Time from the end of the header to the answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}),
	}
	for _, kind := range kinds() {
		m.errors.WithLabelValues(kind) // there from the start, at 0
	}
	for _, result := range []string{"ok", "refused", "error"} {
		m.logins.WithLabelValues(result)
	}
	registry.MustRegister(m.messages, m.sessions, m.logins, m.errors, m.duration)
	return m
}

// message counts one; took is 0 for one refused within its header.
func (m *Metrics) message(verdict string, took time.Duration) {
	if m == nil {
		return
	}
	m.messages.WithLabelValues(verdict).Inc()
	if took > 0 {
		m.duration.Observe(took.Seconds())
	}
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

func (m *Metrics) login(result string) {
	if m != nil {
		m.logins.WithLabelValues(result).Inc()
	}
}

func (m *Metrics) failed(kind string) {
	if m != nil {
		m.errors.WithLabelValues(kind).Inc()
	}
}
