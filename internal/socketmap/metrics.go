package socketmap

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what the door does. A nil *Metrics counts nothing.
type Metrics struct {
	answers  *prometheus.CounterVec
	sessions prometheus.Gauge
	errors   *prometheus.CounterVec

	policies map[answer]prometheus.Counter // of answers, without the search
}

// kinds of faults that are counted.
func kinds() []string {
	return []string{"advice", "connection", "lookup", "panic", "request", "unknown-map", "unsettled"}
}

// NewMetrics registers the door's metrics.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	m := &Metrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailgate_socketmap_answers_total",
			Help: "Answers: of the map mailgate (ok, notfound, temp), and of preflight (dunno, refuse, defer).",
		}, []string{"map", "answer"}),
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mailgate_socketmap_sessions",
			Help: "Connections that are open.",
		}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailgate_socketmap_errors_total",
			Help: "Faults by kind: " + strings.Join(kinds(), ", ") + ".",
		}, []string{"kind"}),
		policies: make(map[answer]prometheus.Counter),
	}
	for _, kind := range kinds() {
		m.errors.WithLabelValues(kind) // there from the start, at 0
	}
	for _, a := range []answer{found, notFound, temporary} {
		m.policies[a] = m.answers.WithLabelValues("mailgate", string(a))
	}
	for _, a := range []Action{Dunno, Refuse, Defer} {
		m.answers.WithLabelValues("preflight", a.word())
	}
	registry.MustRegister(m.answers, m.sessions, m.errors)
	return m
}

func (m *Metrics) policy(a answer) {
	if m != nil {
		m.policies[a].Inc()
	}
}

func (m *Metrics) advice(a Action) {
	if m != nil {
		m.answers.WithLabelValues("preflight", a.word()).Inc()
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

func (m *Metrics) failed(kind string) {
	if m != nil {
		m.errors.WithLabelValues(kind).Inc()
	}
}
