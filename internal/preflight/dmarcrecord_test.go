package preflight

import (
	"slices"
	"testing"
)

func TestParseDMARC(t *testing.T) {
	r, err := parseDMARC("v=DMARC1; p=Reject; sp=quarantine; np=none; adkim=s; aspf=S; t=y; psd=n; " +
		"rua=mailto:a@example.com, mailto:b@example.net!10m; ruf=mailto:c@example.com; fo=1:d:s; unknown=x;")
	if err != nil || r.Policy != PolicyReject || r.SubPolicy != PolicyQuarantine || r.NonExistent != PolicyNone ||
		!r.StrictDKIM || !r.StrictSPF || !r.Testing || r.PSD != "n" || r.Percent != 100 ||
		len(r.Reports) != 2 || len(r.Failures) != 1 || !slices.Equal(r.Options, []string{"1", "d", "s"}) || len(r.Problems) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, s := range []string{"", "v=DMARC1", "p=none; v=DMARC1", "v=DMARC2; p=none", "v=dmarc1; p=none", "v=DMARC1; p=block", "v=DMARC1; rua=nobody", "v=DMARC1 p=none"} {
		if r, err := parseDMARC(s); err == nil {
			t.Errorf("%q is read as %+v", s, r)
		}
	}
	problems := map[string]int{
		"v=DMARC1; p=none; pct=100": 0, "v=DMARC1; p=none; pct=0": 1, "v=DMARC1; p=none; pct=101": 1,
		"v=DMARC1; p=none; adkim=strict": 1, "v=DMARC1; p=none; rua=a@example.com": 1,
		"v=DMARC1; rua=mailto:a@example.com": 1, "v=DMARC1; p=none; broken": 1, "v=DMARC1;p=none;sp=x": 1,
	}
	for s, n := range problems {
		if r, err := parseDMARC(s); err != nil || len(r.Problems) != n {
			t.Errorf("%q: %q, %v, want %d problems", s, r.Problems, err, n)
		}
	}
}

func FuzzDMARCRecord(f *testing.F) {
	for _, s := range []string{
		"v=DMARC1; p=none", "v=DMARC1;p=reject;sp=none;np=quarantine;adkim=s;aspf=r;pct=20;rf=afrf;ri=3600;fo=0:1:d:s",
		"v = DMARC1 ; p = none ; rua=mailto:a@b,mailto:c@d!1k", "v=DMARC1; p=none; psd=y; t=y", "v=DMARC1 p=none", ";;;", "v=DMARC1; rua=x:y",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseDMARC(s)
		if err != nil {
			return
		}
		if !isDMARC(s) || r.Policy.strictness() < 0 || r.Percent < 0 || r.Percent > 100 {
			t.Errorf("%q is read as %+v", s, r)
		}
	})
}
