package main

import (
	"fmt"
	"strings"
	"testing"

	"mailgate/internal/config"
	"mailgate/internal/mail"
)

func TestReadDomains(t *testing.T) {
	tests := []struct{ text, want, fault string }{
		{"a.example\n\n# no\nB.Example. # yes\r\n\tc.example", "a.example b.example c.example", ""},
		{"\ufeffa.example\n", "a.example", ""},
		{"", "", ""},
		{"münchen.example", "xn--mnchen-3ya.example", ""},
		{"a.example\nno domain\n\n-\n", "", "f:2: domain \"no domain\": "},
		{"a.example\nno domain\n\n-\n", "", "\nf:4: domain \"-\": "},
		{strings.Repeat("?\n", 30), "", "f:10: "},
		{strings.Repeat("x", 70_000), "", "read f: "},
		{"a\x1b[2J", "", `f:1: domain "a\x1b[2J"`},
	}
	for _, c := range tests {
		domains, err := readDomains(strings.NewReader(c.text), "f")
		switch {
		case c.fault == "" && (err != nil || strings.Trim(fmt.Sprint(domains), "[]") != c.want):
			t.Errorf("%q: %v, %v", c.text, domains, err)
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%q: %v, want %q", c.text, err, c.fault)
		}
	}
	if _, err := readDomains(strings.NewReader(strings.Repeat("?\n", 30)), "f"); strings.Contains(err.Error(), "f:11") {
		t.Errorf("too many faults: %v", err)
	}
	if _, err := readDomains(strings.NewReader(strings.Repeat("a.example\n", maxDomains+1)), "f"); err == nil || !strings.Contains(err.Error(), "more than 100,000") {
		t.Errorf("a file without end: %v", err)
	}
}

func TestTargetsToCheck(t *testing.T) {
	configured := []config.Domain{
		{Pattern: "*.w.example", Name: "w.example", Wildcard: true}, {Pattern: "a.example", Name: "a.example"},
		{Pattern: "*.a.example", Name: "a.example", Wildcard: true},
	}
	list, err := targetsToCheck([]string{"z.example", "a.example"}, checkFlags{file: "-", all: true}, configured, strings.NewReader("y.example\nz.example\n"))
	var got []string
	for _, target := range list {
		got = append(got, strings.TrimSuffix(fmt.Sprintf("%s %v", target.domain, target.wildcard), " false"))
	}
	if want := "z.example, a.example, y.example, w.example true"; err != nil || strings.Join(got, ", ") != want {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSplitAt(t *testing.T) {
	tests := []struct{ at, host, port string }{
		{"ns1.example", "ns1.example", "53"}, {"192.0.2.1", "192.0.2.1", "53"}, {"192.0.2.1:5353", "192.0.2.1", "5353"},
		{"2001:db8::1", "2001:db8::1", "53"}, {"[2001:db8::1]", "2001:db8::1", "53"}, {"[2001:db8::1]:54", "2001:db8::1", "54"}, {"ns1.example:54", "ns1.example", "54"},
	}
	for _, c := range tests {
		host, port, err := splitAt(c.at)
		if err != nil || host != c.host || port != c.port {
			t.Errorf("%s: %s, %s, %v", c.at, host, port, err)
		}
	}
	for _, at := range []string{"", ":53", "[]"} {
		if host, _, err := splitAt(at); err == nil {
			t.Errorf("%q is %q", at, host)
		}
	}
}

func FuzzReadDomains(f *testing.F) {
	f.Add("a.example\n# b\n\xff.example\r\n*.x\n")
	f.Fuzz(func(t *testing.T, text string) {
		domains, err := readDomains(strings.NewReader(text), "f")
		for _, d := range domains {
			if again, fault := mail.ParseDomain(string(d)); fault != nil || again != d {
				t.Errorf("%q is no domain: %v", d, fault)
			}
		}
		if err != nil && strings.ContainsAny(err.Error(), "\x1b\x00\r") {
			t.Errorf("bytes of the file in %q", err)
		}
	})
}
