package main

import (
	"reflect"
	"testing"

	"mailgate/internal/config"
)

const allOfHold = `hostname = "mx1.example.com"
[hold]
auto_release = true
release_rate = 1
recheck = "2s"
notify_after = "3s"
max_age = "4s"
postmaster = "postmaster@example.com"
digest = "5s"
keep_bodies = "6s"
keep_log = "7s"
max_bytes = "8"
`

// Each key of [hold] reaches the quarantine, and all of them change live.
func TestHoldPolicy(t *testing.T) {
	cfg, err := config.Parse([]byte(allOfHold), "mailgate.toml")
	if err != nil {
		t.Fatal(err)
	}
	policy := reflect.ValueOf(holdPolicy(cfg))
	for i := range policy.NumField() {
		if policy.Field(i).IsZero() {
			t.Errorf("%s is not set", policy.Type().Field(i).Name)
		}
	}
	before, err := config.Parse([]byte("hostname = \"mx1.example.com\"\n"), "mailgate.toml")
	if err != nil {
		t.Fatal(err)
	}
	if notes := restartNeeded(before, cfg); len(notes) != 0 {
		t.Errorf("restart needed: %q", notes)
	}
}
