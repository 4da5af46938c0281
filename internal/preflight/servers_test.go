package preflight

import "testing"

// A sentence names only servers that said so, and beside them those that were silent.
func TestSentencesNameWhoAnswered(t *testing.T) {
	for name, c := range map[string]struct{ zone, code, want string }{
		"both have it": {"", "dkim-ok", "The published key is the one that signs on ns1.host.example and ns2.host.example."},
		"one is lame": {"lame ns2", "dkim-ok",
			"The published key is the one that signs on ns1.host.example (no answer from ns2.host.example)."},
		"missing, and one is lame": {noKey + "lame ns1", "dkim-missing",
			"No key is published at mail._domainkey.example.com on ns2.host.example (no answer from ns1.host.example)."},
		"behind an alias": {noKey + "mail._domainkey.example.com CNAME key.example.com\n" + `key.example.com TXT "v=DKIM1; p={KEY}"` + "\nlame ns1", "dkim-ok",
			"The published key is the one that signs on ns2.host.example (no answer from ns1.host.example)."},
	} {
		t.Run(name, func(t *testing.T) {
			f, found := check(t, newFakeDNS(goodZone, c.zone), goodIdentity()).Find(c.code)
			if !found || f.Text != c.want {
				t.Errorf("got  %q\nwant %q", f.Text, c.want)
			}
		})
	}
}
