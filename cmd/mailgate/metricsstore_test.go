package main

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/store"
)

func TestStoreMetrics(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	registerStore(r, func(context.Context) (store.Usage, error) {
		return store.Usage{Used: 1, Max: 2, File: 3, Full: true, Refused: 5}, nil
	})
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
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
	want := "mailgate_store_bytes file=3, mailgate_store_bytes used=1, mailgate_store_full=1, mailgate_store_max_bytes=2, mailgate_store_refused_total=5"
	if strings.Join(got, ", ") != want {
		t.Errorf("%s\nwant %s", strings.Join(got, ", "), want)
	}
}
