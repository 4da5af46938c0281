package smtpd

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"mailgate/internal/gate"
	"mailgate/internal/sign"
)

// What leaves, prefix and original bytes, carries a valid signature over the
// fields that were added too, whatever was taken out and however it came.
func TestSignature(t *testing.T) {
	signer, err := sign.Generate("rsa2048")
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := sign.NewKeyring([]sign.DomainKeys{{Pattern: "example.com", Keys: []sign.Key{{Domain: "example.com", Selector: "mail", Signer: signer}}}})
	if err != nil {
		t.Fatal(err)
	}
	g := released{gate.New(gate.Config{Hostname: "mx1.example.com"}, ring, nil, nil)}
	r := start(t, func(c *Config, l *Listener) { c.Gate, l.Normalise = g, true })
	record := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)
	options := &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) { return []string{record}, nil }}
	for name, message := range map[string]string{
		"plain":         letter,
		"fields added":  "Bcc: x@example.net\r\nFrom: ann@example.com\r\nSubject: x\r\n\r\nbody\r\n",
		"bare LF":       "From: ann@example.com\r\nSubject: x\r\n\r\none\ntwo\rthree\r\n..four\r\n\r\n\r\n",
		"header only":   "From: ann@example.com\r\nSubject: x\r\n",
		"folded, 8 bit": "From: =?utf-8?q?=C3=84nn?=\r\n <ann@example.com>\r\nSubject: a\r\n\tb\r\n\r\n\xe4\xf6 \t\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, chunked := range []bool{false, true} {
				k := r.talk(t)
				if chunked {
					k.envelope()
					k.chunks(message, 7, false)
				} else if got := k.deliver(message); !strings.HasPrefix(got, "250") {
					t.Fatal(got)
				}
				m, content := r.spool.last(t)
				out := append(bytes.Clone(m.Prefix), content...)
				results, err := dkim.VerifyWithOptions(bytes.NewReader(out), options)
				if err != nil || len(results) != 1 || results[0].Err != nil {
					t.Fatalf("verified: %v, %+v\n%s", err, results, out)
				}
				keys := strings.ToLower(strings.Join(results[0].HeaderKeys, ":"))
				if !strings.Contains(keys, "date") || !strings.Contains(keys, "message-id") {
					t.Errorf("signed %s", keys)
				}
			}
		})
	}
}
