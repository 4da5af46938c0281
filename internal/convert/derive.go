package convert

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"mailgate/internal/mail"
	"mailgate/internal/sign"
)

// derive finds the domains of the new configuration by asking the old signer, and
// then where the two differ.
func (p *Plan) derive(m model, k known, t *tree, o Options) {
	d := deriver{plan: p, tree: t, model: m, known: k, options: o, files: map[string]string{}}
	d.run()
	p.differ(m, k)
}

type deriver struct {
	plan    *Plan
	tree    *tree
	model   model
	known   known
	options Options
	files   map[string]string // where the key is from, by record
}

func (d *deriver) run() {
	anyone := d.known.anyone()
	// Parents come first, so that what a wildcard says already isn't said again.
	order := slices.Clone(d.known.domains)
	slices.SortStableFunc(order, func(a, b string) int { return strings.Count(a, ".") - strings.Count(b, ".") })
	entries := map[string][]Domain{}
	for _, name := range order {
		if exact, ok := d.domain(name, normal(d.model.sign(anyone, name))); ok {
			entries[name] = append(entries[name], exact)
		}
		if below, ok := d.wildcard(anyone, name); ok {
			entries[name] = append(entries[name], below)
		}
		d.plan.index(entries[name])
	}
	for _, name := range d.known.domains {
		d.plan.Domains = append(d.plan.Domains, entries[name]...)
	}
	d.plan.join()
	d.partly()
}

// partly finds the domains that aren't signed but for some addresses. Where these have
// different keys, the first one's is shown: the others differ.
func (d *deriver) partly() {
	anyone := d.known.anyone()
	shows := map[string][]signature{} // by domain
	at := map[string]int{}
	for _, a := range d.known.addresses {
		name, err := mail.ParseDomain(a.domain)
		if err != nil || !d.known.named[string(name)] || len(d.plan.signs(string(name))) > 0 {
			continue
		}
		if len(d.model.sign(anyone, string(name))) > 0 {
			continue // all of it was, with a key that can't be had
		}
		signatures := normal(d.model.sign(a.local, a.domain))
		i, found := at[string(name)]
		if !found {
			entry, ok := d.domain(string(name), signatures)
			if !ok {
				continue
			}
			i = len(d.plan.Partly)
			at[string(name)], shows[string(name)] = i, signatures
			d.plan.Partly = append(d.plan.Partly, Partly{Domain: entry})
		}
		if slices.EqualFunc(signatures, shows[string(name)], sameKey) {
			d.plan.Partly[i].Addresses = append(d.plan.Partly[i].Addresses, a.local+"@"+a.domain)
		}
	}
}

func sameKey(a, b signature) bool {
	return a.String() == b.String() && a.file == b.file
}

// join says "subdomains" where a domain and its wildcard say the same. It does so for
// all or none: mailgate looks for a parent with subdomains first, however near a
// wildcard is.
func (p *Plan) join() {
	var joined []Domain
	for _, d := range p.Domains {
		if !strings.HasPrefix(d.Pattern, "*.") {
			joined = append(joined, d)
			continue
		}
		last := len(joined) - 1
		if last < 0 || "*."+joined[last].Pattern != d.Pattern || joined[last].signer() != d.signer() || !slices.Equal(joined[last].Keys, d.Keys) {
			return
		}
		joined[last].SubDomains = true
	}
	p.Domains = joined
	p.patterns = nil
	p.index(joined)
}

// wildcard is the entry for the sub-domains of name that have none of their own;
// false when they aren't signed, each as itself, or as a parent's says already.
func (d *deriver) wildcard(anyone, name string) (Domain, bool) {
	one, other := d.known.below(name)
	signatures := normal(d.model.sign(anyone, one))
	second := normal(d.model.sign(anyone, other))
	if len(signatures) == 0 || !slices.Equal(shown(signatures), shown(second)) {
		return Domain{}, false
	}
	if slices.Equal(shown(signatures), shown(d.plan.signs(one))) {
		return Domain{}, false
	}
	for i := range signatures {
		if second[i].file != signatures[i].file {
			return Domain{}, false // each has a key of its own
		}
		if second[i].identity != signatures[i].identity {
			d.plan.note(Differs, signatures[i].at, "i=", "the identity of each sub-domain of "+name+" is its own; mailgate leaves i= out, which means @"+signatures[i].domain, "")
			signatures[i].identity = ""
		}
	}
	return d.domain("*."+name, signatures)
}

