package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// check says which key signs in the place of one that isn't published, and predicts by
// it.
func TestCheckSaysWhichKeySigns(t *testing.T) {
	p := newPlace(t)
	next := p.generate(t, "--selector", "next", "--no-dns")
	p.addKeys(t, `{ selector = "next", file = "example.com.next.pem" }`)
	const line = "mail (dkim-missing) does not sign: next does"
	if _, out := p.mailgate(t, "check", "example.com"); strings.Contains(out, "does not sign") || !strings.Contains(out, "550 5.7.26") {
		t.Errorf("while none is published:\n%s", out)
	}
	if err := p.dns.AddTXT(next.Name, next.Record); err != nil {
		t.Fatal(err)
	}
	_, out := p.mailgate(t, "check", "example.com")
	if !strings.Contains(out, line) || !strings.Contains(out, "✗ DKIM   mail") || !strings.Contains(out, "Gmail would take it") {
		t.Errorf("the screen lacks %q, or predicts a refusal\n%s", line, out)
	}
	_, out = p.mailgate(t, "check", "example.com", "--format", "json")
	var c struct {
		Notes  []string
		Report struct {
			Facts struct {
				DKIM []struct {
					Selector string
					Unused   bool
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		t.Fatal(err)
	}
	if keys := c.Report.Facts.DKIM; len(keys) != 2 || !keys[0].Unused || keys[1].Unused || len(c.Notes) != 1 || c.Notes[0] != line {
		t.Errorf("%+v, %q", keys, c.Notes)
	}
}
