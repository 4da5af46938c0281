package convert

import (
	"crypto"
	"slices"
	"strings"

	"mailgate/internal/mail"
)

// signature is one that a message gets.
type signature struct {
	domain   string // d=
	selector string // s=
	identity string // i=, "" for none
	file     string // of the key
	inline   crypto.Signer
	at       place // where the key is named
}

// String is how a signature is shown.
func (s signature) String() string { return "d=" + s.domain + " s=" + s.selector }

// model is an old signer: the signatures of mail From local@domain, both in lower
// case. What it doesn't sign has none.
type model interface {
	sign(local, domain string) []signature
}

// known is what an old configuration names.
type known struct {
	domains   []string // in the order of the configuration
	named     map[string]bool
	addresses []address
	locals    []func(string) bool // rules about local parts
	endings   []string            // domains that patterns without a dot reach, such as notexample.com
}

type address struct{ local, domain string }

func (k *known) addDomain(name string) {
	d, err := mail.ParseDomain(name)
	if err != nil || k.named[string(d)] || len(k.domains) == maxDomains {
		return
	}
	if k.named == nil {
		k.named = map[string]bool{}
	}
	k.named[string(d)] = true
	k.domains = append(k.domains, string(d))
}

func (k *known) addAddress(local, domain string) {
	a := address{strings.ToLower(local), strings.ToLower(domain)}
	if !slices.Contains(k.addresses, a) && len(k.addresses) < maxAddresses {
		k.addresses = append(k.addresses, a)
	}
}

// Bounds on what is asked of the models.
const (
	maxDomains   = 20000
	maxAddresses = 2000
)

// anyone is a local part that no rule is about.
func (k *known) anyone() string {
	for _, name := range []string{"anyone", "someone", "everybody", "q7x"} {
		if !k.about(name) {
			return name
		}
	}
	return "zz-nobody-in-particular"
}

func (k *known) about(local string) bool {
	for _, a := range k.addresses {
		if a.local == local {
			return true
		}
	}
	return slices.ContainsFunc(k.locals, func(match func(string) bool) bool { return match(local) })
}

// below are two sub-domains of domain that the configuration doesn't name.
func (k *known) below(domain string) (one, other string) {
	var free []string
	for _, label := range []string{"sub", "other", "host", "q7x", "q8x", "q9x", "q10x"} {
		if name := label + "." + domain; !k.named[name] {
			free = append(free, name)
		}
	}
	if len(free) < 2 {
		return "zz-one." + domain, "zz-two." + domain
	}
	return free[0], free[1]
}

// normal makes the signatures of a model comparable: names in DNS form, each once.
func normal(list []signature) []signature {
	var all []signature
	for _, s := range list {
		if d, err := mail.ParseDomain(s.domain); err == nil {
			s.domain = string(d)
		}
		s.selector = strings.ToLower(s.selector)
		if !slices.ContainsFunc(all, func(o signature) bool { return o.domain == s.domain && o.selector == s.selector }) {
			all = append(all, s)
		}
	}
	return all
}

func shown(list []signature) []string {
	all := make([]string, 0, len(list))
	for _, s := range list {
		all = append(all, s.String())
	}
	slices.Sort(all)
	return all
}
