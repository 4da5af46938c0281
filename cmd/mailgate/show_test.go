package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/dnsview"
	"mailgate/internal/preflight"
	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
)

func TestPairFindings(t *testing.T) {
	report := func(codes ...string) *preflight.Report {
		r := &preflight.Report{}
		for _, code := range codes {
			check, about, _ := strings.Cut(code, "-")
			f := preflight.Finding{Check: preflight.Check(check), Code: code, Status: preflight.Fail}
			if check == "spf" {
				f.Address, f.Code, _ = strings.Cut(about, "/")
			}
			r.Findings = append(r.Findings, f)
		}
		return r
	}
	for _, tt := range []struct {
		name      string
		then, now *preflight.Report
		want      string
	}{
		{"mended", report("dkim-missing"), report("dkim-ok"), "dkim-missing|dkim-ok"},
		{"the same code goes together", report("dkim-a", "dkim-b"), report("dkim-b"), "dkim-a| dkim-b|dkim-b"},
		{"one more now", report("dkim-a"), report("dkim-a", "dkim-b"), "dkim-a|dkim-a |dkim-b"},
		{"by address", report("spf-192.0.2.1/fail", "spf-192.0.2.2/fail"), report("spf-192.0.2.2/ok", "spf-192.0.2.1/soft"), "fail|soft fail|ok"},
		{"nothing then", nil, report("dkim-a"), "|dkim-a"},
		{"nothing now", report("dkim-a"), nil, "dkim-a|"},
	} {
		var got []string
		for _, pair := range pairFindings(tt.then, tt.now) {
			var codes [2]string
			for i, f := range []*preflight.Finding{pair.then, pair.now} {
				if f != nil {
					codes[i] = f.Code
				}
			}
			got = append(got, codes[0]+"|"+codes[1])
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, strings.Join(got, " "), tt.want)
		}
	}
}

// hostile is what a sender or a name server might want a terminal to do.
const hostile = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe\r\nNext: rm -rf /"

// TestHostileTextStaysText: nothing from outside reaches the terminal as a control
// character or begins a line of its own.
func TestHostileTextStaysText(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	report := &preflight.Report{Checked: at, Findings: []preflight.Finding{{
		Check: preflight.DKIM, Code: "dkim-missing", Status: preflight.Fail, Name: "a.example", Selector: hostile, Text: hostile,
		Evidence: []dnsview.Observation{{Server: hostile, Name: hostile, Type: "TXT", Rcode: "NOERROR", Records: []string{hostile}, Error: hostile}},
	}}}
	then, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	d := quarantine.Detail{
		Message: quarantine.Message{
			ID: "q7f3a", From: hostile, Sender: hostile, Subject: hostile, MessageID: hostile, User: hostile, Now: "refuse", Why: hostile,
			Recipients: []quarantine.Recipient{{Address: hostile, State: spool.Held, Reason: spool.Refused, Reply: hostile}},
		},
		Header: "Subject: x\x1b[2J\r\nX-\x1b: " + "y\r\n", Then: then, Report: report,
		Log: []quarantine.Entry{{ID: "q7f3a", Recipient: hostile, Actor: hostile, Reason: hostile, Where: hostile}},
	}
	for _, columns := range []string{"40", "80", "120"} {
		t.Setenv("COLUMNS", columns)
		var b strings.Builder
		printDetail(&b, d, showFlags{}, at)
		printPage(&b, quarantine.Page{Messages: []quarantine.Message{d.Message}}, true, at)
		for _, line := range strings.Split(b.String(), "\n") {
			if strings.ContainsAny(line, "\x1b\x07\r\u202e") || strings.HasPrefix(line, "Next: rm") {
				t.Errorf("%s columns: %q", columns, line)
			}
		}
		if n := strings.Count(b.String(), "\nNext: "); n != 1 {
			t.Errorf("%s columns: %d next steps", columns, n)
		}
	}
}

// TestShowForeign: mail that no key signs says what that means, and what to do, though
// DNS was not asked.
func TestShowForeign(t *testing.T) {
	for _, test := range []struct{ from, code, want string }{
		{"ann@example.org", "dkim-no-key", "add a key for the domain"},
		{"", "from-unusable", "From     (not usable)"},
		{"", "from-unusable", "Next: no key can sign it; send it unsigned: mailgate quarantine release q7f3a --anyway"},
	} {
		var b strings.Builder
		printDetail(&b, quarantine.Detail{Message: quarantine.Message{ID: "q7f3a", From: test.from, Now: "foreign",
			Recipients: []quarantine.Recipient{{State: spool.Held, Reason: spool.Foreign, Codes: []string{test.code}}},
		}}, showFlags{}, time.Now())
		for _, want := range []string{test.want, "What it means: mailgate explain " + test.code + "\n"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("nothing of %q in\n%s", want, b.String())
			}
		}
	}
}

