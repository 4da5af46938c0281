package config

import (
	"fmt"
	"strings"

	"mailgate/internal/mail"
)

// domains reads every [[domain]] and the rules between them.
func (b *builder) domains() []Domain {
	var list []Domain
	patterns, files := map[string]string{}, map[string]string{}
	for i, in := range b.in.Domain {
		path := fmt.Sprintf("domain[%d]", i)
		d := b.domain(path, in)
		if first, ok := patterns[d.Pattern]; ok && d.Pattern != "" {
			b.src.fail(path+".name", "%s is already %s; put the keys of both into one", d.Pattern, first)
		} else {
			patterns[d.Pattern] = path
		}
		b.checkSelectors(path, d, files)
		list = append(list, d)
	}
	return list
}

// checkSelectors refuses two keys for one DNS record. The same file may sign for
// several patterns under one signing domain. Files are those seen so far, by record.
func (b *builder) checkSelectors(path string, d Domain, files map[string]string) {
	here := map[string]bool{}
	for i, k := range d.Keys {
		record := k.Selector + "._domainkey." + string(d.Signer())
		file, known := files[record]
		if k.Selector != "" && (here[record] || known && file != k.File) {
			b.src.fail(fmt.Sprintf("%s.keys[%d].selector", path, i), "a second key for %s; each key needs its own selector", record)
		}
		here[record] = true
		files[record] = k.File
	}
}

func (b *builder) domain(path string, in fileDomain) Domain {
	d := Domain{
		SignAs:     optional(b, path+".sign_as", in.SignAs, mail.ParseDomain),
		SubDomains: in.SubDomains,
		Bulk:       in.Bulk,
		Expire:     optional(b, path+".expire", in.Expire, ParseDuration),

		Publisher:   b.domainPublisher(path+".publisher", in.Publisher),
		RotateEvery: b.rotateEvery(path+".rotate_every", in.RotateEvery),
	}
	name := one(b, path+".name", in.Name, parsePattern)
	d.Pattern, d.Wildcard, d.Name = name.text, name.wildcard, name.domain
	if d.SubDomains && d.Wildcard {
		b.src.fail(path+".subdomains", "%s stands for its sub-domains already: leave it out", d.Pattern)
	}
	if len(in.Keys) == 0 {
		b.src.fail(path+".keys", `is missing: want at least one, as [ { selector = "mail", file = "keys/mail.pem" } ]`)
	}
	for i, k := range in.Keys {
		d.Keys = append(d.Keys, b.key(fmt.Sprintf("%s.keys[%d]", path, i), k, d.Signer()))
	}
	return d
}

type pattern struct {
	text     string
	domain   mail.Domain
	wildcard bool
}

func parsePattern(s string) (pattern, error) {
	if s == "" {
		return pattern{}, errNoName
	}
	name, wildcard := strings.CutPrefix(s, "*.")
	d, err := mail.ParseDomain(name)
	if err != nil {
		return pattern{}, fmt.Errorf(`%w; want "example.com" or "*.example.com"`, err)
	}
	text := string(d)
	if wildcard {
		text = "*." + text
	}
	return pattern{text, d, wildcard}, nil
}

func (b *builder) key(path string, in fileKey, signer mail.Domain) Key {
	k := Key{
		Selector: one(b, path+".selector", in.Selector, func(s string) (string, error) { return parseSelector(s, signer) }),
		Identity: optional(b, path+".identity", in.Identity, func(s string) (string, error) { return parseIdentity(s, signer) }),
	}
	if in.File == "" {
		b.src.fail(path+".file", "is missing: want the path of a private key in PEM form")
	} else {
		k.File = b.file(path+".file", in.File)
	}
	return k
}

// parseSelector checks a selector by the name of the record it makes.
func parseSelector(s string, signer mail.Domain) (string, error) {
	if s == "" {
		return "", fmt.Errorf(`is missing: want the first part of the record's name, "mail" for mail._domainkey`)
	}
	if strings.Contains(s, "_domainkey") {
		return "", fmt.Errorf("%s: want only what stands before ._domainkey", shown(s))
	}
	tail := "._domainkey"
	if signer != "" {
		tail += "." + string(signer)
	}
	record, err := mail.ParseDomain(s + tail)
	if err != nil {
		return "", fmt.Errorf("no selector: %w", err)
	}
	return strings.TrimSuffix(string(record), tail), nil
}

// parseIdentity checks an i= value: its domain is the signing domain or under it
// (RFC 6376 3.5).
func parseIdentity(s string, signer mail.Domain) (string, error) {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return "", fmt.Errorf(`%s has no @: want "@" and a domain, or an address`, shown(s))
	}
	d, err := mail.ParseDomain(s[at+1:])
	if err != nil {
		return "", err
	}
	if signer != "" && !d.IsUnder(signer) {
		return "", fmt.Errorf("%s is not under the signing domain %s, and so no receiver would accept the signature", d, signer)
	}
	if at == 0 {
		return "@" + string(d), nil
	}
	a, err := mail.ParsePath(s)
	if err != nil {
		return "", err
	}
	return a.String(), nil
}
