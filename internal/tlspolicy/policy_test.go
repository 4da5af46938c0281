package tlspolicy

import (
	"encoding/json"
	"testing"
)

func TestPostfix(t *testing.T) {
	for _, c := range []struct {
		policy       Policy
		want, legacy string
	}{
		{Policy{Level: None, MaxVersion: TLS12}, "none", "none"},
		{Policy{Level: May}, "may", "may"},
		{Policy{Level: Encrypt, Curves: Classic}, "encrypt", "encrypt"},
		{Policy{Level: Encrypt, MinVersion: TLS12, MaxVersion: TLS12},
			"encrypt protocols=>=TLSv1.2:<=TLSv1.2", "encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.3"},
		{Policy{Level: May, MaxVersion: TLS12},
			"may protocols=>=TLSv1.2:<=TLSv1.2", "may protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.3"},
		{Policy{Level: Encrypt, MinVersion: TLS13}, "encrypt protocols=>=TLSv1.3",
			"encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.2"},
		{Policy{Level: Encrypt, MaxVersion: TLS10}, "encrypt protocols=>=TLSv1:<=TLSv1",
			"encrypt protocols=!SSLv2:!SSLv3:!TLSv1.1:!TLSv1.2:!TLSv1.3"},
		{Policy{Level: DANEOnly, ServerName: "a.example"}, "dane-only", "dane-only"},
		{Policy{Level: Verify, ServerName: "a.example"}, "verify servername=a.example", "verify servername=a.example"},
		{Policy{Level: Secure, MatchNames: []string{"example.net", ".example.net"}},
			"secure match=example.net:.example.net", "secure match=example.net:.example.net"},
		{Policy{Level: Secure, MatchNames: []string{"2001:db8::9"}}, "secure", "secure"},
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
