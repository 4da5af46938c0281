//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestDANE: TLSA records that DNSSEC vouches for decide. Where they don't fit, or
// can't be trusted, mail waits.
func TestDANE(t *testing.T) {
	w := newTLSWorld(t)
	right, other := selfSigned(t, "mx.right.test"), selfSigned(t, "mx.right.test")
	w.destination(t, "right", shows(right), tlsa("_25._tcp.mx", right))
	w.destination(t, "mismatch", shows(other), tlsa("_25._tcp.mx", right))
	w.destination(t, "bogus", shows(right), brokenTrust("_tcp.mx")...)
	w.zones["_tcp.mx.bogus.test"] = []string{tlsa("_25", right)}
	w.destination(t, "stripped", nil, tlsa("_25._tcp.mx", right))
	w.destination(t, "unsigned", shows(w.ca.sign(t, "mx.unsigned.test", time.Hour)), tlsa("_25._tcp.mx", right))
	w.unsigned = []string{"unsigned.test"}
	w.start(t)

	names := []string{"right", "mismatch", "bogus", "stripped", "unsigned"}
	for _, name := range names {
		w.submit(t, name)
	}
	w.arrives(t, "right", "TLSv1.3, verified")
	w.waits(t, "mismatch", "policy dane-only", "fits none of the TLSA records")
	w.waits(t, "bogus", "TLSA", "SERVFAIL")
	w.waits(t, "stripped", "policy dane-only", "STARTTLS")
	w.arrives(t, "unsigned", "TLSv1.3, not verified")
	becomes(t, "policy of right.test", "dane-only by dane", func() string {
		p := w.policy(t, "right")
		return p.InForce.Level + " by " + p.InForce.Source
	})
	for name, want := range map[string]struct {
		exit  int
		words []string
	}{
		"right":    {0, []string{"TLSA         3 1 1 ", "✓ policy ", "Nothing needs to be done"}},
		"mismatch": {1, []string{"✗ policy ", "fits none of the TLSA records", "has to mend the certificate or the records"}},
		"bogus":    {2, []string{"✗ not probed ", "SERVFAIL", "No server could be probed"}},
		"stripped": {1, []string{"✗ STARTTLS     not offered", "strips STARTTLS"}},
	} {
		text, exit := "", 0
		becomes(t, "exit code of tls probe "+name+".test", fmt.Sprint(want.exit), func() string {
			text, exit = w.gate.run(t, "tls", "probe", name+".test")
			return fmt.Sprint(exit)
		})
		for _, part := range want.words {
			if !strings.Contains(text, part) {
				t.Errorf("tls probe %s.test: want %q in\n%s", name, part, text)
			}
		}
	}

	// Nothing is known of DNSSEC without dns.validating.
	w.gate.stop()
	w.unvalidated = true
	w.configure(t)
	w.serve(t)
	for _, name := range names[1:4] {
		becomes(t, "policy of "+name+".test without dns.validating", "may", func() string { return w.policy(t, name).InForce.Level })
	}
	w.gate.run(t, "queue", "flush")
	w.arrives(t, "mismatch", "TLSv1.3, not verified")
}
