package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/spool"
	"mailgate/internal/store"
)

// TestStoreMetrics: a store that has stopped says so, although it says nothing else.
func TestStoreMetrics(t *testing.T) {
	stopped := errors.Join(spool.ErrStopped, errors.New("disk"))
	for _, test := range []struct {
		usage store.Usage
		err   error
		want  string
	}{
		{store.Usage{Used: 1, Max: 2, File: 3, Full: true, Refused: 5}, nil, "mailgate_store_bytes file=3, mailgate_store_bytes used=1, mailgate_store_full=1, " +
			"mailgate_store_max_bytes=2, mailgate_store_refused_total=5, mailgate_store_stopped=0"},
		{store.Usage{}, stopped, "mailgate_store_stopped=1"},
		{store.Usage{}, errors.New("no such file"), "mailgate_store_stopped=0"},
	} {
		r := prometheus.NewPedanticRegistry()
		registerStore(r, func(context.Context) (store.Usage, error) { return test.usage, test.err })
		if got, err := gathered(r); got != test.want || (err != nil) != (test.err != nil) {
			t.Errorf("%v: %s, %v\nwant %s", test.err, got, err, test.want)
		}
	}
}

// gathered is what a registry has, in one line.
func gathered(r *prometheus.Registry) (string, error) {
	families, err := r.Gather()
	var got []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			text := f.GetName()
			for _, l := range m.GetLabel() {
				text += " " + l.GetValue()
			}
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			got = append(got, text+"="+string(rune('0'+int(value))))
		}
	}
	return strings.Join(got, ", "), err
}
