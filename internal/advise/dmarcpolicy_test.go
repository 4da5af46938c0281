package advise

import (
	"strings"
	"testing"

	"mailgate/internal/preflight"
)

func TestRepairedPolicy(t *testing.T) {
	passes := &preflight.Report{Facts: preflight.Facts{DKIM: []preflight.KeyFact{{Valid: preflight.Yes, Aligned: preflight.Yes}}}}
	for _, c := range []struct {
		txt    string
		report *preflight.Report
		want   string
		notes  int
	}{
		{"v=DMARC1 p=none", passes, "v=DMARC1; p=none; rua=mailto:postmaster@example.com", 1},
		{"v=DMARC1 p=reject rua=mailto:a@b.example,mailto:c@d.example", passes, "v=DMARC1; p=reject; rua=mailto:a@b.example,mailto:c@d.example", 2},
		{"v=DMARC1 p=reject", &preflight.Report{}, "v=DMARC1; p=none; rua=mailto:postmaster@example.com", 2},
		{"V=dmarc1; P=Quarantine; SP=none; pct=50", passes, "v=DMARC1; p=quarantine; sp=none; pct=50; rua=mailto:postmaster@example.com", 2},
		{`"v=DMARC1\; p=reject\; adkim=s"`, passes, "v=DMARC1; p=reject; adkim=s; rua=mailto:postmaster@example.com", 2},
		{"v=DMARC1; p=block", passes, "v=DMARC1; p=none; rua=mailto:postmaster@example.com", 2},
		{"v=DMARC1 p=none; rua=mailto:a@example.com, mailto:b@example.com", passes, "v=DMARC1; p=none; rua=mailto:a@example.com,mailto:b@example.com", 1},
		{"v=DMARC1, p=reject, rua=mailto:a@example.com", passes, "v=DMARC1; p=reject; rua=mailto:a@example.com", 2},
		{"v=DMARC1, p=reject, rua=mailto:a@example.com", &preflight.Report{}, "v=DMARC1; p=none; rua=mailto:a@example.com", 2},
		{"v=DMARC1:p=quarantine: rua=mailto:p=1@example.com:", passes, "v=DMARC1; p=quarantine; rua=mailto:p=1@example.com", 2},
		{"v=DMARC1 p=rejct sp=non; adkim=strict; rua=a@example.com", passes, "v=DMARC1; p=none; rua=mailto:a@example.com", 2},
		{"v=DMARC1 p=none; rua=mailto: a@example.com mailto:b@", passes, "v=DMARC1; p=none; rua=mailto:a@example.com", 2},
		{"p = reject; v=DMARC1", passes, "v=DMARC1; p=reject; rua=mailto:postmaster@example.com", 2},
		{"v=DMARC1; sp=reject", passes, "v=DMARC1; p=none; sp=reject; rua=mailto:postmaster@example.com", 1},
		{"v=DMARC1", passes, "v=DMARC1; p=none; rua=mailto:postmaster@example.com", 1},
	} {
		a := adviser{report: c.report}
		got, notes := a.repaired(c.txt, "_dmarc.example.com")
		if got != c.want || len(notes) != c.notes {
			t.Errorf("%s:\ngot  %s\nwant %s\n%q", c.txt, got, c.want, notes)
		}
		checkReadable(t, got)
	}
}

// Of several records the strictest stays, but never one that our own mail fails by:
// today receivers take none.
func TestOneOfSeveral(t *testing.T) {
	passes := &preflight.Report{Facts: preflight.Facts{SPF: preflight.SPFFact{Result: preflight.SPFPass, Aligned: preflight.Yes}}}
	for _, c := range []struct {
		records string
		report  *preflight.Report
		want    string
	}{
		{"v=DMARC1; p=none|v=DMARC1; p=reject|v=DMARC1; p=quarantine; sp=reject", passes, "v=DMARC1; p=reject"},
		{"v=DMARC1; p=none; pct=1|v=DMARC1; p=none", passes, "v=DMARC1; p=none; pct=1"},
		{"v=DMARC1; sp=reject|v=DMARC1; P=QUARANTINE", passes, "v=DMARC1; P=QUARANTINE"},
		{"v=DMARC1; p=reject|v=DMARC1; p=none", &preflight.Report{}, "v=DMARC1; p=none"},
		{"v=DMARC1; p=reject|v=DMARC1; p=quarantine; rua=mailto:a@example.com", &preflight.Report{}, "v=DMARC1; p=none; rua=mailto:a@example.com"},
	} {
		a := adviser{report: c.report}
		if got, notes := a.oneOf(strings.Split(c.records, "|"), "_dmarc.example.com"); got != c.want || len(notes) == 0 {
			t.Errorf("of %s: %q, %q", c.records, got, notes)
		}
	}
}

func TestDMARCPath(t *testing.T) {
	for txt, want := range map[string]string{
		"v=DMARC1; p=none; rua=mailto:a@b":       "p=quarantine|p=reject",
		"v=DMARC1; p=none":                       "Add rua=|p=quarantine|p=reject",
		"v=DMARC1; p=quarantine; rua=mailto:a@b": "p=reject",
		"v=DMARC1; p=reject; rua=mailto:a@b":     "",
	} {
		var got []string
		for i, next := range dmarcPath(txt) {
			if word := strings.Split(want, "|")[i]; strings.HasPrefix(next, word) {
				got = append(got, word)
			}
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s: %q", txt, dmarcPath(txt))
		}
	}
}

// Whatever is repaired is a record that counts, and isn't changed by another repair.
func FuzzRepairedPolicy(f *testing.F) {
	f.Add("v=DMARC1 p=reject rua=mailto:a@b.example")
	f.Add(`"V=DMARC1\;P=none`)
	f.Add("p=p=p=reject;sp=;rua=,,;fo=1:d:s")
	f.Fuzz(func(t *testing.T, txt string) {
		a := adviser{report: &preflight.Report{Facts: preflight.Facts{SPF: preflight.SPFFact{Result: preflight.SPFPass, Aligned: preflight.Yes}}}}
		got, _ := a.repaired(txt, "_dmarc.example.com")
		if !strings.HasPrefix(got, "v=DMARC1; p="+policyOf(txt)+"; ") {
			t.Fatalf("%q gives %q", txt, got)
		}
		checkReadable(t, got)
		if again, _ := a.repaired(got, "_dmarc.example.com"); again != got {
			t.Errorf("%q gives %q, and that %q", txt, got, again)
		}
	})
}

// checkReadable has receivers read every tag of a record.
func checkReadable(t *testing.T, record string) {
	t.Helper()
	if !preflight.DMARCCounts(record) {
		t.Errorf("%q counts for nothing", record)
	}
	for _, tag := range preflight.ExplainDMARC(record) {
		if tag.Fault {
			t.Errorf("%q: %s=%s %s", record, tag.Tag, tag.Value, tag.Meaning)
		}
	}
}
