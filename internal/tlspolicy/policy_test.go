package tlspolicy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPostfix(t *testing.T) {
	for _, c := range []struct {
		policy       Policy
		want, legacy string
	}{
		{Policy{Level: None, MaxVersion: TLS12}, "none", "none"},
		{Policy{Level: May}, "may", "may"},
		{Policy{Level: Encrypt, Curves: Classic}, "encrypt protocols=>=TLSv1.2", "encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1"},
		{Policy{Level: Encrypt, MinVersion: TLS12, MaxVersion: TLS12},
			"encrypt protocols=>=TLSv1.2:<=TLSv1.2", "encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.3"},
		{Policy{Level: May, MaxVersion: TLS12},
			"may protocols=>=TLSv1.2:<=TLSv1.2", "may protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.3"},
		{Policy{Level: Encrypt, MinVersion: TLS13}, "encrypt protocols=>=TLSv1.3",
			"encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.2"},
		{Policy{Level: Encrypt, MaxVersion: TLS10}, "encrypt protocols=>=TLSv1:<=TLSv1",
			"encrypt protocols=!SSLv2:!SSLv3:!TLSv1.1:!TLSv1.2:!TLSv1.3"},
		{Policy{Level: DANEOnly, ServerName: "a.example"}, "dane-only protocols=>=TLSv1.2", "dane-only protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1"},
		{Policy{Level: Verify, ServerName: "a.example"}, "verify protocols=>=TLSv1.2 servername=a.example",
			"verify protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 servername=a.example"},
		{Policy{Level: Secure, MatchNames: []string{"example.net", ".example.net"}},
			"secure protocols=>=TLSv1.2 match=example.net:.example.net",
			"secure protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 match=example.net:.example.net"},
		{Policy{Level: Secure, MatchNames: []string{"2001:db8::9"}}, "secure protocols=>=TLSv1.2", "secure protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1"},
		{Policy{Level: Secure, Source: FromMTASTS, MatchNames: []string{"mx.example.net", ".example.org"}, Hosts: []string{"mx.example.net", "*.example.org"}},
			"secure protocols=>=TLSv1.2 servername=hostname match=mx.example.net:.example.org",
			"secure protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 servername=hostname match=mx.example.net:.example.org"},
		{Policy{Level: DANEOnly, Source: FromDANE, ServerName: "a.example", MatchNames: []string{"a.example"}, MaxVersion: TLS12},
			"dane-only protocols=>=TLSv1.2:<=TLSv1.2", "dane-only protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.3"},
		{Policy{Level: DANE, Source: FromDANE, MatchNames: []string{"a.example"}}, "dane protocols=>=TLSv1.2", "dane protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1"},
		{Policy{Level: None, Ciphers: []string{"TLS_RSA_WITH_AES_128_CBC_SHA"}}, "none", "none"},
	} {
		if got := c.policy.Postfix(); got != c.want {
			t.Errorf("Postfix: %q, want %q", got, c.want)
		}
		if got := c.policy.PostfixLegacy(); got != c.legacy {
			t.Errorf("PostfixLegacy: %q, want %q", got, c.legacy)
		}
	}
}

func TestLevelOrder(t *testing.T) {
	words := []string{"none", "may", "encrypt", "dane", "dane-only", "verify", "secure"}
	var last Level
	for _, w := range words {
		l, err := ParseLevel(w)
		if err != nil || l <= last || l.String() != w {
			t.Errorf("ParseLevel(%q) = %v, %v", w, l, err)
		}
		if got, want := l.Mandatory(), w != "none" && w != "may"; got != want {
			t.Errorf("%s.Mandatory() = %v", w, got)
		}
		last = l
	}
	for _, w := range []string{"", "May", "fingerprint"} {
		if l, err := ParseLevel(w); err == nil {
			t.Errorf("ParseLevel(%q) = %v", w, l)
		}
	}
}

