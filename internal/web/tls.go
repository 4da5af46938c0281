package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"mailgate/internal/tlspolicy"
)

// TLS is how connections to destinations are secured.
type TLS interface {
	// Policy looks a destination up, with its MX hosts.
	Policy(ctx context.Context, destination string) (TLSPolicy, error)
	// Overrides lists all, with what was learned of handshakes.
	Overrides(ctx context.Context) (TLSOverrides, error)
	SetOverride(ctx context.Context, o TLSOrder, actor string) (TLSChange, error)
	RemoveOverride(ctx context.Context, o TLSOrder, actor string) error
	// Probe connects to each MX host, and gives what it found line by line.
	Probe(ctx context.Context, destination string, each func(line any)) error
}

// TLSPolicy is what holds for a destination.
type TLSPolicy struct {
	Destination string              `json:"destination"`
	InForce     tlspolicy.Policy    `json:"in_force"`
	RunTime     bool                `json:"run_time,omitempty"` // its override was made by a command, and is removed by one
	Demanded    tlspolicy.Policy    `json:"demanded"`           // without the override and what was learned
	Postfix     string              `json:"postfix"`            // what Postfix is told; empty: nothing, its own default holds
	STS         *tlspolicy.STSState `json:"mta_sts,omitempty"`
	Hosts       []TLSHost           `json:"hosts,omitempty"`
	Probe       *TLSProbed          `json:"probe,omitempty"`
	Problem     string              `json:"problem,omitempty"` // why there is no policy now, or its hosts aren't known
}

// TLSHost is what holds for one MX host.
type TLSHost struct {
	Host    string             `json:"host"`
	InForce tlspolicy.Policy   `json:"in_force"`
	Allowed bool               `json:"allowed"` // by the MTA-STS policy
	Learned *tlspolicy.Learned `json:"learned,omitempty"`
	Problem string             `json:"problem,omitempty"`
}

// TLSProbed is what the last daily probe of an overridden destination found.
type TLSProbed struct {
	At     time.Time `json:"at"`
	Works  bool      `json:"works"`  // without the override
	Answer string    `json:"answer"` // in words
}

// TLSOverrides are all overrides in force.
type TLSOverrides struct {
	Overrides []TLSOverridden     `json:"overrides"`
	Learned   []tlspolicy.Learned `json:"learned,omitempty"`
}

// TLSOverridden is one of them.
type TLSOverridden struct {
	tlspolicy.Override
	Probe *TLSProbed `json:"probe,omitempty"`
}

// TLSOrder is an order to override a policy, or to remove the override of its
// destination.
type TLSOrder struct {
	Override tlspolicy.Override `json:"override"`
	Reason   string             `json:"reason,omitempty"` // of a removal
	Anyway   bool               `json:"anyway,omitempty"`
}

// TLSChange is what an override has changed.
type TLSChange struct {
	Before tlspolicy.Policy `json:"before"`
	After  tlspolicy.Policy `json:"after"`
}

func (a *API) tlsRoutes(mux *http.ServeMux) {
	if a.o.TLS == nil {
		return
	}
	mux.HandleFunc("GET /v1/tls/policy", knows(a.tlsPolicy, "destination"))
	mux.HandleFunc("GET /v1/tls/overrides", knows(a.tlsOverrides))
	mux.HandleFunc("POST /v1/tls/override", knows(a.tlsOverride))
	mux.HandleFunc("POST /v1/tls/override/remove", knows(a.tlsRemove))
	mux.HandleFunc("POST /v1/tls/probe", knows(a.tlsProbe))
}

func (a *API) tlsPolicy(w http.ResponseWriter, r *http.Request) {
	p, err := a.o.TLS.Policy(r.Context(), r.URL.Query().Get("destination"))
	a.answer(w, p, err)
}

func (a *API) tlsOverrides(w http.ResponseWriter, r *http.Request) {
	list, err := a.o.TLS.Overrides(r.Context())
	a.answer(w, list, err)
}

func (a *API) tlsOverride(w http.ResponseWriter, r *http.Request) {
	order, err := parseTLSOrder(r)
	if err != nil {
		badRequest(w, err)
		return
	}
	change, err := a.o.TLS.SetOverride(r.Context(), order, actor(r.Context()))
	a.answer(w, change, err)
}

func (a *API) tlsRemove(w http.ResponseWriter, r *http.Request) {
	order, err := parseTLSOrder(r)
	if err != nil {
		badRequest(w, err)
		return
	}
	err = a.o.TLS.RemoveOverride(r.Context(), order, actor(r.Context()))
	a.answer(w, struct {
		Destination string `json:"destination"`
	}{order.Override.Destination}, err)
}

func parseTLSOrder(r *http.Request) (TLSOrder, error) {
	var order TLSOrder
	if err := readJSON(r, &order); err != nil {
		return order, err
	}
	if strings.TrimSpace(order.Override.Destination) == "" {
		return order, errors.New("override: it names no destination")
	}
	for _, reason := range []string{order.Reason, order.Override.Reason} {
		if utf8.RuneCountInString(reason) > maxReason {
			return order, fmt.Errorf("reason: it is longer than %d characters; say it in short", maxReason)
		}
	}
	return order, nil
}

// TLSProbeOrder is the body of a probe.
type TLSProbeOrder struct {
	Destination string `json:"destination"`
}

// tlsProbe answers with JSON lines, one for each host and one with what to do.
func (a *API) tlsProbe(w http.ResponseWriter, r *http.Request) {
	var body TLSProbeOrder
	if err := readJSON(r, &body); err != nil {
		badRequest(w, err)
		return
	}
	lines := &lineWriter{w: w}
	err := a.o.TLS.Probe(r.Context(), body.Destination, func(line any) { lines.write(line) })
	switch {
	case err != nil && !lines.begun:
		a.fail(w, err)
	case err != nil:
		_, problem := problemOf(err)
		lines.write(struct {
			Problem Problem `json:"problem"`
		}{problem})
	}
}
