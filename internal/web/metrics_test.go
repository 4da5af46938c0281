package web

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// failing is a collector that can't say anything.
type failing struct{ desc *prometheus.Desc }

func (f failing) Describe(ch chan<- *prometheus.Desc) { ch <- f.desc }
func (f failing) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(f.desc, errors.New("the store has stopped"))
}

// TestMetricsGoOn: what one part can't say keeps no other from saying what it has.
func TestMetricsGoOn(t *testing.T) {
	r := prometheus.NewRegistry()
	sound := prometheus.NewCounter(prometheus.CounterOpts{Name: "sound_total"})
	r.MustRegister(failing{prometheus.NewDesc("failing", "", nil, nil)}, sound)
	got := httptest.NewRecorder()
	New(Options{Registry: r}).Handler().ServeHTTP(got, httptest.NewRequest("GET", "/metrics", nil))
	if got.Code != 200 || !strings.Contains(got.Body.String(), "sound_total 0") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}
