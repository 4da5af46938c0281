package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"mailgate/internal/spool"
)

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func registerDNS(r *prometheus.Registry, queries func() uint64) {
	r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "mailgate_dns_queries_total",
		Help: "Packets sent to DNS servers.",
	}, func() float64 { return float64(queries()) }))
}

// countReleases counts recipients by how their release went.
func countReleases(r *prometheus.Registry) func(result string, recipients int) {
	releases := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailgate_releases_total",
		Help: "Recipients whose release was tried, by result: delivered, queued (the relay delivers it), failed.",
	}, []string{"result"})
	r.MustRegister(releases)
	for _, result := range []string{"delivered", "queued", "failed"} {
		releases.WithLabelValues(result)
	}
	return func(result string, recipients int) { releases.WithLabelValues(result).Add(float64(recipients)) }
}

// countNotices counts the mail that mailgate writes by how its sending went.
func countNotices(r *prometheus.Registry) func(kind, result string) {
	notices := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailgate_notices_total",
		Help: "Tries to send a notice, by kind (delayed, returned, digest, tls-report) and result (sent, refused, failed).",
	}, []string{"kind", "result"})
	r.MustRegister(notices)
	for _, kind := range []string{"delayed", "returned", "digest", "tls-report"} {
		for _, result := range []string{"sent", "refused", "failed"} {
			notices.WithLabelValues(kind, result)
		}
	}
	return func(kind, result string) { notices.WithLabelValues(kind, result).Inc() }
}

// registerSpool shows how many recipients are in each state.
func registerSpool(r *prometheus.Registry, lister spool.Lister) {
	r.MustRegister(&spoolCollector{
		lister: lister,
		state:  prometheus.NewDesc("mailgate_recipients", "Recipients in custody by state.", []string{"state"}, nil),
		held:   prometheus.NewDesc("mailgate_recipients_held", "Held recipients by what they wait for.", []string{"reason"}, nil),
	})
}

type spoolCollector struct {
	lister      spool.Lister
	state, held *prometheus.Desc
}

func (c *spoolCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.state
	ch <- c.held
}

func (c *spoolCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	counts, err := c.lister.Count(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.state, err)
		return
	}
	for _, state := range []spool.State{spool.Held, spool.Queued, spool.Delivered, spool.Bounced, spool.Discarded} {
		ch <- prometheus.MustNewConstMetric(c.state, prometheus.GaugeValue, float64(counts.States[state]), string(state))
	}
	for _, reason := range []spool.Reason{spool.Refused, spool.Waiting, spool.Foreign, spool.ByHand} {
		ch <- prometheus.MustNewConstMetric(c.held, prometheus.GaugeValue, float64(counts.Held[reason]), string(reason))
	}
}
