package tlspolicy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mjl-/mox/mtasts"

	"mailgate/internal/mail"
)

// What demands nothing goes before what demands TLS, a tenth at once.
func TestSTSRoom(t *testing.T) {
	c := &stsCache{max: 100, known: map[mail.Domain]*stsEntry{}}
	count := func() (none, testing, enforced int) {
		for _, e := range c.known {
			switch e.worth() {
			case 0:
				none++
			case 1:
				testing++
			default:
				enforced++
			}
		}
		return none, testing, enforced
	}
	put := func(n int, kind string, policy *stsPolicy) {
		for i := range n {
			c.put(mail.Domain(fmt.Sprintf("%s%d.example", kind, i)), &stsEntry{policy: policy})
		}
	}
	put(60, "enforce", &stsPolicy{mode: mtasts.ModeEnforce})
	put(20, "testing", &stsPolicy{mode: mtasts.ModeTesting})
	put(21, "plain", nil)
	if none, testing, enforced := count(); none != 11 || testing != 20 || enforced != 60 {
		t.Errorf("%d, %d, %d; want ten without a policy gone, and one come", none, testing, enforced)
	}
	put(9, "more", &stsPolicy{mode: mtasts.ModeEnforce})
	put(20, "yet", &stsPolicy{mode: mtasts.ModeEnforce})
	if none, _, enforced := count(); none != 0 || enforced != 89 || len(c.known) > 100 {
		t.Errorf("%d without a policy, %d enforced, %d in all", none, enforced, len(c.known))
	}
	put(1000, "flood", &stsPolicy{mode: mtasts.ModeEnforce})
	if len(c.known) > 100 {
		t.Errorf("%d kept", len(c.known))
	}
}

func TestSTSIsShort(t *testing.T) {
	var b strings.Builder
	b.WriteString("version: STSv1\nmode: enforce\nmax_age: 86400\n")
	for i := range maxSTSHosts {
		fmt.Fprintf(&b, "mx: mx%d.%s.example.net\n", i, strings.Repeat("a", 40))
	}
	p, err := parseSTS(b.String())
	if err != nil {
		t.Fatal(err)
	}
	if p.shorten(); len(p.text) > shownSTS+len("…") || !strings.HasSuffix(p.text, "…") {
		t.Errorf("%d bytes kept", len(p.text))
	}
	b.WriteString("mx: one.example.net\n")
	if _, err := parseSTS(b.String()); err == nil {
		t.Error("more hosts than any domain has are taken")
	}
}
