package web

import (
	"time"

	"mailgate/internal/quarantine"
)

// Status is what GET /v1/status answers.
type Status struct {
	Version string            `json:"version"`
	Mode    string            `json:"mode"`
	Config  string            `json:"config"`
	Started time.Time         `json:"started"`
	Domains []string          `json:"domains"`
	Counts  quarantine.Counts `json:"counts"`
}

// Detail is what GET /v1/quarantine/{id} answers.
type Detail struct {
	quarantine.Detail
	Publish []Publish `json:"publish,omitempty"`
}

// Publish is one record that would mend a finding, in the form of the domain's DNS
// host.
type Publish struct {
	At       string   `json:"at"` // "Cloudflare"
	Type     string   `json:"type"`
	Name     string   `json:"name"`
	Value    string   `json:"value"`
	Replaces []string `json:"replaces,omitempty"` // values at that name that must go
	Notes    []string `json:"notes,omitempty"`
}

// Review is the body of a release or discard.
type Review struct {
	Reason     string   `json:"reason"`
	Recipients []string `json:"recipients,omitempty"` // empty: all held ones
	Anyway     bool     `json:"anyway,omitempty"`
}

// RecheckResult is what a re-check did.
type RecheckResult struct {
	Messages int `json:"messages"`
	Released int `json:"released"`
	Failed   int `json:"failed"`
}

// ReloadResult is what a reload says.
type ReloadResult struct {
	Notes []string `json:"notes"`
}