// domain makes an entry. Mailgate signs each From domain as one domain: the one
// aligned with From, where there are several.
func (d *deriver) domain(pattern string, signatures []signature) (Domain, bool) {
	if len(signatures) == 0 {
		return Domain{}, false
	}
	name := strings.TrimPrefix(pattern, "*.")
	as := aligned(signatures, name)
	entry := Domain{Pattern: pattern}
	if as != name {
		entry.SignAs = as
	}
	for _, s := range signatures {
		if s.domain != as {
			d.plan.note(Left, s.at, s.String(), "a second signing domain for mail From "+pattern+": mailgate signs it as "+as+" only", "")
			continue
		}
		if key, ok := d.key(s); ok {
			entry.Keys = append(entry.Keys, key)
		}
	}
	return entry, len(entry.Keys) > 0
}

func aligned(signatures []signature, name string) string {
	best := ""
	for _, s := range signatures {
		if (name == s.domain || strings.HasSuffix(name, "."+s.domain)) && len(s.domain) > len(best) {
			best = s.domain
		}
	}
	if best == "" {
		return signatures[0].domain
	}
	return best
}

func (d *deriver) key(s signature) (Key, bool) {
	if _, err := mail.ParseDomain(s.domain); err != nil {
		d.plan.note(Left, s.at, s.String(), err.Error(), "")
		return Key{}, false
	}
	if err := sign.CheckSelector(s.selector); err != nil {
		d.plan.note(Left, s.at, s.String(), err.Error(), "make a key with another selector: mailgate keys generate "+s.domain+" --selector NAME")
		return Key{}, false
	}
	if s.inline != nil && d.options.Keys == "" {
		d.plan.note(Left, s.at, s.String(), "the private key stands in the configuration itself; mailgate reads keys from files", "run again with --write-keys DIRECTORY")
		return Key{}, false
	}
	if d.options.Keys != "" && s.inline == nil {
		s.inline = d.copied(s)
	}
	from := s.file
	if s.inline != nil {
		s.file = fmt.Sprintf("%s/%s.%s.pem", strings.TrimRight(d.options.Keys, "/"), s.domain, s.selector)
	}
	if from == "" {
		from = s.file
	}
	record := s.selector + "._domainkey." + s.domain
	if other, taken := d.files[record]; taken && other != from {
		d.plan.note(Left, s.at, s.String(), fmt.Sprintf("a second key for the record %s: %s, beside %s", record, from, other), "only one can be published there: find out which, or give one another selector")
		return Key{}, false
	}
	if _, told := d.files[record]; !told && s.inline != nil {
		d.plan.Inline = append(d.plan.Inline, Inline{s.file, s.inline})
	}
	d.files[record] = from
	return Key{s.selector, s.file, d.identity(s)}, true
}

// copied is the key of a file that is to be copied; nil where it can't be, which
// checkKeys tells of the file itself.
func (d *deriver) copied(s signature) crypto.Signer {
	data, err := d.tree.read(s.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		d.plan.note(Mend, place{file: s.file}, "", "the key isn't copied: "+cause(err).Error(), "")
	}
	if err != nil {
		return nil
	}
	key, warnings, err := sign.ParseKey(data)
	if err != nil {
		return nil
	}
	d.plan.warn(s.file, warnings)
	return key
}

// identity is i= as mailgate takes it; what the old signer would leave out is "".
func (d *deriver) identity(s signature) string {
	at := strings.LastIndexByte(s.identity, '@')
	if at < 0 {
		return ""
	}
	domain, err := mail.ParseDomain(s.identity[at+1:])
	if err != nil || !domain.IsUnder(mail.Domain(s.domain)) {
		return ""
	}
	if at == 0 && string(domain) == s.domain {
		return "" // what it means without
	}
	if _, err := mail.ParsePath(s.identity); at > 0 && err != nil {
		d.plan.note(Left, s.at, "i="+s.identity, err.Error(), "")
		return ""
	}
	return s.identity[:at] + "@" + string(domain)
}
