package preflight

import (
	"slices"
	"strings"
	"testing"

	"mailgate/internal/mail"
)

func TestWalkNames(t *testing.T) {
	tests := map[mail.Domain]string{
		"com":                   "com",
		"example.com":           "example.com com",
		"a.b.c.example.com":     "a.b.c.example.com b.c.example.com c.example.com example.com com",
		"h.g.f.e.d.c.b.a":       "h.g.f.e.d.c.b.a g.f.e.d.c.b.a f.e.d.c.b.a e.d.c.b.a d.c.b.a c.b.a b.a a",
		"k.j.i.h.g.f.e.d.c.b.a": "k.j.i.h.g.f.e.d.c.b.a g.f.e.d.c.b.a f.e.d.c.b.a e.d.c.b.a d.c.b.a c.b.a b.a a",
	}
	for domain, want := range tests {
		var got []string
		for _, name := range walkNames(domain) {
			got = append(got, string(name))
		}
		if !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s: %q, want %s", domain, got, want)
		}
	}
}

// A single label is its own registry. That it gives no answer about itself is not
// "none".
func TestSingleLabelUnreachable(t *testing.T) {
	id := goodIdentity()
	id.From = "test"
	found := check(t, newFakeDNS(goodZone, "fault _dmarc.test TXT"), id).Of(DMARC)
	if len(found) != 1 || found[0].Code != "dns-unreachable" || found[0].Status != Unknown {
		t.Errorf("%+v", found)
	}
	if r := check(t, newFakeDNS(goodZone, "fault _dmarc.com TXT"), goodIdentity()); r.Worst() != Pass {
		t.Errorf("a registry that gives no answer made all else unknown:\n%s", r)
	}
}

// TestOrganisation checks how both ways find the organisational domain, and the
// policy that follows.
func TestOrganisation(t *testing.T) {
	tests := []struct {
		name      string
		zone      string
		from      mail.Domain
		tree, psl mail.Domain
		policy    Policy // "" for none
		of        mail.Domain
	}{
		{"own record", `_dmarc.example.com TXT "v=DMARC1; p=reject"`, "example.com", "example.com", "example.com", PolicyReject, "example.com"},
		{"sub-domain policy", `_dmarc.example.com TXT "v=DMARC1; p=reject; sp=none"
a.example.com A 192.0.2.1`, "a.example.com", "example.com", "example.com", PolicyNone, "example.com"},
		{"sub-domain without sp", `_dmarc.example.com TXT "v=DMARC1; p=quarantine"
a.example.com A 192.0.2.1`, "a.example.com", "example.com", "example.com", PolicyQuarantine, "example.com"},
		{"sub-domain's own record", `_dmarc.example.com TXT "v=DMARC1; p=reject"
_dmarc.a.example.com TXT "v=DMARC1; p=none"`, "a.example.com", "example.com", "example.com", PolicyNone, "a.example.com"},
		{"sub-domain that doesn't exist: old receivers don't know np", `_dmarc.example.com TXT "v=DMARC1; p=none; sp=none; np=reject"
other.example.com A 192.0.2.1`, "gone.example.com", "example.com", "example.com", PolicyReject, "example.com"},
		{"sub-domain that exists", `_dmarc.example.com TXT "v=DMARC1; p=none; np=reject"
a.example.com A 192.0.2.1`, "a.example.com", "example.com", "example.com", PolicyNone, "example.com"},
		{"psd=n below", `_dmarc.a.example.com TXT "v=DMARC1; p=none; psd=n"
_dmarc.example.com TXT "v=DMARC1; p=reject"`, "b.a.example.com", "a.example.com", "example.com", PolicyReject, "example.com"},
		{"psd=y above", `_dmarc.example.com TXT "v=DMARC1; p=quarantine; psd=y"
a.b.example.com A 192.0.2.1`, "a.b.example.com", "b.example.com", "example.com", PolicyQuarantine, "example.com"},
		{"private public suffix", `_dmarc.co.uk TXT "v=DMARC1; p=reject; psd=y"
shop.co.uk A 192.0.2.1`, "shop.co.uk", "shop.co.uk", "shop.co.uk", PolicyReject, "co.uk"},
		{"nothing", "", "a.example.com", "a.example.com", "example.com", "", ""},
		{"nested records: the highest counts", `_dmarc.b.example.com TXT "v=DMARC1; p=none"
_dmarc.example.com TXT "v=DMARC1; p=reject"
a.b.example.com A 192.0.2.1`, "a.b.example.com", "example.com", "example.com", PolicyReject, "example.com"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			dns := newFakeDNS(c.zone)
			id := Identity{From: c.from, MailFrom: c.from}
			f := check(t, dns, id).Facts.DMARC
			if f.TreeOrg != c.tree || f.SuffixOrg != c.psl || f.Policy != c.policy || f.Domain != c.of {
				t.Errorf("%+v, want %s, %s, %s of %s", f, c.tree, c.psl, c.policy, c.of)
			}
		})
	}
}

func TestAlignment(t *testing.T) {
	const plain = `_dmarc.example.com TXT "v=DMARC1; p=none"` + "\n"
	tests := []struct {
		name, zone string
		from, d    mail.Domain
		want       Tri
	}{
		{"same", plain, "example.com", "example.com", Yes},
		{"sub-domain", plain, "a.example.com", "example.com", Yes},
		{"sister", plain, "a.example.com", "b.example.com", Yes},
		{"other", plain, "example.com", "example.net", No},
		{"ending alike", plain, "example.com", "badexample.com", No},
		{"strict", `_dmarc.example.com TXT "v=DMARC1; p=none; adkim=s"`, "example.com", "a.example.com", No},
		{"strict, same", `_dmarc.example.com TXT "v=DMARC1; p=none; adkim=s"`, "example.com", "example.com", Yes},
		{"same suffix", plain, "a.github.io", "b.github.io", No},
		{"aligned by the list, not by the walk", plain + `_dmarc.b.example.com TXT "v=DMARC1; p=none; psd=n"`, "a.example.com", "b.example.com", No},
		{"walk not known", plain + "fault _dmarc.b.example.com TXT", "example.com", "b.example.com", Maybe},
		{"no record at all", "", "a.example.com", "example.com", Yes},
		{"registry doesn't answer", plain + "fault _dmarc.com TXT", "a.example.com", "example.com", Yes},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			id := Identity{From: c.from, MailFrom: c.from, Keys: []Key{{Domain: c.d, Selector: "s"}}}
			r := check(t, newFakeDNS(c.zone), id)
			if got := r.Facts.DKIM[0].Aligned; got != c.want {
				t.Errorf("aligned: %s, want %s\n%s", got, c.want, r)
			}
		})
	}
}
