package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"mailgate/internal/preflight"
)

// Keys are those that sign, and those that did or will.
type Keys interface {
	Keys(ctx context.Context, q KeyQuery) (KeyList, error)
}

// KeyQuery says which keys to list.
type KeyQuery struct {
	Domain string // whose mail they sign, or as which they sign; empty: all
	NoDNS  bool   // what is published is not asked for
}

// KeyList is what GET /v1/keys answers. It holds nothing of a private key.
type KeyList struct {
	Source string   `json:"source"` // "gateway", or "configuration" where none was asked
	Keys   []Key    `json:"keys"`
	Notes  []string `json:"notes,omitempty"`
}

// KeyState is what a key is for.
type KeyState string

const (
	KeyActive     KeyState = "active"      // signs
	KeyUnused     KeyState = "unused"      // would sign, but isn't published while another key is, or can't be read
	KeyStandby    KeyState = "standby"     // signs only while no other key of its kind is valid
	KeyStandingIn KeyState = "standing-in" // is on standby, and signs
	KeyPublishing KeyState = "publishing"  // is to sign once it is published
	KeyRetired    KeyState = "retired"     // was replaced, and is on standby for its grace
	KeyRevoking   KeyState = "revoking"    // was replaced, and its record is to be revoked
	KeyRevoked    KeyState = "revoked"     // was replaced, and its record is revoked
)

// Signs reports whether mail is signed with a key of this state.
func (s KeyState) Signs() bool { return s == KeyActive || s == KeyStandingIn }

// Key is one signing key.
type Key struct {
	Domain    string    `json:"domain"` // d=
	Selector  string    `json:"selector"`
	State     KeyState  `json:"state"`
	Why       string    `json:"why,omitempty"`
	Algorithm string    `json:"algorithm,omitempty"` // "RSA 2048"; empty: the key can't be read
	Name      string    `json:"name"`                // of its record
	Record    string    `json:"record,omitempty"`    // to be published
	File      string    `json:"file"`
	Made      time.Time `json:"made,omitzero"` // the file, last
	For       []string  `json:"for"`           // From domains as configured: "example.com", "*.example.com"

	Match    preflight.Tri       `json:"match"`        // what is published is its record
	Servers  int                 `json:"name_servers"` // authoritative ones that were asked; 0: only resolvers, or none
	Serving  int                 `json:"serving"`      // of them, those that have its record
	Findings []preflight.Finding `json:"findings,omitempty"`

	Warnings []string `json:"warnings,omitempty"`
	Problem  string   `json:"problem,omitempty"` // what keeps it from being read
}

func (a *API) keyRoutes(mux *http.ServeMux) {
	if a.o.Keys == nil {
		return
	}
	mux.HandleFunc("GET /v1/keys", knows(a.keys, "domain", "dns"))
}

func (a *API) keys(w http.ResponseWriter, r *http.Request) {
	q, err := parseKeyQuery(r)
	if err != nil {
		badRequest(w, err)
		return
	}
	list, err := a.o.Keys.Keys(r.Context(), q)
	a.answer(w, list, err)
}

func parseKeyQuery(r *http.Request) (KeyQuery, error) {
	q := KeyQuery{Domain: r.URL.Query().Get("domain")}
	switch dns := r.URL.Query().Get("dns"); dns {
	case "", "yes":
	case "no":
		q.NoDNS = true
	default:
		return q, fmt.Errorf("dns=%s: it is yes or no", dns)
	}
	return q, nil
}
