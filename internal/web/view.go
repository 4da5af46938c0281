package web

import (
	"time"

	"mailgate/internal/quarantine"
)

// Problem is the body of every answer that isn't 200.
type Problem struct {
	Error      string  `json:"error"`
	Kind       Kind    `json:"kind,omitempty"`
	RetryAfter float64 `json:"retry_after,omitempty"` // seconds; the header has them rounded up
}

// Kind is why a request failed, in a word for programs.
type Kind string

const (
	KindRequest    Kind = "request"    // it can't be understood
	KindNotFound   Kind = "not_found"  // no such message or recipient
	KindMoved      Kind = "moved"      // somebody else moved it first
	KindDelivering Kind = "delivering" // the relay is delivering it right now: try again
	KindPaced      Kind = "paced"      // the release rate has no room: try again after RetryAfter
	KindRefused    Kind = "refused"    // not released: it would be refused
	KindForeign    Kind = "foreign"    // not released: no key signs for its author
	KindWaiting    Kind = "waiting"    // not released: DNS gives no answer
	KindNotTaken   Kind = "not_taken"  // the next server did not take it; it is held again
	KindNoAnswer   Kind = "no_answer"  // the next server can't be reached or broke off; it is held again
	KindConfigured Kind = "configured" // it is in the configuration file: change it there
	KindStopped    Kind = "stopped"    // the gateway or its store stops
)

// Status is what GET /v1/status answers.
type Status struct {
	Version string            `json:"version"`
	Mode    string            `json:"mode"`
	Config  string            `json:"config"`
	Started time.Time         `json:"started"`
	Domains []string          `json:"domains"`
	Counts  quarantine.Counts `json:"counts"`
	Store   StoreStatus       `json:"store"`

	Rotations []Rotation `json:"rotations"` // under way, without what they want published: GET /v1/rotations has that
}

// StoreStatus is the room the store takes, in bytes.
type StoreStatus struct {
	Used    int64  `json:"used"`              // what hold.max_bytes bounds
	Max     int64  `json:"max"`               // hold.max_bytes; 0: no bound
	File    int64  `json:"file"`              // on disk
	Full    bool   `json:"full"`              // mail that would be held is answered 452
	Refused uint64 `json:"refused"`           // messages so answered since the start
	Stopped bool   `json:"stopped,omitempty"` // the store has stopped: the rest isn't known
}

// Review is the body of a release or discard.
type Review struct {
	Reason     string   `json:"reason"`
	Recipients []string `json:"recipients,omitempty"` // empty: all held ones
	Anyway     bool     `json:"anyway,omitempty"`     // release although it would be refused
	Paced      bool     `json:"paced,omitempty"`      // a release of many: 429 where the release rate has no room

	// Since is when the release of many was ordered: what DNS was asked after that
	// need not be asked again for each message.
	Since time.Time `json:"since,omitzero"`
}

// RecheckOrder is the body of a re-check. Empty: everything.
type RecheckOrder struct {
	IDs    []string `json:"ids,omitempty"`    // the identities of these messages
	Domain string   `json:"domain,omitempty"` // this From domain
}

// RecheckLine is one line of a re-check's answer: Progress, or at the end the
// Result, or the Problem with how far it got.
type RecheckLine struct {
	Progress *quarantine.Rechecked `json:"progress,omitempty"`
	Result   *quarantine.Rechecked `json:"result,omitempty"`
	Problem  *Problem              `json:"problem,omitempty"`
}

// ReloadResult is what a reload says.
type ReloadResult struct {
	Notes []string `json:"notes"`
}