// TestNotes: what keeps a message from its end is shown with it, and under a list.
func TestNotes(t *testing.T) {
	var b strings.Builder
	note := "nobody to return it to"
	printNotes(&b, []quarantine.Message{{ID: "q7f3a", Note: note}, {ID: "q7f3b"}, {ID: "q7f3c", Note: note}})
	if got, want := b.String(), "! q7f3a, q7f3c: nobody to return it to\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	b.Reset()
	printDetail(&b, quarantine.Detail{Message: quarantine.Message{ID: "q7f3a", Now: "refuse", Note: note}}, showFlags{}, time.Now())
	if !strings.Contains(b.String(), "       ! nobody to return it to\n") {
		t.Errorf("not shown:\n%s", b.String())
	}
}

// TestShowNamesTheHeldOnly: of what came through the milter, those that left at once
// aren't known.
func TestShowNamesTheHeldOnly(t *testing.T) {
	for source, want := range map[string]bool{"milter": true, "relay": false} {
		var b strings.Builder
		printDetail(&b, quarantine.Detail{Message: quarantine.Message{ID: "q7f3a", Source: source}}, showFlags{}, time.Now())
		if strings.Contains(b.String(), "other recipients, if there were any, were not held") != want {
			t.Errorf("%s:\n%s", source, b.String())
		}
	}
}

// TestShowLogIsWhole: also what is too much for one answer, the oldest first.
func TestShowLogIsWhole(t *testing.T) {
	entry := func(n int64) quarantine.Entry {
		return quarantine.Entry{N: n, ID: "q0000", Actor: fmt.Sprint("actor", n)}
	}
	f := &fakeAPI{log: []quarantine.Entry{entry(1), entry(2), entry(3), entry(4), entry(5)}, page: 2}
	_, out, errOut := f.runWith(t, t.Context(), "show", "q0000", "--log")
	var at []int
	for n := range 5 {
		at = append(at, strings.Index(out, fmt.Sprint("actor", n+1)))
	}
	if strings.Count(out, "\n") != 6 || at[0] < 0 || !slices.IsSorted(at) {
		t.Errorf("%s\n%s", out, errOut)
	}
	if _, out, _ = f.runWith(t, t.Context(), "show", "q0000"); !strings.Contains(out, "of 2 entries or more (all: --log)") || !strings.Contains(out, "actor5") {
		t.Errorf("the short log:\n%s", out)
	}
}

// TestNextStepIsLast: whatever the message, its last line says what to do.
func TestNextStepIsLast(t *testing.T) {
	for _, tt := range []struct {
		now  string
		auto bool
		want string
	}{
		{"pass", true, "Next: it leaves by itself; at once: mailgate quarantine release q7f3a"},
		{"pass", false, "hold.auto_release is off: it doesn't leave by itself"}, {"pass", false, "Next: mailgate quarantine release q7f3a"},
		{"refuse", true, "recheck q7f3a"}, {"unknown", true, "recheck q7f3a"}, {"foreign", true, "--anyway"}, {"", true, "nothing to do"},
	} {
		var b strings.Builder
		d := quarantine.Detail{Message: quarantine.Message{ID: "q7f3a", Now: tt.now}, AutoRelease: tt.auto}
		printDetail(&b, d, showFlags{}, time.Now())
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, "Next: ") || !strings.Contains(last, tt.want) {
			t.Errorf("now %q: the last line is %q, want %q in it", tt.now, last, tt.want)
		}
	}
}

// TestNotAskedAgain: evidence of the same moment isn't shown as news.
func TestNotAskedAgain(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	report := func(at time.Time) *preflight.Report { return &preflight.Report{Checked: at} }
	then, err := json.Marshal(report(at))
	if err != nil {
		t.Fatal(err)
	}
	for now, want := range map[time.Time]bool{at: true, at.Add(time.Second): false} {
		var b strings.Builder
		printThenAndNow(&b, paint{}, quarantine.Detail{Then: then, Report: report(now)}, showFlags{}, 120)
		if strings.Contains(b.String(), "NOW, not asked again yet") != want {
			t.Errorf("asked at %s, and at %s:\n%s", at, now, b.String())
		}
	}
}
