package publish

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// The DNS hosts, as the configuration names them.
const (
	RFC2136    = "rfc2136"
	Cloudflare = "cloudflare"
	Aliyun     = "alidns"
	Route53    = "route53"
)

// Account is an account at a DNS host.
type Account struct {
	Provider     string // RFC2136, Cloudflare, Aliyun or Route53
	Zone         string // the only zone that may be written; empty: any
	Server       string // rfc2136: "host:port" of the zone's primary server
	KeyName      string // rfc2136: of the TSIG key
	KeyAlgorithm string // rfc2136: "hmac-sha256"
	KeyID        string // alidns, route53: of the access key
	Region       string // route53; empty: as the AWS command line
	Secret       Secret // TSIG key in base64, API token or secret access key

	// Transport carries the requests of Cloudflare and Route 53, and what is read at
	// Aliyun; nil: http.DefaultTransport. What is written at Aliyun goes by
	// http.DefaultClient.
	Transport http.RoundTripper
}

// Secret is a text that never shows: not by fmt, log/slog or encoding/json, nor when
// what it is part of is printed. The zero value is no secret.
type Secret struct{ reveal func() string }

// NewSecret keeps text; white space around it is none of it.
func NewSecret(text string) Secret {
	text = strings.TrimSpace(text)
	if text == "" {
		return Secret{}
	}
	return Secret{func() string { return text }}
}

// Known reports whether there is a secret.
func (s Secret) Known() bool { return s.reveal != nil }

func (s Secret) text() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// String says only whether there is a secret.
func (s Secret) String() string {
	if s.Known() {
		return "(secret)"
	}
	return "(none)"
}

// Format is String for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is String, for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, for encoding/json.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// check refuses an account that no host could be asked with.
func (a Account) check() error {
	switch a.Provider {
	case RFC2136:
		if a.Server == "" || a.KeyName == "" {
			return errors.New("rfc2136: want the primary server and the name of the TSIG key")
		}
	case Cloudflare:
	case Aliyun:
		if a.KeyID == "" {
			return errors.New("alidns: want the id of the access key")
		}
	case Route53:
		if a.Secret.Known() != (a.KeyID != "") {
			return errors.New("route53: want the id of the access key and its secret, or neither (then AWS's own files and environment count)")
		}
		return nil
	default:
		return fmt.Errorf("%q is no DNS host that can be written: want rfc2136, cloudflare, alidns or route53", a.Provider)
	}
	if !a.Secret.Known() {
		return fmt.Errorf("%s: there is no secret", a.Provider)
	}
	return nil
}
