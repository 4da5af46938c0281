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
	Queue      Queue // nil: there are no routes for it
	TLS        TLS   // likewise
	Keys       Keys  // likewise
	Rotations  Rotations
	Registry   *prometheus.Registry
	Status     func() Status                           // what doesn't come from the quarantine
	Reload     func(context.Context) ([]string, error) // returns notes, e.g. what needs a restart
}

// API serves the control socket.
type API struct{ o Options }

// New builds the API.
func New(o Options) *API { return &API{o: o} }

// Handler returns the routes. Errors are a Problem with a fitting status.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", knows(a.status))
	mux.HandleFunc("GET /v1/quarantine", knows(a.list, listKeys...))
	mux.HandleFunc("GET /v1/quarantine/{id}", knows(a.show))
	mux.HandleFunc("GET /v1/quarantine/{id}/raw", knows(a.raw))
	mux.HandleFunc("POST /v1/quarantine/{id}/release", knows(a.release))
	mux.HandleFunc("POST /v1/quarantine/{id}/discard", knows(a.discard))
	mux.HandleFunc("POST /v1/recheck", knows(a.recheck))
	mux.HandleFunc("GET /v1/log", knows(a.log, logKeys...))
	mux.HandleFunc("GET /v1/log/verify", knows(a.verify, "against"))
	a.queueRoutes(mux)
	a.tlsRoutes(mux)
	a.keyRoutes(mux)
	a.rotationRoutes(mux)
	mux.HandleFunc("POST /v1/reload", knows(a.reload))
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.o.Registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
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

func (a *API) reload(w http.ResponseWriter, r *http.Request) {
	notes, err := a.o.Reload(r.Context())
	if err != nil {
		replyError(w, http.StatusUnprocessableEntity, Problem{Error: err.Error()})
		return
	}
	reply(w, ReloadResult{Notes: notes})
}
