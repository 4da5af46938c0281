package main

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/tlspolicy"
	"mailgate/internal/tlsprobe"
	"mailgate/internal/web"
)

// tlsNotes are a tlspolicy.Memory.
type tlsNotes map[string]tlspolicy.Note

func (n tlsNotes) Recall(_ context.Context, kind tlspolicy.Kind) (list []tlspolicy.Note, _ error) {
	for _, note := range n {
		if note.Kind == kind {
			list = append(list, note)
		}
	}
	return list, nil
}

func (n tlsNotes) Keep(_ context.Context, note tlspolicy.Note, _ *tlspolicy.Act) error {
	n[string(note.Kind)+" "+note.Name] = note
	return nil
}

func (n tlsNotes) Forget(_ context.Context, kind tlspolicy.Kind, name string, _ *tlspolicy.Act) error {
	delete(n, string(kind)+" "+name)
	return nil
}

// watchRig is an overrideWatch with a clock and probes of the test.
type watchRig struct {
	*overrideWatch
	at        time.Time
	overrides []tlspolicy.Override
	works     map[string]bool // without the override
	probed    []string
	log       strings.Builder
}

func newWatchRig(t *testing.T, destinations ...string) *watchRig {
	t.Helper()
	r := &watchRig{at: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), works: map[string]bool{}}
	for _, d := range destinations {
		r.overrides = append(r.overrides, tlspolicy.Override{Destination: d, Level: tlspolicy.Encrypt, Reason: "it clashes"})
	}
	policies, err := tlspolicy.New(t.Context(), tlspolicy.Options{
		View: func() tlspolicy.View { return tlspolicy.View{} },
		Table: func() *tlspolicy.Table {
			table, err := tlspolicy.NewTable(r.overrides, func() time.Time { return r.at })
			if err != nil {
				t.Fatal(err)
			}
			return table
		},
		Now: func() time.Time { return r.at },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(policies.Close)
	r.overrideWatch = &overrideWatch{
		policies: policies, memory: tlsNotes{}, log: slog.New(slog.NewTextHandler(&r.log, nil)),
		now: func() time.Time { return r.at }, found: map[string]web.TLSProbed{},
		needed: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "needed"}, []string{"destination"}),
		probe: func(_ context.Context, d tlspolicy.Destination) (bool, string) {
			name := destinationName(d)
			r.probed = append(r.probed, name)
			return r.works[name], map[bool]string{true: "it works", false: "it fails"}[r.works[name]]
		},
	}
	return r
}

// gauges are the metric's values by destination.
func (r *watchRig) gauges(t *testing.T) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(r.needed)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			values[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
	}
	return values
}

// turns makes one after so long, and wants these destinations probed.
func (r *watchRig) turns(t *testing.T, after time.Duration, probed ...string) {
	t.Helper()
	r.at, r.probed = r.at.Add(after), nil
	r.turn(t.Context())
	slices.Sort(r.probed)
	if !slices.Equal(r.probed, probed) {
		t.Errorf("at %v, probed %v, want %v", r.at, r.probed, probed)
	}
}

// Each overridden destination is probed once a day; a pattern is none.
func TestWatchTurn(t *testing.T) {
	r := newWatchRig(t, "a.example", "[b.example]:587", ".c.example", "mx:*.d.example")
	r.works["a.example"] = true
	both := []string{"[b.example]:587", "a.example"}
	r.turns(t, 0, both...)
	r.turns(t, watchTurn)
	r.turns(t, watchEvery-watchTurn-time.Second)
	r.turns(t, time.Second, both...)
	if got, want := r.gauges(t), (map[string]float64{"a.example": 0, "[b.example]:587": 1}); !maps.Equal(got, want) {
		t.Errorf("needed: %v, want %v", got, want)
	}
	if p := r.last("a.example"); p == nil || !p.Works || p.Answer != "it works" || !p.At.Equal(r.at) {
		t.Errorf("a.example: %+v", p)
	}
	if p := r.last("[b.example]:587"); p == nil || p.Works {
		t.Errorf("b.example: %+v", p)
	}
	if n := strings.Count(r.log.String(), "may not be needed any more\" destination=a.example reason=\"it clashes\""); n != 2 {
		t.Errorf("the log tells %d times of a.example:\n%s", n, &r.log)
	}
	if strings.Contains(r.log.String(), "b.example") {
		t.Errorf("the log tells of b.example:\n%s", &r.log)
	}
	if names := slices.Sorted(maps.Keys(r.memory.(tlsNotes))); len(names) != 2 {
		t.Errorf("kept: %v", names)
	}
}

