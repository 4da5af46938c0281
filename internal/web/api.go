// Package web is the JSON API of a running gateway. The command line speaks it
// over the control socket; whoever may open the socket may use all of it.
package web

import (
	"context"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mailgate/internal/quarantine"
)

// Options are what the API shows and drives.
type Options struct {
	Quarantine *quarantine.Quarantine
	Registry   *prometheus.Registry
	Status     func() Status                           // what doesn't come from the quarantine
	Reload     func(context.Context) ([]string, error) // returns notes, e.g. what needs a restart
}

// API serves the control socket.
type API struct{ o Options }

// New builds the API.
func New(o Options) *API { return &API{o: o} }

// Handler returns the routes. Errors are {"error": "…"} with a fitting status.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", a.status)
	mux.HandleFunc("GET /v1/quarantine", a.list)
	mux.HandleFunc("GET /v1/quarantine/{id}", a.show)
	mux.HandleFunc("GET /v1/quarantine/{id}/raw", a.raw)
	mux.HandleFunc("POST /v1/quarantine/{id}/release", a.release)
	mux.HandleFunc("POST /v1/quarantine/{id}/discard", a.discard)
	mux.HandleFunc("POST /v1/recheck", a.recheck)
	mux.HandleFunc("POST /v1/reload", a.reload)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.o.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func (a *API) status(w http.ResponseWriter, r *http.Request) {
	counts, err := a.o.Quarantine.Counts(r.Context())
	if err != nil {
		a.fail(w, err)
		return
	}
	s := a.o.Status()
	s.Counts = counts
	reply(w, s)
}

func (a *API) recheck(w http.ResponseWriter, r *http.Request) {
	sum, err := a.o.Quarantine.Recheck(r.Context(), quarantine.RecheckRequest{}, nil)
	if err != nil {
		a.fail(w, err)
		return
	}
	reply(w, RecheckResult{Messages: sum.Messages, Released: sum.Released, Failed: sum.Failed})
}

func (a *API) reload(w http.ResponseWriter, r *http.Request) {
	notes, err := a.o.Reload(r.Context())
	if err != nil {
		replyError(w, http.StatusUnprocessableEntity, err)
		return
	}
	reply(w, ReloadResult{Notes: notes})
}
