package preflight

import (
	"testing"
)

func TestSPFLookupCounts(t *testing.T) {
	tests := []struct {
		name, zone     string
		id             func(*Identity)
		result         SPFResult
		lookups, voids int
	}{
		{"no lookup", `example.com TXT "v=spf1 ip4:203.0.113.9 -all"`, nil, SPFPass, 0, 0},
		{"include", `example.com TXT "v=spf1 include:a.example.net -all"
a.example.net TXT "v=spf1 ip4:203.0.113.0/24 -all"`, nil, SPFPass, 1, 0},
		{"mx hosts are not counted", `example.com TXT "v=spf1 mx a:gone.example.net -all"
example.com MX 10 mx2.example.com
example.com MX 20 mx3.example.com
mx2.example.com A 198.51.100.1
mx3.example.com A 198.51.100.2`, nil, SPFFail, 2, 1},
		{"ptr names are not counted", `example.com TXT "v=spf1 ptr -all"`, nil, SPFPass, 1, 0},
		{"redirect", `example.com TXT "v=spf1 redirect=a.example.net"
a.example.net TXT "v=spf1 a:x.example.net ~all"
x.example.net A 198.51.100.1`, nil, SPFSoftFail, 2, 0},
		{"a over IPv6", `example.com TXT "v=spf1 a:x.example.net -all"
x.example.net AAAA 2001:db8::9`, egress(v6), SPFPass, 1, 0},
		{"fault in an include", `example.com TXT "v=spf1 include:a.example.net -all"
fault a.example.net TXT`, nil, SPFTempError, 1, 0},
		{"fault behind the match", `example.com TXT "v=spf1 ip4:203.0.113.9 include:a.example.net -all"
fault a.example.net TXT`, nil, SPFPass, 0, 0},
		{"macro name that can't be asked", `example.com TXT "v=spf1 exists:%{l}..x ip4:203.0.113.9 -all"`, nil, SPFPass, 1, 1},
		{"local part is postmaster", `example.com TXT "v=spf1 exists:%{l}.at.%{o}.spf.example.com -all"
postmaster.at.example.com.spf.example.com A 127.0.0.1`, nil, SPFPass, 1, 0},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			r := diagnosis{zone: c.zone, id: c.id}.report(t)
			f := r.Of(SPF)[0]
			if got := r.Facts.SPF.Addresses[0].Result; got != c.result || f.Lookups != c.lookups || f.VoidLookups != c.voids {
				if c.result != SPFTempError || got != c.result {
					t.Errorf("%s with %d lookups, %d void, want %s, %d, %d\n%s", got, f.Lookups, f.VoidLookups, c.result, c.lookups, c.voids, r)
				}
			}
		})
	}
}

func TestSPFWorst(t *testing.T) {
	r := diagnosis{id: egress("203.0.113.9", v6, "198.51.100.1"), zone: `example.com TXT "v=spf1 ip4:203.0.113.9 ?ip6:2001:db8::9 ~all"`}.report(t)
	if f := r.Facts.SPF; f.Result != SPFSoftFail || f.Address != "198.51.100.1" || r.Facts.spfPasses() != No {
		t.Errorf("%+v", f)
	}
}
