package main

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/spool"
	"mailgate/internal/store"
)

// registerStore shows the room the store takes.
func registerStore(r *prometheus.Registry, usage func(context.Context) (store.Usage, error)) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("mailgate_store_"+name, help, labels, nil)
	}
	r.MustRegister(&storeCollector{
		usage:   usage,
		bytes:   desc("bytes", "Size of the store: used is what hold.max_bytes bounds, file what is taken on disk.", "kind"),
		most:    desc("max_bytes", "hold.max_bytes; 0: no bound."),
		stopped: desc("stopped", "1 after an error in writing or a damaged file: nothing is taken or released until mailgate is started again."),
		full:    desc("full", "1 while the store is full and messages to hold are answered 452."),
		refused: desc("refused_total", "Messages not taken into custody for want of room, answered 452."),
	})
}

type storeCollector struct {
	usage                               func(context.Context) (store.Usage, error)
	bytes, most, stopped, full, refused *prometheus.Desc
}

func (c *storeCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.bytes
	ch <- c.most
	ch <- c.stopped
	ch <- c.full
	ch <- c.refused
}

func (c *storeCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	u, err := c.usage(ctx)
	ch <- prometheus.MustNewConstMetric(c.stopped, prometheus.GaugeValue, number(errors.Is(err, spool.ErrStopped)))
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.bytes, err)
		return
	}
	ch <- prometheus.MustNewConstMetric(c.bytes, prometheus.GaugeValue, float64(u.Used), "used")
	ch <- prometheus.MustNewConstMetric(c.bytes, prometheus.GaugeValue, float64(u.File), "file")
	ch <- prometheus.MustNewConstMetric(c.most, prometheus.GaugeValue, float64(u.Max))
	ch <- prometheus.MustNewConstMetric(c.full, prometheus.GaugeValue, number(u.Full))
	ch <- prometheus.MustNewConstMetric(c.refused, prometheus.CounterValue, float64(u.Refused))
}

// number is how metrics say yes and no.
func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
