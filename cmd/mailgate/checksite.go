package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"mailgate/internal/config"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// site is what is known of this site: from the configuration, if there is one.
type site struct {
	cfg    *config.Config
	keys   *sign.Keyring    // of the domains whose keys can be read
	faults map[string]error // why those of the others can't, by pattern
	aside  error            // why the configuration itself is left aside; nil: it isn't
}

// checkSite reads the configuration. The default one may be missing, and a key that
// can't be read concerns its domain only: check is for everybody, and for when
// something is broken.
func (a *app) checkSite() (*site, error) {
	cfg, err := a.configOrDefault()
	if err != nil {
		return nil, err
	}
	s := &site{cfg: cfg, faults: map[string]error{}}
	book := a.rotationBook(cfg)
	load := func(domains []config.Domain) (*sign.Keyring, error) {
		of := *cfg
		of.Domains = domains
		return loadKeysBy(&of, book, loaderFor(cfg), (&noteHandler{}).logger())
	}
	if s.keys, err = load(cfg.Domains); err == nil {
		return s, nil
	}
	var readable []config.Domain
	for _, d := range cfg.Domains {
		if _, err := load([]config.Domain{d}); err != nil {
			s.faults[d.Pattern] = err
			continue
		}
		readable = append(readable, d)
	}
	if s.keys, err = load(readable); err != nil {
		return nil, coded(exitConfig, err)
	}
	return s, nil
}

// siteAside is that of somebody who says all on the command line, where the
// configuration can't be used.
func (a *app) siteAside(why error) (*site, error) {
	cfg, err := config.Parse(nil, a.config)
	if err != nil {
		return nil, err
	}
	none, err := sign.NewKeyring(nil)
	return &site{cfg: cfg, keys: none, aside: why}, err
}

// configured is the [[domain]] that has the keys for mail from d, as sign.Keyring.For
// finds them.
func (s *site) configured(t checkTarget) (found config.Domain, ok bool) {
	pattern := func(want string, subDomains bool) bool {
		at := slices.IndexFunc(s.cfg.Domains, func(c config.Domain) bool { return c.Pattern == want && (c.SubDomains || !subDomains) })
		if at >= 0 {
			found = s.cfg.Domains[at]
		}
		return at >= 0
	}
	if !t.wildcard && pattern(string(t.domain), false) {
		return found, true
	}
	above := t.domain.Parent()
	if t.wildcard {
		above = t.domain
	}
	for d := above; d != ""; d = d.Parent() {
		if pattern(string(d), true) {
			return found, true
		}
	}
	for d := above; d != ""; d = d.Parent() {
		if pattern("*."+string(d), false) {
			return found, true
		}
	}
	return found, false
}

// fault says why the keys of a domain can't be read; nil where they can, or there are
// none.
func (s *site) fault(t checkTarget) error {
	d, _ := s.configured(t)
	return s.faults[d.Pattern]
}

// hidden reports that somebody else may read the keys of a domain.
func (s *site) hidden(t checkTarget) bool { return errors.Is(s.fault(t), fs.ErrPermission) }

// broken is the fault of keys that nobody can read.
func (s *site) broken(t checkTarget) error {
	if s.hidden(t) {
		return nil
	}
	return s.fault(t)
}

// identity is what mail from a domain has, by the configuration and the flags.
func (s *site) identity(domain mail.Domain, f checkFlags) (preflight.Identity, error) {
	return s.identityOf(checkTarget{domain: domain}, f)
}

func (s *site) identityOf(t checkTarget, f checkFlags) (preflight.Identity, error) {
	id := preflight.Identity{From: t.domain, MailFrom: t.domain, Helo: s.cfg.Hostname, Egress: s.cfg.Egress}
	if f.mailFrom != "" {
		d, err := mail.ParseDomain(f.mailFrom)
		if err != nil {
			return id, usageError(fmt.Errorf("--mail-from: %w", err))
		}
		id.MailFrom = d
	}
	if len(f.ips) > 0 {
		id.Egress = nil
	}
	for _, ip := range f.ips {
		address, err := netip.ParseAddr(ip)
		if err != nil || address.Zone() != "" {
			return id, usageError(fmt.Errorf("--ip %q is no IP address", ip))
		}
		id.Egress = append(id.Egress, address.Unmap())
	}
	return id, s.addKeys(&id, t, f.selectors)
}

// keysOf are the configured keys of a domain, as far as they can be read.
func (s *site) keysOf(t checkTarget) []sign.Key {
	switch {
	case s.fault(t) != nil: // and none of a domain above it
		return nil
	case t.wildcard:
		return s.keys.For("any." + t.domain)
	}
	return s.keys.For(t.domain)
}

// addKeys puts in the keys to look for: the configured ones, or bare selectors.
func (s *site) addKeys(id *preflight.Identity, t checkTarget, selectors []string) error {
	for _, k := range s.keysOf(t) {
		if len(selectors) == 0 || slices.Contains(selectors, k.Selector) {
			id.Keys = append(id.Keys, preflight.Key{Domain: k.Domain, Selector: k.Selector, Public: k.Signer.Public(), Standby: k.Standby})
		}
	}
	signer := id.From
	if d, _ := s.configured(t); s.fault(t) != nil {
		signer = d.Signer()
		if len(selectors) == 0 {
			selectors = selectorsOf(d)
		}
	}
	for _, selector := range selectors {
		if err := sign.CheckSelector(selector); err != nil {
			return usageError(fmt.Errorf("--selector: %w", err))
		}
		known := slices.ContainsFunc(id.Keys, func(k preflight.Key) bool { return k.Selector == selector })
		if !known {
			id.Keys = append(id.Keys, preflight.Key{Domain: signer, Selector: selector})
		}
	}
	return nil
}

func selectorsOf(d config.Domain) []string {
	var list []string
	for _, k := range d.Keys {
		list = append(list, k.Selector)
	}
	return list
}

// notesOn says what is not known of a domain.
func (s *site) notesOn(t checkTarget) []string {
	var notes []string
	if s.aside != nil {
		notes = append(notes, "the configuration can't be used and is left aside, with its [dns] settings: "+oneLine(s.aside))
	}
	switch fault := s.fault(t); {
	case s.hidden(t):
		notes = append(notes, "the signing keys can't be read, so published keys are not compared with them: run this as root")
	case fault != nil:
		notes = append(notes, oneLine(fault)+": what is published is not compared with it, and the gateway would not start")
	}
	return append(notes, lackOf(t.id)...)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// lackOf says what a verdict would need and isn't known.
func lackOf(id preflight.Identity) []string {
	var lacks []string
	if len(id.Keys) == 0 {
		lacks = append(lacks, "no selector is known, so DKIM was not checked: give --selector, or a configuration with keys for the domain")
	}
	if len(id.Egress) == 0 {
		lacks = append(lacks, "no egress address is known, so SPF can't be predicted: give --ip, or a configuration with egress")
	}
	return lacks
}
