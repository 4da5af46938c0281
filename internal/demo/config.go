package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"mailgate/internal/mail"
	"mailgate/internal/sign"
)

const selector = "mail"

// The senders of the story.
const (
	panelDomain = mail.Domain("panel.example")
	goodDomain  = mail.Domain("good.example")
	nospfDomain = mail.Domain("nospf.example")
)

func domains() []mail.Domain { return []mail.Domain{goodDomain, panelDomain, nospfDomain} }

// keys are the signing keys, made afresh by the same code as `mailgate keys
// generate`.
type keys struct{ byDomain map[mail.Domain]sign.Key }

func makeKeys(dir string) (*keys, error) {
	k := &keys{byDomain: map[mail.Domain]sign.Key{}}
	for _, d := range domains() {
		signer, err := sign.Generate("rsa2048")
		if err != nil {
			return nil, fmt.Errorf("make a key for %s: %w", d, err)
		}
		if err := sign.WriteKey(keyFile(dir, d), signer); err != nil {
			return nil, err
		}
		k.byDomain[d] = sign.Key{Domain: d, Selector: selector, Signer: signer}
	}
	return k, nil
}

func (k *keys) record(d mail.Domain) string { return k.byDomain[d].Record() }

func keyFile(dir string, d mail.Domain) string {
	return filepath.Join(dir, "keys", string(d)+".pem")
}

// writeConfig writes the gateway's configuration, as an admin would have it.
func (s *stage) writeConfig(milter string, override bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, `hostname = "mx1.demo.test"
egress   = ["127.0.0.1", "::1"]

[milter]
listen = %q

[control]
socket = %q

[store]
url = "sqlite:mailgate.db"

[dns]
resolvers = [%q]
panel     = %q

[release]
via = %q

[hold]
recheck = "1s"
`, milter, filepath.Join(s.dir, "control.sock"), s.dns.recursive.Addr(), s.dns.panel.Addr(), s.mta.Addr())
	for _, d := range domains() {
		fmt.Fprintf(&b, "\n[[domain]]\nname = %q\nkeys = [{ selector = %q, file = %q }]\n", string(d), selector, keyFile(s.dir, d))
	}
	if override {
		b.WriteString(`
[[tls]]
destination = "bank.test"
level       = "encrypt"
max_version = "1.2"
reason      = "its gateway resets on TLS 1.3"
`)
	}
	if err := os.WriteFile(s.configFile(), []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("write the demo's configuration: %w", err)
	}
	return nil
}
