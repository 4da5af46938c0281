package preflight

import (
	"encoding/json"
	"flag"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestJSON keeps the names in evidence and --format json stable.
func TestJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Date(2026, 11, 21, 16, 22, 3, 0, time.UTC)
		dns := newFakeDNS(goodZone, noKey+`panel mail._domainkey.example.com TXT "v=DKIM1; k=rsa; p={KEY}"`+"\n"+
			`example.com TXT "v=spf1 include:_spf.example.net ~all"
_spf.example.net TXT "v=spf1 ip4:198.51.100.0/24 -all"`)
		dns.now = func() time.Time { return at }
		r := New(dns, Options{Now: dns.now}).Check(t.Context(), goodIdentity())
		for i := range r.Findings { // the evidence of one finding will do
			if i > 0 {
				r.Findings[i].Evidence = nil
			}
		}
		got, err := json.MarshalIndent(struct {
			Report      *Report      `json:"report"`
			Predictions []Prediction `json:"predictions"`
		}{r, []Prediction{Predict(Google, r, Extra{}), Predict(Other, r, Extra{})}}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		const golden = "testdata/report.json"
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("the report's JSON has changed (go test -update rewrites %s):\n%s", golden, got)
		}
		var back Report
		if err := json.Unmarshal(mustMarshal(t, r), &back); err != nil || back.Facts.SPF.Result != r.Facts.SPF.Result || back.Facts.DKIM[0].Valid != No {
			t.Errorf("comes back as %+v, %v", back, err)
		}
	})
}

func mustMarshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
