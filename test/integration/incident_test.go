//go:build integration

package integration

import (
	"strings"
	"testing"
)

// The three incidents of the design, from submission to arrival. The third one,
// TLS with one destination, is not played here: mailgate sets no TLS policy for
// Postfix yet.

// TestIncidentKeyOnlyInPanel: the hosting panel has the key in its own zone; the
// name servers the world asks, at Cloudflare, don't.
func TestIncidentKeyOnlyInPanel(t *testing.T) {
	w := newWorld(t, plan{
		ours: []string{"panel.test"},
		publish: func(domain) []string {
			return []string{"@ MX 10 mx1.gate.test.", txt("@", "v=spf1 ip4:192.0.2.1 ~all")}
		},
		panel: complete,
	})
	const from, to = "ann@panel.test", "bob@gmail.com"
	message := compose(from, to, "panel", "Hello.\r\n")
	w.submit(t, from, []string{to}, message)
	w.gate.wantHeld(t, []string{to}, "refused", "dkim-only-on-local-dns")

	out, exit := w.gate.verdict(t, "check", "panel.test", "--to", "gmail.com")
	if exit != 1 {
		t.Errorf("check: exit %d, want 1", exit)
	}
	wantMentioned(t, out, "dkim-only-on-local-dns", "ada.ns.cloudflare.com", "5.7.26", "Cloudflare", "mail._domainkey", "v=DKIM1")

	w.dns.publish(t, "panel.test", complete(w.domains["panel.test"])...)
	w.wantSigned(t, "panel.test", w.receiver.only(t, to), message)
	w.gate.noneHeld(t)
	if out, exit := w.gate.verdict(t, "check", "panel.test", "--to", "gmail.com"); exit != 0 {
		t.Errorf("check after the mend: exit %d, want 0\n%s", exit, out)
	}
}

// TestIncidentNoSPF: no record lists the gateway's addresses. Both are named, and
// the mail waits until both are listed.
func TestIncidentNoSPF(t *testing.T) {
	const v4, v6 = "203.0.113.9", "2001:db8::9"
	w := newWorld(t, plan{ours: []string{"nospf.test"}, publish: unauthenticated, egress: []string{v4, v6}})
	const from, to = "ann@nospf.test", "bob@gmail.com"
	message := compose(from, to, "no SPF", "Hello.\r\n")
	w.submit(t, from, []string{to}, message)
	w.gate.wantHeld(t, []string{to}, "refused", "spf-missing")

	out, exit := w.gate.verdict(t, "check", "nospf.test", "--to", "gmail.com")
	if exit != 1 {
		t.Errorf("check: exit %d, want 1", exit)
	}
	wantMentioned(t, out, "spf-missing", "ip4:"+v4, "ip6:"+v6)

	w.dns.publish(t, "nospf.test", "@ MX 10 mx1.gate.test.", txt("@", "v=spf1 ip4:"+v4+" ~all"))
	eventually(t, "only the IPv6 address to be missing", func() bool {
		out, _ = w.gate.run(t, "check", "nospf.test", "--to", "gmail.com")
		return strings.Contains(out, "spf-ipv6-missing")
	})
	wantMentioned(t, out, v6)
	w.gate.onlyHeld(t)

	w.dns.publish(t, "nospf.test", "@ MX 10 mx1.gate.test.", txt("@", "v=spf1 ip4:"+v4+" ip6:"+v6+" ~all"))
	wantOriginal(t, w.receiver.only(t, to), message, 2)
	w.gate.noneHeld(t)
}

func wantMentioned(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("nothing is said of %q in\n%s", word, text)
		}
	}
}
