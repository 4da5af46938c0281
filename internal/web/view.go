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
