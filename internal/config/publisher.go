package config

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"mailgate/internal/mail"
)

// Provider is a DNS host with an interface by which records can be written.
type Provider string

const (
	RFC2136    Provider = "rfc2136" // dynamic update with TSIG: BIND, Knot, PowerDNS
	Cloudflare Provider = "cloudflare"
	Aliyun     Provider = "alidns"
	Route53    Provider = "route53"
)

// Publisher is an account at a DNS host. What it needs to be let in is in files or in
// the environment, never here.
type Publisher struct {
	Name         string // by which a domain names it
	Provider     Provider
	Zone         mail.Domain // that its records are in; empty: the zone each name is in
	Server       string      // rfc2136: "host:port" of the zone's primary server
	KeyName      string      // rfc2136: of the TSIG key
	KeyAlgorithm string      // rfc2136: "hmac-sha256"
	KeyID        string      // alidns, route53: of the access key
	SecretFile   string      // TSIG key, API token or secret access key; empty: the environment
	Region       string      // route53
}

// SecretVariable is the variable of the environment that a publisher's secret is in,
// where it has no SecretFile.
func (p Publisher) SecretVariable() string {
	return "MAILGATE_" + strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_")) + "_SECRET"
}

// Keys is how signing keys are looked after.
type Keys struct {
	Dir         string        // of new key files; empty: beside the key that is replaced
	RotateEvery time.Duration // 0: only when told to
	Grace       time.Duration // that an old key stays published after another has taken its place
}

var publisherName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// publishers reads every [[publisher]].
func (b *builder) publishers() []Publisher {
	var list []Publisher
	seen := map[string]string{}
	for i, in := range b.in.Publisher {
		path := fmt.Sprintf("publisher[%d]", i)
		p := b.publisher(path, in)
		if first, ok := seen[p.Name]; ok && p.Name != "" {
			b.src.fail(path+".name", "%s is already %s", p.Name, first)
		} else {
			seen[p.Name] = path
		}
		list = append(list, p)
	}
	return list
}

func (b *builder) publisher(path string, in filePublisher) Publisher {
	p := Publisher{
		Name:     one(b, path+".name", in.Name, parsePublisherName),
		Provider: enum(b, path+".provider", in.Provider, RFC2136, Cloudflare, Aliyun, Route53),
		Zone:     optional(b, path+".zone", in.Zone, mail.ParseDomain),
		KeyName:  in.KeyName, KeyID: in.KeyID, Region: in.Region,
		Server: optional(b, path+".server", in.Server, destination),
	}
	if in.SecretFile != "" {
		p.SecretFile = b.file(path+".secret_file", in.SecretFile)
	}
	if p.Provider == "" {
		return p // told; what the keys mean hangs on it
	}
	if p.Provider != RFC2136 {
		b.onlyFor(path, p.Provider, map[string]string{"server": in.Server, "key_name": in.KeyName, "key_algorithm": in.KeyAlgorithm})
	} else {
		b.onlyFor(path, p.Provider, map[string]string{"key_id": in.KeyID, "region": in.Region})
		p.KeyAlgorithm = enum(b, path+".key_algorithm", cmp.Or(in.KeyAlgorithm, "hmac-sha256"), "hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha1")
		if in.Server == "" {
			b.src.fail(path+".server", `is missing: want the zone's primary server, as "192.0.2.53:53"`)
		}
		if in.KeyName == "" {
			b.src.fail(path+".key_name", "is missing: want the name of the TSIG key")
		}
	}
	if p.Provider == Cloudflare {
		b.onlyFor(path, p.Provider, map[string]string{"key_id": in.KeyID, "region": in.Region})
	}
	if p.Provider == Aliyun {
		b.onlyFor(path, p.Provider, map[string]string{"region": in.Region})
		if in.KeyID == "" {
			b.src.fail(path+".key_id", `is missing: "alidns" needs the id of the access key`)
		}
	}
	if p.Provider == Route53 && in.SecretFile != "" && in.KeyID == "" {
		b.src.fail(path+".key_id", "is missing: secret_file has the secret of an access key, and this is its id")
	}
	return p
}

// onlyFor refuses keys that mean nothing to a provider.
func (b *builder) onlyFor(path string, p Provider, values map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if values[key] != "" {
			b.src.fail(path+"."+key, "means nothing to %q: leave it out", string(p))
		}
	}
}

func parsePublisherName(s string) (string, error) {
	if !publisherName.MatchString(s) {
		return "", fmt.Errorf("%s: want a name of your choice, of small letters, digits and hyphens, by which domains name it", shown(s))
	}
	return s, nil
}

func (b *builder) keys() Keys {
	in := b.in.SigningKeys
	k := Keys{
		RotateEvery: optional(b, "keys.rotate_every", in.RotateEvery, parseRotateEvery),
		Grace:       one(b, "keys.grace", in.Grace, ParseDuration),
	}
	if in.Dir != "" {
		k.Dir = b.file("keys.dir", in.Dir)
	}
	return k
}

// minRotateEvery keeps the time of a rotation, the grace included, shorter than the
// time between two.
const minRotateEvery = 24 * time.Hour

func parseRotateEvery(s string) (time.Duration, error) {
	d, err := parseSpan(s)
	if err == nil && d > 0 && d < minRotateEvery {
		return 0, fmt.Errorf(`%s is too often: want at least a day, as "180d"`, shown(s))
	}
	return d, err
}

// rotateEvery is a domain's, or else what holds for all.
func (b *builder) rotateEvery(path, s string) time.Duration {
	if s != "" {
		return one(b, path, s, parseRotateEvery)
	}
	all, _ := parseRotateEvery(b.in.SigningKeys.RotateEvery) // its fault is told at its own place
	return all
}

// domainPublisher finds the publisher a domain names.
func (b *builder) domainPublisher(path, name string) string {
	if name == "" {
		return ""
	}
	for _, p := range b.in.Publisher {
		if p.Name == name {
			return name
		}
	}
	b.src.fail(path, "%s is no [[publisher]] of this file", shown(name))
	return ""
}

// queueLife is for how long mail servers keep trying at least (RFC 5321, section
// 4.5.4.1).
const queueLife = 4 * 24 * time.Hour

func (c *Config) warnKeys(w *warner) {
	w.add(len(c.Domains) > 0 && c.Keys.Grace < queueLife,
		"keys.grace: %s is short: mail that the old key signed may be on its way for days, and is refused once the key is revoked; want at least 4d", c.Keys.Grace)
	owner := map[mail.Domain]Domain{}
	for _, d := range c.Domains {
		if _, ok := owner[d.Signer()]; !ok || d.ownKeys() {
			owner[d.Signer()] = d
		}
	}
	for _, d := range c.Domains {
		o := owner[d.Signer()]
		other := d.Publisher != o.Publisher
		w.add(other && o.ownKeys() && d.Publisher != "",
			"domain %s: signs with the keys of %s, which the publisher named there writes, if any, and not %q", d.Pattern, o.Name, d.Publisher)
		w.add(other && !o.ownKeys(),
			"domain %s: signs as %s, and so does %s, with another publisher: no publisher writes new keys of %s", d.Pattern, o.Signer(), o.Pattern, o.Signer())
	}
}

// ownKeys: the domain is the one its keys are of.
func (d Domain) ownKeys() bool { return d.Name == d.Signer() && !d.Wildcard }
