package preflight

import "testing"

func TestSPFTerms(t *testing.T) {
	good := []string{
		"v=spf1", "v=spf1 ", "V=SPF1 -all", "v=spf1  a  mx -ALL", "v=spf1 a:example.com/24//64 mx//64 a/24 ?ptr ptr:example.com",
		"v=spf1 ip4:203.0.113.9 ip4:203.0.113.0/24 ip6:2001:db8::/32 ip6:::1 +IP4:192.0.2.1",
		"v=spf1 include:_spf.example.com exists:%{ir}.%{v}._spf.%{d2} redirect=_spf.example.com exp=why.%{d}",
		"v=spf1 unknown-modifier=whatever/x:y -all",
	}
	for _, record := range good {
		if _, err := spfTerms(record); err != nil {
			t.Errorf("%q: %v", record, err)
		}
	}
	bad := []string{
		"ipv4:203.0.113.9", "ip4:203.0.113", "ip4:203.0.113.9/33", "ip4:203.0.113.9/", "ip4:2001:db8::1", "ip6:203.0.113.9", "ip4",
		"ip4:203.0.113.9,203.0.113.10", "ip4=203.0.113.9x -al", "all:x", "-all.", "include", "include:", "include=x include", "a:", "a/33", "a//129", "mx:x/024",
		"exists", "ptr:", "redirect=a redirect=b", "~", "-", "=x", "1a=x y", "–all",
	}
	for _, terms := range bad {
		if got, err := spfTerms("v=spf1 " + terms); err == nil {
			t.Errorf("%q is read as %+v", terms, got)
		}
	}
}

func FuzzSPFRecord(f *testing.F) {
	f.Add("v=spf1 ip4:203.0.113.0/24 ip6:2001:db8::/32 a:example.com/24//64 mx include:_spf.example.com exists:%{i}.x ~all")
	f.Add("v=spf1 redirect=_spf.example.com exp=x")
	f.Add("v=spf1 +all -ip4:0.0.0.0/0 ? = : /")
	f.Fuzz(func(t *testing.T, s string) {
		terms, err := spfTerms(s)
		if err == nil {
			allowsEverybody(terms)
		}
		if isSPF(s) && !looksLikeSPF(s) {
			t.Errorf("%q is SPF but doesn't look like it", s)
		}
	})
}
