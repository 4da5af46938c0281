package milter

import (
	"encoding/json"
	"testing"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
)

func TestWorst(t *testing.T) {
	out := &gate.Outcome{}
	if got := worst(out, "dkim"); got != "" {
		t.Errorf("without a report: %q", got)
	}
	report := `{"findings": [
		{"check": "dkim", "status": "pass"}, {"check": "dkim", "status": "fail"}, {"check": "dkim", "status": "warn"},
		{"check": "spf", "status": "unknown"}, {"check": "spf", "status": "warn"},
		{"check": "ptr", "status": "fail"}]}`
	if err := json.Unmarshal([]byte(report), &out.Report); err != nil {
		t.Fatal(err)
	}
	for check, want := range map[string]string{"dkim": "fail", "spf": "unknown", "dmarc": ""} {
		if got := worst(out, check); got != want {
			t.Errorf("%s: %q, want %q", check, got, want)
		}
	}
}

func TestRecipientsInLog(t *testing.T) {
	to := make([]mail.Address, 12)
	for i := range to {
		to[i] = mail.Address{Local: "a", Domain: "b.c"}
	}
	want := "<a@b.c> <a@b.c> <a@b.c> <a@b.c> <a@b.c> <a@b.c> <a@b.c> <a@b.c> <a@b.c> <a@b.c> and 2 more"
	if got := recipients(to); got != want {
		t.Errorf("got %q", got)
	}
}
