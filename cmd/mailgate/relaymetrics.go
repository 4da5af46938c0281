package main

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// relayMetrics implements relay.Metrics.
type relayMetrics struct {
	deliveries  *prometheus.CounterVec
	pauses      prometheus.Counter
	predictions *prometheus.CounterVec
}

func newRelayMetrics(r *prometheus.Registry) *relayMetrics {
	m := &relayMetrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailgate_relay_deliveries_total",
			Help: "Recipients tried by the relay, by outcome (delivered, deferred, bounced, held) and version of TLS (none).",
		}, []string{"outcome", "tls"}),
		pauses: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailgate_relay_pauses_total",
			Help: "Times that connections to a destination were put off.",
		}),
		predictions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailgate_relay_predictions_total",
			Help: "Answers of receivers held against the prediction: agreed, missed (refused in fact), false-alarm (accepted in fact).",
		}, []string{"result"}),
	}
	for _, outcome := range []string{"delivered", "deferred", "bounced", "held"} {
		m.deliveries.WithLabelValues(outcome, "none")
	}
	for _, result := range []string{"agreed", "missed", "false-alarm"} {
		m.predictions.WithLabelValues(result)
	}
	r.MustRegister(m.deliveries, m.pauses, m.predictions)
	return m
}

// Delivery implements relay.Metrics. tls begins with the version.
func (m *relayMetrics) Delivery(outcome, tls string) {
	version, _, _ := strings.Cut(tls, " ")
	if version == "" {
		version = "none"
	}
	m.deliveries.WithLabelValues(outcome, version).Inc()
}

// Pause implements relay.Metrics.
func (m *relayMetrics) Pause(string) { m.pauses.Inc() }

// Prediction implements relay.Metrics.
func (m *relayMetrics) Prediction(result string) { m.predictions.WithLabelValues(result).Inc() }
