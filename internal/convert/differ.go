package convert

import (
	"slices"
	"strings"
)

// maxDifferences bounds the table of differences.
const maxDifferences = 200

// unlisted is a domain that no configuration names.
const unlisted = "unlisted.example"

func (p *Plan) index(list []Domain) {
	if p.patterns == nil {
		p.patterns = map[string]Domain{}
	}
	for _, d := range list {
		p.patterns[d.Pattern] = d
	}
}

// signs is what mailgate signs mail From domain with: as sign.Keyring chooses.
func (p *Plan) signs(domain string) []signature {
	d, ok := p.patterns[domain]
	if !ok {
		d, ok = p.above(domain, func(parent string) (Domain, bool) {
			d, ok := p.patterns[parent]
			return d, ok && d.SubDomains
		})
	}
	if !ok {
		d, ok = p.above(domain, func(parent string) (Domain, bool) {
			d, ok := p.patterns["*."+parent]
			return d, ok
		})
	}
	if !ok {
		return nil
	}
	var all []signature
	for _, k := range d.Keys {
		all = append(all, signature{domain: d.signer(), selector: k.Selector, file: k.File})
	}
	return all
}

func (p *Plan) above(domain string, find func(parent string) (Domain, bool)) (Domain, bool) {
	for {
		_, parent, ok := strings.Cut(domain, ".")
		if !ok {
			return Domain{}, false
		}
		if d, ok := find(parent); ok {
			return d, true
		}
		domain = parent
	}
}

// differ asks the old signer and the plan about the same addresses.
func (p *Plan) differ(m model, k known) {
	anyone := k.anyone()
	compare := func(local, domain, why string) {
		row := Difference{From: local + "@" + domain, Old: shown(normal(m.sign(local, domain))), New: shown(p.signs(domain))}
		if slices.Equal(row.Old, row.New) {
			return
		}
		if len(p.Differences) == maxDifferences {
			p.NotShown++
			return
		}
		if row.Why = why; why == "" {
			row.Why = p.why(row, domain, k)
		}
		p.Differences = append(p.Differences, row)
	}
	for _, name := range k.domains {
		one, _ := k.below(name)
		deep := "a." + one
		compare(anyone, name, "")
		compare(anyone, one, "")
		if !slices.Equal(shown(normal(m.sign(anyone, one))), shown(normal(m.sign(anyone, deep)))) {
			compare(anyone, deep, "")
		}
	}
	for _, a := range k.addresses {
		if slices.Equal(shown(normal(m.sign(a.local, a.domain))), shown(normal(m.sign(anyone, a.domain)))) {
			continue // as everybody there: told above
		}
		why := "a rule for this address: mailgate chooses by the domain alone"
		if slices.ContainsFunc(p.Partly, func(d Partly) bool { return slices.Contains(d.Addresses, a.local+"@"+a.domain) }) {
			why += "; a [[domain]] for all of it is there as a comment"
		}
		compare(a.local, a.domain, why)
	}
	for _, name := range k.endings[:min(len(k.endings), maxDifferences)] {
		compare(anyone, name, "a pattern without a dot: any name that ends so was signed")
	}
	compare(anyone, unlisted, "")
}

func (p *Plan) why(row Difference, domain string, k known) string {
	switch {
	case len(row.Old) == 0:
		return "a wildcard of mailgate reaches sub-domains of any depth"
	case domain == unlisted:
		return "every domain was signed: mailgate signs the domains it is told; add a [[domain]] for each of yours that isn't there"
	case len(row.New) == 0 && !k.named[domain]:
		return "a rule for any name: mailgate needs a [[domain]] for each that is used"
	case len(row.New) == 0:
		return "not taken over: see the notes"
	case len(row.Old) > len(row.New):
		return "mailgate signs each From domain as one domain"
	}
	return "not expressed alike: see the notes"
}
