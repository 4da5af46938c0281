package rotation

import (
	"strings"
	"testing"
)

const wanted = "v=DKIM1; k=rsa; p=MIIBIjANBg=="

func TestSameKey(t *testing.T) {
	for record, want := range map[string]string{
		wanted:                                    "",
		"p=MIIBIjANBg==":                          "",
		"v=DKIM1;k=rsa;p=MIIBIj ANBg==;":          "",
		"v=DKIM1; k=rsa; t=s; p=MIIBIjANBg==":     "",
		"v=DKIM1; h=sha1:sha256; p=MIIBIjANBg==":  "",
		"v=DKIM1; s=email; p=MIIBIjANBg==":        "",
		"v=DKIM1; n=by hand; p=MIIBIjANBg==":      "",
		"v=DKIM1; k=rsa; p=MIIBIjANBh==":          "another key",
		"v=DKIM1; k=ed25519; p=MIIBIjANBg==":      "another key",
		"v=DKIM1; p=":                             "a revoked key",
		"v=DKIM1; t=y; p=MIIBIjANBg==":            "t=y",
		"v=DKIM1; t=y:s; p=MIIBIjANBg==":          "t=y:s",
		"v=DKIM1; h=sha1; p=MIIBIjANBg==":         "h=sha1",
		"v=DKIM1; s=tlsrpt; p=MIIBIjANBg==":       "s=tlsrpt",
		"v=DKIM2; p=MIIBIjANBg==":                 "v=DKIM2",
		"v=spf1 -all":                             "not a key record",
		"":                                        "not a key record",
		"v=DKIM1; p=MIIBIjANBg==; p=MIIBIjANBg==": "not a key record",
		"v=DKIM1; k=rsa":                          "not a key record",
		"p":                                       "not a key record",
	} {
		if got := sameKey(record, wanted); got != want {
			t.Errorf("%q: %q, want %q", record, got, want)
		}
	}
	for record, want := range map[string]bool{RevokedRecord: true, "v=DKIM1; k=rsa; p=": true, "p= ": true, wanted: false, "": false, "v=spf1": false} {
		if isRevoked(record) != want {
			t.Errorf("%q: revoked %v", record, !want)
		}
	}
}

func FuzzSameKey(f *testing.F) {
	for _, s := range []string{wanted, RevokedRecord, "v=DKIM1; t=y", ";;", "p", "=", "v=DKIM1; p=MIIBIjANBg==; s=*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if same := sameKey(s, wanted) == ""; same && (isRevoked(s) || !strings.Contains(strings.Join(strings.Fields(s), ""), "p=MIIBIjANBg==")) {
			t.Errorf("%q is taken for the key", s)
		}
	})
}
