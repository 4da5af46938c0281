package sign

import (
	"crypto"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"mailgate/internal/mail"
)

// DomainKeys is one [[domain]] of the configuration.
type DomainKeys struct {
	Pattern    string      // "example.com", or "*.example.com" for its sub-domains of any depth
	SignAs     mail.Domain // d=; zero: the domain of Pattern, for a wildcard the domain under the "*."
	SubDomains bool        // sub-domains of Pattern sign as Pattern
	Keys       []Key       // at least one; an empty Key.Domain is filled in with d=
}

// Keyring says which keys sign mail From which domain. It is immutable and safe
// for concurrent use.
type Keyring struct {
	exact   map[mail.Domain][]Key // From domain is this one
	parents map[mail.Domain][]Key // From domain is below, by SubDomains
	wild    map[mail.Domain][]Key // From domain is below, by "*."
	keys    map[string]Key        // by Key.Name
	domains []mail.Domain
}

// NewKeyring checks the domains and their keys and indexes them. A pattern given
// twice, a pattern without keys and two different keys to be published at one name
// are errors.
func NewKeyring(domains []DomainKeys) (*Keyring, error) {
	r := &Keyring{
		exact:   map[mail.Domain][]Key{},
		parents: map[mail.Domain][]Key{},
		wild:    map[mail.Domain][]Key{},
		keys:    map[string]Key{},
	}
	for _, d := range domains {
		if err := r.add(d); err != nil {
			return nil, fmt.Errorf("domain %s: %w", d.Pattern, err)
		}
	}
	slices.Sort(r.domains)
	r.domains = slices.Compact(r.domains)
	return r, nil
}

func (r *Keyring) add(d DomainKeys) error {
	name, wildcard := strings.CutPrefix(d.Pattern, "*.")
	domain, err := mail.ParseDomain(name)
	if err != nil {
		return err
	}
	keys, err := r.prepare(d, domain)
	if err != nil {
		return err
	}
	index := r.exact
	if wildcard {
		index = r.wild
	}
	if _, twice := index[domain]; twice {
		return errors.New("given twice")
	}
	if wildcard && d.SubDomains {
		return errors.New("a wildcard covers the sub-domains already")
	}
	index[domain] = keys
	if d.SubDomains {
		r.parents[domain] = keys
	}
	r.domains = append(r.domains, domain)
	return nil
}

// prepare gives the keys of d their signing domain and checks them.
func (r *Keyring) prepare(d DomainKeys, domain mail.Domain) ([]Key, error) {
	if len(d.Keys) == 0 {
		return nil, errors.New("no keys")
	}
	if d.SignAs != "" {
		domain = d.SignAs
	}
	keys := slices.Clone(d.Keys)
	selectors := map[string]bool{}
	for i := range keys {
		if keys[i].Domain == "" {
			keys[i].Domain = domain
		}
		if keys[i].Domain != domain {
			return nil, fmt.Errorf("key %s doesn't sign as %s", keys[i].Name(), domain)
		}
		if err := keys[i].check(); err != nil {
			return nil, err
		}
		if selector := strings.ToLower(keys[i].Selector); selectors[selector] {
			return nil, fmt.Errorf("selector %s given twice", selector)
		} else {
			selectors[selector] = true
		}
		if err := r.publish(keys[i]); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// publish claims the name of k's record: there can be one key at each.
func (r *Keyring) publish(k Key) error {
	name := strings.ToLower(k.Name())
	if other, taken := r.keys[name]; taken && !samePublic(other.Signer, k.Signer) {
		return fmt.Errorf("two different keys for %s", name)
	}
	r.keys[name] = k
	return nil
}

func samePublic(a, b crypto.Signer) bool {
	key, ok := a.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b.Public())
}

// For returns all keys that sign mail From this domain; none when it isn't ours.
// The domain itself comes first, then the nearest parent whose sub-domains sign
// as it, then the nearest wildcard. The slice is shared: don't change it.
func (r *Keyring) For(from mail.Domain) []Key {
	if keys, ok := r.exact[from]; ok {
		return keys
	}
	if keys := nearest(r.parents, from); keys != nil {
		return keys
	}
	return nearest(r.wild, from)
}

// ForHost returns the keys for what a host writes itself: those for its name, or else
// for the nearest parent domain, with which it is aligned (relaxed, RFC 9989). It is
// not for what others write in the host's name.
func (r *Keyring) ForHost(host mail.Domain) []Key {
	for d := host; d != ""; d = d.Parent() {
		if keys := r.For(d); len(keys) > 0 {
			return keys
		}
	}
	return nil
}

func nearest(index map[mail.Domain][]Key, from mail.Domain) []Key {
	if len(index) == 0 {
		return nil
	}
	for d := from.Parent(); d != ""; d = d.Parent() {
		if keys, ok := index[d]; ok {
			return keys
		}
	}
	return nil
}

// Domains lists the configured domains, sorted; of a wildcard, the domain under
// the "*.".
func (r *Keyring) Domains() []mail.Domain { return slices.Clone(r.domains) }

// Sets goes through the keys that sign together, those of one configured domain after
// the other. The slices are shared: don't change them.
func (r *Keyring) Sets() iter.Seq[[]Key] {
	return func(yield func([]Key) bool) {
		for _, index := range []map[mail.Domain][]Key{r.exact, r.wild} {
			for _, keys := range index {
				if !yield(keys) {
					return
				}
			}
		}
	}
}

// Keys lists every key once, sorted by Key.Name: the records to publish.
func (r *Keyring) Keys() []Key {
	return slices.SortedFunc(maps.Values(r.keys), func(a, b Key) int {
		return strings.Compare(a.Name(), b.Name())
	})
}
