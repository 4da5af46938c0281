package sign

import (
	"crypto"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"
)

func TestCheckSelector(t *testing.T) {
	for _, good := range []string{"mail", "s1024-2026", "a.b.c", "2026", "MAIL", "x"} {
		if err := CheckSelector(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "a b", "a;b", "ä", "a\n",
		strings.Repeat("a", 64), strings.Repeat("abc.", 60) + "a"} {
		if err := CheckSelector(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestIdentity(t *testing.T) {
	good := map[string]string{
		"":                       "",
		"@example.com":           "@example.com",
		"joe@example.com":        "joe@example.com",
		"joe@News.Example.COM":   "joe@news.example.com",
		"a.b+c@x.y.example.com":  "a.b+c@x.y.example.com",
		"joe@bücher.example.com": "joe@xn--bcher-kva.example.com",
	}
	for in, want := range good {
		got, err := Key{Domain: "example.com", Identity: in}.identity()
		if err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, bad := range []string{"example.com", "@", "@com", "@badexample.com", "joe@example.net", "a;b@example.com",
		"a=b@example.com", "a b@example.com", "\"a\"@example.com", "a@b@example.com", "jö@example.com",
		"a@example.com\r\nX: y", "a\r\n@example.com", strings.Repeat("a", 65) + "@example.com"} {
		if got, err := (Key{Domain: "example.com", Identity: bad}).identity(); err == nil {
			t.Errorf("%q gives %q", bad, got)
		}
	}
}

// publicOnly is a crypto.Signer that is good for nothing but its public half.
type publicOnly struct {
	oddKey
	key crypto.PublicKey
}

func (p publicOnly) Public() crypto.PublicKey { return p.key }

func rsaOf(bits uint) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
}

func TestAlgorithmAndSizes(t *testing.T) {
	tests := []struct {
		key     crypto.PublicKey
		name    string
		refused bool
		warned  bool
	}{
		{rsaOf(512), "RSA 512", true, true},
		{rsaOf(1023), "RSA 1023", true, true},
		{rsaOf(1024), "RSA 1024", false, true},
		{rsaOf(2047), "RSA 2047", false, true},
		{rsaOf(2048), "RSA 2048", false, false},
		{rsaOf(4096), "RSA 4096", false, false},
		{rsaOf(8192), "RSA 8192", false, true},
		{testKeys()[1].Signer.Public(), "Ed25519", false, false},
		{"odd", "unsupported", true, false},
		{nil, "unsupported", true, false},
	}
	for _, tt := range tests {
		key := Key{Signer: publicOnly{key: tt.key}}
		if got := key.Algorithm(); got != tt.name {
			t.Errorf("Algorithm() = %q, want %q", got, tt.name)
		}
		if err := checkPublic(tt.key); (err != nil) != tt.refused {
			t.Errorf("%s: %v", tt.name, err)
		}
		if w := warnings(tt.key); (len(w) > 0) != tt.warned {
			t.Errorf("%s: warnings %q", tt.name, w)
		}
	}
}

func TestNameAndRecord(t *testing.T) {
	k := testKeys()[0]
	if k.Name() != "mail._domainkey.example.com" {
		t.Errorf("Name() = %s", k.Name())
	}
	if !strings.HasPrefix(k.Record(), "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A") {
		t.Errorf("Record() = %s", k.Record())
	}
	if (Key{}).Record() != "" || (Key{}).Algorithm() != "unsupported" {
		t.Error("a key without a private key has a record")
	}
}
