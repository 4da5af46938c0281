package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
)

// Rotations replaces signing keys.
type Rotations interface {
	// Rotations lists those of a signing domain, or (empty) all.
	Rotations(ctx context.Context, domain string) ([]Rotation, error)
	// Rotate begins a rotation of each key ordered, or goes on with the one under way.
	Rotate(ctx context.Context, o RotationOrder, actor string) ([]Rotation, error)
	// CancelRotation has the old keys sign on, or again.
	CancelRotation(ctx context.Context, o RotationOrder, actor string) ([]Rotation, error)
}

// RotationOrder is an order to replace keys, or to cancel that.
type RotationOrder struct {
	Domain   string `json:"domain"`
	Selector string `json:"selector,omitempty"` // of the key to replace; empty: all that sign
	DryRun   bool   `json:"dry_run,omitempty"`
	Again    bool   `json:"again,omitempty"` // although the key was replaced within a day
}

// Rotation is the replacement of one key by another.
type Rotation struct {
	Domain string      `json:"domain"` // the signing domain
	Old    RotationKey `json:"old"`
	New    RotationKey `json:"new"`
	State  string      `json:"state"` // publishing, holding, signing, revoking, done, cancelled; planned for a dry run
	By     string      `json:"by"`

	Begun    time.Time `json:"begun"`
	Visible  time.Time `json:"visible,omitzero"`  // the new record everywhere since
	Switched time.Time `json:"switched,omitzero"` // the new key signs since
	Revoke   time.Time `json:"revoke,omitzero"`   // the old one is on its way out since
	Ended    time.Time `json:"ended,omitzero"`

	Hold   time.Duration `json:"hold_ns"`   // that the new record has to stay everywhere
	Grace  time.Duration `json:"grace_ns"`  // that the old key is kept
	Waited time.Duration `json:"waited_ns"` // of Hold while holding, of Grace while signing
	Looked time.Time     `json:"looked,omitzero"`

	Servers   []RotationServer   `json:"servers"`           // what each said last of the record to publish
	Record    string             `json:"record,omitempty"`  // of the new key
	Publish   []RotationRecord   `json:"publish,omitempty"` // what has to be published now
	Publisher *RotationPublished `json:"publisher,omitempty"`
	Problem   string             `json:"problem,omitempty"`   // why it doesn't go on, beyond waiting
	Configure string             `json:"configure,omitempty"` // the new key's line for the configuration, where it names the old one
	UsedBy    []string           `json:"used_by,omitempty"`   // "selector of domain" of other keys that are in the old key's file
}

// RotationKey is one of its keys.
type RotationKey struct {
	Selector  string `json:"selector"`
	File      string `json:"file"`
	Algorithm string `json:"algorithm,omitempty"`
}

// RotationServer is what a name server said.
type RotationServer struct {
	Name  string `json:"name"`
	State string `json:"state"` // has, lacks, other, unknown
	Words string `json:"words,omitempty"`
}

// RotationRecord is a record in the form of the domain's DNS host.
type RotationRecord struct {
	At       string   `json:"at"` // "Cloudflare"
	Type     string   `json:"type"`
	Name     string   `json:"name"`
	Value    string   `json:"value"`
	Replaces []string `json:"replaces,omitempty"`
	Notes    []string `json:"notes,omitempty"`
}

// RotationPublished is how the domain's publisher fares with that record.
type RotationPublished struct {
	Name     string    `json:"name"`           // of the [[publisher]]
	Tried    time.Time `json:"tried,omitzero"` // last
	Written  bool      `json:"written"`        // the DNS host took it then
	Failures int       `json:"failures,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// RotationList is what the routes about rotations answer.
type RotationList struct {
	Rotations []Rotation `json:"rotations"`
}

func (a *API) rotationRoutes(mux *http.ServeMux) {
	if a.o.Rotations == nil {
		return
	}
	mux.HandleFunc("GET /v1/rotations", knows(a.rotations, "domain"))
	mux.HandleFunc("POST /v1/rotations", knows(a.rotate))
	mux.HandleFunc("POST /v1/rotations/cancel", knows(a.cancelRotation))
}

func (a *API) rotations(w http.ResponseWriter, r *http.Request) {
	list, err := a.o.Rotations.Rotations(r.Context(), r.URL.Query().Get("domain"))
	a.answer(w, RotationList{list}, err)
}

func (a *API) rotate(w http.ResponseWriter, r *http.Request) {
	a.orderRotation(w, r, a.o.Rotations.Rotate)
}

func (a *API) cancelRotation(w http.ResponseWriter, r *http.Request) {
	a.orderRotation(w, r, a.o.Rotations.CancelRotation)
}

func (a *API) orderRotation(w http.ResponseWriter, r *http.Request, do func(context.Context, RotationOrder, string) ([]Rotation, error)) {
	var order RotationOrder
	err := readJSON(r, &order)
	if err == nil && strings.TrimSpace(order.Domain) == "" {
		err = errors.New("rotation: it names no domain")
	}
	if err != nil {
		badRequest(w, err)
		return
	}
	// A client that leaves breaks off no step.
	list, err := do(context.WithoutCancel(r.Context()), order, actor(r.Context()))
	a.answer(w, RotationList{list}, err)
}
