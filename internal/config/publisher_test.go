package config

import (
	"strings"
	"testing"
	"time"
)

const onePublisher = `
hostname = "mx.example.com"
[keys]
rotate_every = "180d"
[[publisher]]
name = "my-dns"
provider = "rfc2136"
server = "192.0.2.53:53"
key_name = "mailgate"
[[domain]]
name = "example.com"
publisher = "my-dns"
keys = [{ selector = "mail", file = "a.pem" }]
[[domain]]
name = "example.net"
rotate_every = "0"
keys = [{ selector = "mail", file = "b.pem" }]
`

func TestPublisher(t *testing.T) {
	c, err := Parse([]byte(onePublisher), "/etc/mailgate/mailgate.toml")
	if err != nil {
		t.Fatal(err)
	}
	p := c.Publishers[0]
	if p.KeyAlgorithm != "hmac-sha256" || p.SecretVariable() != "MAILGATE_MY_DNS_SECRET" {
		t.Errorf("publisher %+v, secret in %s", p, p.SecretVariable())
	}
	if c.Keys.Grace != 7*24*time.Hour {
		t.Errorf("grace %v, want 7 days", c.Keys.Grace)
	}
	if first := c.Domains[0]; first.Publisher != "my-dns" || first.RotateEvery != 180*24*time.Hour {
		t.Errorf("first domain %+v", first)
	}
	if second := c.Domains[1]; second.Publisher != "" || second.RotateEvery != 0 {
		t.Errorf("second domain %+v", second)
	}
}

func TestPublisherFaults(t *testing.T) {
	for old, want := range map[string][2]string{
		`provider = "rfc2136"`:     {`provider = "godaddy"`, "rfc2136"},
		`name = "my-dns"`:          {`name = "My DNS"`, "small letters"},
		`publisher = "my-dns"`:     {`publisher = "other"`, "no [[publisher]]"},
		`server = "192.0.2.53:53"`: {``, "is missing"},
		`key_name = "mailgate"`:    {`key_id = "x"`, "means nothing"},
		`rotate_every = "180d"`:    {`rotate_every = "1h"`, "at least a day"},
		`[[publisher]]`:            {"[[publisher]]\nname = 'my-dns'\nprovider = 'cloudflare'\n[[publisher]]", "already"},
	} {
		text := strings.Replace(onePublisher, old, want[0], 1)
		_, err := Parse([]byte(text), "mailgate.toml")
		if err == nil || !strings.Contains(err.Error(), want[1]) {
			t.Errorf("%s: %v, want %q", want[0], err, want[1])
		}
	}
}

// A provider that there is not is the one fault told of its publisher: what the other
// keys mean hangs on it.
func TestUnknownProvider(t *testing.T) {
	text := strings.Replace(onePublisher, `"rfc2136"`, `"rfc2163"`, 1)
	if _, err := Parse([]byte(text), "mailgate.toml"); err == nil || strings.Contains(err.Error(), "means nothing") {
		t.Error(err)
	}
}

// What one provider needs means nothing to another.
func TestPublisherKeysOfProviders(t *testing.T) {
	for keys, says := range map[string]string{
		`provider = "cloudflare"`:                             "",
		`provider = "cloudflare"` + "\n" + `key_id = "x"`:     "means nothing",
		`provider = "alidns"` + "\n" + `key_id = "x"`:         "",
		`provider = "alidns"`:                                 "id of the access key",
		`provider = "alidns"` + "\n" + `region = "cn"`:        "means nothing",
		`provider = "route53"`:                                "",
		`provider = "route53"` + "\n" + `server = "ns1:53"`:   "means nothing",
		`provider = "route53"` + "\n" + `secret_file = "aws"`: "this is its id",
	} {
		_, err := Parse([]byte("[[publisher]]\nname = \"my-dns\"\n"+keys), "mailgate.toml")
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", keys, err, says)
		}
	}
}
