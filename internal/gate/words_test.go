package gate

import (
	"encoding/json"
	"testing"

	"mailgate/internal/mail"
)

func TestWorst(t *testing.T) {
	out := &Outcome{}
	if got := out.Worst("dkim"); got != "" {
		t.Errorf("without a report: %q", got)
	}
	report := `{"findings": [
		{"check": "dkim", "status": "fail", "code": "dkim-revoked", "unused": true},
		{"check": "dkim", "status": "pass", "code": "dkim-ok"}, {"check": "dkim", "status": "fail", "code": "dkim-missing"},
		{"check": "dkim", "status": "warn", "code": "dkim-testing"},
		{"check": "spf", "status": "unknown", "code": "dns-unreachable"}, {"check": "spf", "status": "warn", "code": "spf-neutral"},
		{"check": "dmarc", "status": "pass", "code": "dmarc-ok"},
		{"check": "ptr", "status": "fail", "code": "ptr-missing"}]}`
	if err := json.Unmarshal([]byte(report), &out.Report); err != nil {
		t.Fatal(err)
	}
	for check, want := range map[string]string{"dkim": "missing", "spf": "dns-unreachable", "dmarc": "pass", "soa": ""} {
		if got := out.Worst(check); got != want {
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
	if got := Paths(to); got != want {
		t.Errorf("got %q", got)
	}
}
