package config

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"mailgate/internal/mail"
)

// overrides reads every [[tls]].
func (b *builder) overrides() []TLSOverride {
	var list []TLSOverride
	seen := map[string]string{}
	for i, in := range b.in.TLS {
		path := fmt.Sprintf("tls[%d]", i)
		o := b.override(path, in)
		if first, ok := seen[o.Destination]; ok && o.Destination != "" {
			b.src.fail(path+".destination", "%s is already %s", o.Destination, first)
		} else {
			seen[o.Destination] = path
		}
		list = append(list, o)
	}
	return list
}

func (b *builder) override(path string, in fileOverride) TLSOverride {
	o := TLSOverride{
		Destination: one(b, path+".destination", in.Destination, parseDestination),
		Level:       optional(b, path+".level", in.Level, func(string) (TLSLevel, error) { return b.level(path, in.Level), nil }),
		MinVersion:  optional(b, path+".min_version", in.MinVersion, parseTLSVersion),
		MaxVersion:  optional(b, path+".max_version", in.MaxVersion, parseTLSVersion),
		Ciphers:     each(b, path+".ciphers", in.Ciphers, parseCipher),
		Curves:      in.Curves,
		ServerName:  optional(b, path+".server_name", in.ServerName, parseHost),
		Match:       each(b, path+".match", in.Match, parseMatch),
		Reason:      in.Reason,
	}
	if in.Curves != "" && in.Curves != curvesClassic {
		b.src.fail(path+".curves", `is %s: want %q, which offers no post-quantum key share, or leave it out`, shown(in.Curves), curvesClassic)
	}
	if in.Expires != (toml.LocalDate{}) {
		o.Expires = in.Expires.AsTime(time.UTC)
	}
	if in.Level == "" && len(o.settings()) == 0 {
		b.src.fail(path+".level", "is missing, and nothing else is set: want a level, or max_version, ciphers, curves … for TLS as it is demanded")
	}
	if o.Level != TLSNone {
		return o
	}
	if o.Reason == "" {
		b.src.fail(path+".reason", `is missing: level "none" sends mail in clear text, say why`)
	}
	if o.Expires.IsZero() {
		b.src.fail(path+".expires", `is missing: level "none" sends mail in clear text, say until when, as 2027-03-31`)
	}
	for _, key := range o.settings() {
		b.src.fail(path+"."+key, `means nothing with level "none"`)
	}
	return o
}

// settings names what of TLS itself is set.
func (o TLSOverride) settings() []string {
	var keys []string
	for _, setting := range []struct {
		key string
		set bool
	}{
		{"min_version", o.MinVersion != 0}, {"max_version", o.MaxVersion != 0}, {"ciphers", len(o.Ciphers) > 0},
		{"curves", o.Curves != ""}, {"server_name", o.ServerName != ""}, {"match", len(o.Match) > 0},
	} {
		if setting.set {
			keys = append(keys, setting.key)
		}
	}
	return keys
}

const curvesClassic = "classic"

func (b *builder) level(path, word string) TLSLevel {
	return enum(b, path+".level", word, TLSNone, TLSMay, TLSEncrypt, TLSDANE, TLSDANEOnly, TLSVerify, TLSSecure)
}

// parseCipher checks the name of a cipher suite that Go has for TLS 1.2 and below.
// Those of TLS 1.3 can't be chosen.
func parseCipher(s string) (string, error) {
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if suite.Name == s && !slices.Equal(suite.SupportedVersions, []uint16{tls.VersionTLS13}) {
			return s, nil
		}
	}
	return "", fmt.Errorf(`%s is no cipher suite for TLS 1.2 and below that can be used: want a name such as "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"`, shown(s))
}

// parseHost reads the name of a server.
func parseHost(s string) (string, error) {
	d, err := mail.ParseDomain(s)
	return string(d), err
}

// parseMatch reads a name of a certificate; ".example.net" is any name under it.
func parseMatch(s string) (string, error) {
	name, under := strings.CutPrefix(s, ".")
	name, err := parseHost(name)
	if under {
		name = "." + name
	}
	return name, err
}