func TestPolicyJSON(t *testing.T) {
	b, err := json.Marshal(Policy{Level: Encrypt, MaxVersion: TLS12, Source: FromOverride, Reason: "r"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(b), `{"level":"encrypt","max_version":"1.2","source":"override","reason":"r"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var back Policy
	if err := json.Unmarshal(b, &back); err != nil || back.Level != Encrypt || back.MaxVersion != TLS12 {
		t.Errorf("%+v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"max_version":"1.4"}`), &back); err == nil {
		t.Error("version 1.4 was accepted")
	}
}

func TestPostfixCiphers(t *testing.T) {
	suites := []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA"}
	got := Policy{Level: Encrypt, Ciphers: suites}.Postfix()
	attributes, excluded, _ := strings.Cut(got, " exclude=")
	if attributes != "encrypt protocols=>=TLSv1.2 ciphers=medium" {
		t.Errorf("%q", got)
	}
	words := strings.Split(excluded, ":")
	for _, w := range []string{"ECDHE-RSA-AES128-GCM-SHA256", "AES128-SHA"} {
		if slices.Contains(words, w) {
			t.Errorf("%s is excluded: %q", w, got)
		}
	}
	for _, w := range []string{"aNULL", "DH", "ARIA", "CAMELLIA", "ECDHE-RSA-AES256-SHA384-", "DES-CBC3-SHA", "RC4-SHA", "ECDHE-RSA-RC4-SHA",
		"AES256-SHA", "AES128-SHA256", "AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-DES-CBC3-SHA"} {
		if want := !strings.HasSuffix(w, "-"); slices.Contains(words, w) != want {
			t.Errorf("%s excluded is not %v: %q", w, want, got)
		}
	}
}

func TestDescribe(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for want, p := range map[string]Policy{
		"may (default)": {Level: May, Source: FromDefault},
		"secure (MTA-STS enforce, fresh for 23 h)":           {Level: Secure, Source: FromMTASTS, Until: now.Add(23*time.Hour + time.Minute)},
		"may (default; MTA-STS testing, fresh for 6 d)":      {Level: May, Source: FromDefault, Testing: true, Until: now.Add(7*24*time.Hour - 1)},
		"dane-only (DANE: usable TLSA records: 2)":           {Level: DANEOnly, Source: FromDANE, TLSA: make([]TLSA, 2)},
		"dane (DANE: by the TLSA records of each MX host)":   {Level: DANE, Source: FromDANE},
		"encrypt (DANE: TLSA records exist, none is usable)": {Level: Encrypt, Source: FromDANE},
		"none (override for old.example)":                    {Level: None, Source: FromOverride, Destination: "old.example"},
		"encrypt (route)":                                    {Level: Encrypt, Source: FromRoute},
		"may, at most TLS 1.2 (default; learned: reset)":     {Level: May, Source: FromDefault, MaxVersion: TLS12, Origins: Origins{Versions: FromLearned}, Reason: "reset"},
		"encrypt, TLS 1.2 only, only 2 ciphers (override for gmail.com: gateway 3.9 clashes with TLS 1.3; until 2027-03-31)": {Level: Encrypt,
			MinVersion: TLS12, MaxVersion: TLS12, Ciphers: []string{"a", "b"}, Source: FromOverride, Destination: "gmail.com",
			Reason: "gateway 3.9 clashes with TLS 1.3", Expires: time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC)}, // as `expires = 2027-03-31` is kept
		"encrypt (override for b.example; until 2027-03-31)": {Level: Encrypt, Source: FromOverride, Destination: "b.example",
			Expires: time.Date(2027, 3, 31, 9, 0, 0, 0, time.UTC)},
		"secure, TLS 1.1 to 1.2, no post-quantum key share, server name a.example (MTA-STS enforce; override for b.example; because)": {Level: Secure,
			MinVersion: TLS11, MaxVersion: TLS12, Curves: Classic, ServerName: "a.example", Source: FromMTASTS, Destination: "b.example", Raised: "because"},
	} {
		if got := p.Describe(now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := (Policy{Level: Secure, Source: FromMTASTS, Until: now}).String(); got != "secure (MTA-STS enforce)" {
		t.Errorf("String: %q", got)
	}
}