// What isn't overridden any more is forgotten, with its metric; a new override is
// probed at the next turn.
func TestWatchForgets(t *testing.T) {
	r := newWatchRig(t, "a.example", "b.example")
	r.turns(t, 0, "a.example", "b.example")
	r.overrides = r.overrides[1:]
	r.turns(t, watchTurn)
	if got := r.gauges(t); r.last("a.example") != nil || r.last("b.example") == nil || len(got) != 1 {
		t.Errorf("a.example: %v, b.example: %v, metrics: %v", r.last("a.example"), r.last("b.example"), got)
	}
	r.overrides = append(r.overrides, tlspolicy.Override{Destination: "a.example", Level: tlspolicy.Encrypt})
	r.turns(t, watchTurn, "a.example")
}

// An override that has ended is none.
func TestWatchEnded(t *testing.T) {
	r := newWatchRig(t, "a.example")
	r.overrides[0].Expires = r.at.Add(time.Hour)
	r.turns(t, 0, "a.example")
	r.turns(t, 25*time.Hour)
	if r.last("a.example") != nil {
		t.Error("it isn't forgotten")
	}
}

// A probe that the end of the gateway cuts short finds nothing.
func TestWatchStops(t *testing.T) {
	r := newWatchRig(t, "a.example", "b.example")
	ctx, cancel := context.WithCancel(t.Context())
	probe := r.probe
	r.probe = func(ctx context.Context, d tlspolicy.Destination) (bool, string) {
		cancel()
		return probe(ctx, d)
	}
	r.turn(ctx)
	if len(r.probed) != 1 || r.last(r.probed[0]) != nil {
		t.Errorf("probed %v, and noted %+v", r.probed, r.last(r.probed[0]))
	}
}

// An override isn't called unneeded while a server that answers needs it.
func TestWorkWithout(t *testing.T) {
	host := func(name string, by tlsprobe.Handshake) *tlsprobe.Host {
		plain := by
		return &tlsprobe.Host{Name: name, StartTLS: true, Policy: tlspolicy.Policy{Level: tlspolicy.May}, Plain: &plain, ByPolicy: &by}
	}
	good := host("mx1.example.net", tlsprobe.Handshake{Version: tlspolicy.TLS13})
	old := host("mx2.example.net", tlsprobe.Handshake{Error: "connection reset"})
	limited := host("mx2.example.net", tlsprobe.Handshake{Error: "421", Unreached: true})
	limited.Plain.Error = ""
	clear := &tlsprobe.Host{Name: "mx2.example.net", Policy: tlspolicy.Policy{Level: tlspolicy.May}}
	silent := &tlsprobe.Host{Name: "mx2.example.net", Error: "connect: refused"}
	for _, c := range []struct {
		name  string
		hosts []*tlsprobe.Host
		works bool
		words string // part
	}{
		{"all", []*tlsprobe.Host{good, good}, true, "TLS 1.3 works without the override"},
		{"one not", []*tlsprobe.Host{good, old}, false, "mx2.example.net offers STARTTLS, and no handshake"},
		{"the first not", []*tlsprobe.Host{old, good}, false, "mx2.example.net offers STARTTLS, and no handshake"},
		{"one in the clear", []*tlsprobe.Host{good, clear}, false, "mx2.example.net offers no STARTTLS"},
		{"one limits", []*tlsprobe.Host{good, limited}, false, "mx2.example.net, but a second connection to it failed"},
		{"one is silent", []*tlsprobe.Host{silent, good}, true, "TLS 1.3 works without the override"},
		{"all are silent", []*tlsprobe.Host{silent}, false, "No server could be probed"},
	} {
		works, words := workWithout(c.hosts, tlsprobe.Suggest("example.net", c.hosts))
		if works != c.works || !strings.Contains(words, c.words) {
			t.Errorf("%s: %v, %q", c.name, works, words)
		}
	}
}
