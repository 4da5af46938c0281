package preflight

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
)

func TestTrySPF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS(goodZone, `example.com TXT "v=spf1 include:gone.example -all"
_spf.example.net TXT "v=spf1 ip4:203.0.113.0/24 -all"
again.example.net TXT "v=spf1 include:example.com -all"
fault silent.example.net TXT`)
		c := New(dns, Options{})
		for record, want := range map[string]string{
			"v=spf1 ip4:203.0.113.9 -all":                                 "",
			"v=spf1 include:_spf.example.net -all":                        "",
			"v=spf1 include:silent.example.net -all":                      "",
			"v=spf1 ip4:198.51.100.1 ~all":                                "203.0.113.9",
			"v=spf1 ip4:203.0.113.9 ip4:198.51.100.300":                   "198.51.100.300",
			"v=spf1 include:nothing.example.net -all":                     "nothing.example.net",
			"v=spf1 include:again.example.net -all":                       "includes itself",
			"v=spf1 a:1.example.net a:2.example.net a:3.example.net -all": "don't exist",
		} {
			got := c.TrySPF(context.Background(), goodIdentity(), record)
			if want == "" && got != "" || !strings.Contains(got, want) {
				t.Errorf("%s: %q, want %q", record, got, want)
			}
		}
	})
}
