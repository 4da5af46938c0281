//go:build integration

package notice

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// parsed is what python3's email package finds in a report.
type parsed struct {
	Type, Report string
	Header       map[string]string
	Parts        []string
	Text         string
	Message      map[string]string   // fields of the status part about the message
	Recipients   []map[string]string // and about each recipient
	Original     map[string]string   // the original header
	Defects      []string
}

func parse(t *testing.T, message []byte) parsed {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "testdata/parse.py")
	cmd.Stdin = bytes.NewReader(message)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("parse.py: %v\n%s", err, stderr.Bytes())
	}
	var p parsed
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatalf("parse.py said %q: %v", out, err)
	}
	return p
}

// TestPythonReads: another mail library finds the parts and fields of every report.
func TestPythonReads(t *testing.T) {
	for name, r := range reports(t) {
		t.Run(name, func(t *testing.T) {
			p := parse(t, r.Compose())
			if p.Type != "multipart/report" || p.Report != "delivery-status" || len(p.Parts) != 3 || len(p.Defects) != 0 {
				t.Fatalf("%+v", p)
			}
			if p.Parts[0] != "text/plain" || p.Parts[1] != "message/delivery-status" {
				t.Errorf("parts %v", p.Parts)
			}
			if want := r.subject(); p.Header["Subject"] != want {
				t.Errorf("subject %q, want %q", p.Header["Subject"], want)
			}
			if want := "<" + r.To.String() + ">"; p.Header["To"] != want && p.Header["To"] != want[1:len(want)-1] {
				t.Errorf("to %q, want %q", p.Header["To"], want)
			}
			if got := strings.ReplaceAll(p.Text, "\r\n", "\n"); got != strings.ReplaceAll(r.text(), "\r\n", "\n") {
				t.Errorf("text:\n%s\nwant\n%s", got, r.text())
			}
			if p.Message["Reporting-MTA"] != "dns; "+string(r.Hostname) || p.Message["Arrival-Date"] == "" {
				t.Errorf("of the message: %v", p.Message)
			}
			if len(p.Recipients) != len(r.Recipients) {
				t.Fatalf("recipients: %v", p.Recipients)
			}
			for i, to := range r.Recipients {
				got := p.Recipients[i]
				if got["Final-Recipient"] != typed(to.Address) || got["Status"] != to.Status || got["Action"] == "" {
					t.Errorf("recipient %d: %v", i, got)
				}
				if to.Diagnostic != "" && !to.ByHand && !strings.Contains(got["Diagnostic-Code"], ascii(to.Diagnostic)) {
					t.Errorf("diagnostic %q, want %q", got["Diagnostic-Code"], to.Diagnostic)
				}
			}
			if p.Original["Subject"] == "" || p.Original["From"] == "" {
				t.Errorf("original header: %v", p.Original)
			}
		})
	}
}
