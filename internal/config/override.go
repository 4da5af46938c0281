package config

import (
	"fmt"
	"time"

	"github.com/pelletier/go-toml/v2"
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
		Level: enum(b, path+".level", in.Level,
			TLSNone, TLSMay, TLSEncrypt, TLSDANE, TLSDANEOnly, TLSVerify, TLSSecure),
		MaxVersion: optional(b, path+".max_version", in.MaxVersion, parseTLSVersion),
		Reason:     in.Reason,
	}
	if in.Expires != (toml.LocalDate{}) {
		o.Expires = in.Expires.AsTime(time.UTC)
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
	if o.MaxVersion != 0 {
		b.src.fail(path+".max_version", `means nothing with level "none"`)
	}
	return o
}
