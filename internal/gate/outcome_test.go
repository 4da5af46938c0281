package gate

import (
	"encoding/json"
	"testing"

	"mailgate/internal/preflight"
)

func TestEvidence(t *testing.T) {
	if b, err := (&Outcome{}).Evidence(); b != nil || err != nil {
		t.Errorf("without a report: %s, %v", b, err)
	}
	b, err := (&Outcome{Report: &preflight.Report{From: "example.com"}}).Evidence()
	if err != nil {
		t.Fatal(err)
	}
	var kept preflight.Report
	if err := json.Unmarshal(b, &kept); err != nil || kept.From != "example.com" {
		t.Errorf("%s: %v", b, err)
	}
}
