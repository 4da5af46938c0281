package sign

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
)

// shortKey is an RSA key of 512 bits.
const shortKey = `-----BEGIN RSA PRIVATE KEY-----
MIIBOwIBAAJBAMu+vXuiPiAjT+QtKx2vuD81OaDZjKjExa3f/NnpCZOvp7m1p4vj
cwYTRHhaO0cJNoEPk3nASKc4VPe3Z2F0798CAwEAAQJBAIVHnf4dUNSHJQDXh0fh
Jf67G5qcFUZligbG6knGBszDRWpX+wM8nz49MzNJTvz+mYTIkuZp1tDxzug2XI7c
pwkCIQDqFrhnNZJK9dtsehpwvgpGISOWpl1ZdMvtHMz7banqDQIhAN7Q6z7TOp+f
pII5Fp3firbo24OvGAWRL5Z8VsrFWKKbAiArgGtmarM0EPpk71AIkZhxLeliLqp8
XFMlTkvdkaSY5QIhAMgsTrthTtBqvoNTQFNSqa8LYXJbUixmM6dxSxPd2XQzAiB0
srOiBr/UW9+RGKyrTfn9dc1dkIOxQsXL2dXNpAW2ag==
-----END RSA PRIVATE KEY-----
`

func block(kind string, body []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: body}))
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// withPublic is an Ed25519 key in PKCS#8 version 2, which holds the public half,
// too (RFC 8410, section 10.3).
const withPublic = `-----BEGIN PRIVATE KEY-----
MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB
Z9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PRIVATE KEY-----
`

func TestParseKey(t *testing.T) {
	rsaKey := testKeys()[0].Signer.(*rsa.PrivateKey)
	edKey := testKeys()[1].Signer.(ed25519.PrivateKey)
	seed := edKey.Seed()
	bare := base64.StdEncoding.EncodeToString(seed)
	pkcs1 := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))
	tests := map[string]struct{ text, algorithm string }{
		"RSA PKCS#1":         {pkcs1, "RSA 2048"},
		"RSA PKCS#8":         {block("PRIVATE KEY", pkcs8(t, rsaKey)), "RSA 2048"},
		"RSA 1024":           {rfc6376Private, "RSA 1024"},
		"Ed25519 PKCS#8":     {block("PRIVATE KEY", pkcs8(t, edKey)), "Ed25519"},
		"Ed25519 PKCS#8 v2":  {withPublic, "Ed25519"},
		"seed in PEM":        {block("PRIVATE KEY", seed), "Ed25519"},
		"seed in named PEM":  {block("ED25519 PRIVATE KEY", seed), "Ed25519"},
		"seed in base64":     {bare + "\n", "Ed25519"},
		"unpadded":           {strings.TrimRight(bare, "="), "Ed25519"},
		"base64 in lines":    {bare[:20] + "\r\n" + bare[20:] + " \n", "Ed25519"},
		"text before":        {"my key\n" + pkcs1, "RSA 2048"},
		"certificate before": {block("CERTIFICATE", []byte("x")) + pkcs1, "RSA 2048"},
		"CRLF":               {crlf(pkcs1), "RSA 2048"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			key, warned, err := ParseKey([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := (Key{Signer: key}).Algorithm(); got != tt.algorithm {
				t.Errorf("%s, want %s", got, tt.algorithm)
			}
			if (len(warned) > 0) != (tt.algorithm == "RSA 1024") {
				t.Errorf("warnings %q", warned)
			}
		})
	}
}

func TestParseKeyRefuses(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := block("PRIVATE KEY", pkcs8(t, testKeys()[1].Signer))
	tests := map[string]struct{ text, says string }{
		"empty":           {"", "neither PEM"},
		"text":            {"hello", "neither PEM"},
		"short seed":      {base64.StdEncoding.EncodeToString(make([]byte, 31)), "neither PEM"},
		"long seed":       {base64.StdEncoding.EncodeToString(make([]byte, 33)), "neither PEM"},
		"public key":      {block("PUBLIC KEY", make([]byte, 44)), "holds a PUBLIC KEY"},
		"certificate":     {block("CERTIFICATE", make([]byte, 44)), "no private key"},
		"two keys":        {good + good, "more than one"},
		"cut off":         {good[:len(good)/2], "damaged PEM"},
		"damaged body":    {strings.Replace(good, "MC4C", "MC5C", 1), "PKCS#8"},
		"empty body":      {block("PRIVATE KEY", nil), "PKCS#8"},
		"empty RSA":       {block("RSA PRIVATE KEY", nil), "PKCS#1"},
		"EC":              {block("EC PRIVATE KEY", pkcs8(t, ec)), "EC PRIVATE KEY: want RSA"},
		"EC in PKCS#8":    {block("PRIVATE KEY", pkcs8(t, ec)), "can't sign DKIM"},
		"OpenSSH":         {block("OPENSSH PRIVATE KEY", make([]byte, 90)), "want RSA"},
		"encrypted":       {block("ENCRYPTED PRIVATE KEY", make([]byte, 90)), "pass phrase"},
		"encrypted PKCS1": {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "pass phrase"},
		"RSA 512":         {shortKey, "512"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			key, _, err := ParseKey([]byte(tt.text))
			if err == nil || key != nil {
				t.Fatalf("ParseKey: %v, %v", key, err)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q doesn't say %q", err, tt.says)
			}
			if errors.Is(err, ErrShortKey) != (name == "RSA 512") {
				t.Errorf("ErrShortKey: %v", err)
			}
		})
	}
}

// FuzzParseKey says that what parses can be published and checked.
func FuzzParseKey(f *testing.F) {
	f.Add([]byte(rfc6376Private))
	f.Add([]byte(rfc8463Seed))
	f.Add([]byte(withPublic))
	f.Add([]byte(shortKey))
	f.Add([]byte(block("PRIVATE KEY", make([]byte, 32))))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, _, err := ParseKey(data)
		if err != nil {
			return
		}
		k := Key{Domain: "example.com", Selector: "s", Signer: key}
		if err := k.check(); err != nil || k.Record() == "" {
			t.Errorf("%q, %v", k.Record(), err)
		}
	})
}
