package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"mailgate/internal/config"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// site is what is known of this site: from the configuration, if there is one.
type site struct {
	cfg        *config.Config
	keys       *sign.Keyring // empty when the keys can't be read
	unreadable bool          // the keys
}

// checkSite reads the configuration. The default one may be missing, and keys one
// may not read are a note only: check is for everybody.
func (a *app) checkSite() (*site, error) {
	none, err := sign.NewKeyring(nil)
	if err != nil {
		return nil, err
	}
	s := &site{keys: none}
	if s.cfg, err = a.configOrDefault(); err != nil {
		return nil, err
	}
	notes := &noteHandler{}
	keys, err := loadKeysBy(s.cfg, a.rotationBook(s.cfg), loaderFor(s.cfg), notes.logger())
	switch {
	case errors.Is(err, os.ErrPermission):
		s.unreadable = true
	case err != nil:
		return nil, coded(exitConfig, err)
	default:
		s.keys = keys
	}
	return s, nil
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
			return id, usageError(fmt.Errorf("--mail-from %q: %w", f.mailFrom, err))
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

// keysOf are the configured keys of a domain.
func (s *site) keysOf(t checkTarget) []sign.Key {
	if t.wildcard {
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
	if s.unreadable && len(selectors) == 0 {
		selectors = s.selectors(id.From)
	}
	for _, selector := range selectors {
		if err := sign.CheckSelector(selector); err != nil {
			return usageError(fmt.Errorf("--selector %q: %w", selector, err))
		}
		known := slices.ContainsFunc(id.Keys, func(k preflight.Key) bool { return k.Selector == selector })
		if !known {
			id.Keys = append(id.Keys, preflight.Key{Domain: id.From, Selector: selector})
		}
	}
	return nil
}

// selectors are the configured ones of a domain whose keys can't be read.
func (s *site) selectors(d mail.Domain) []string {
	var list []string
	for _, configured := range s.cfg.Domains {
		if configured.Name != d {
			continue
		}
		for _, k := range configured.Keys {
			list = append(list, k.Selector)
		}
	}
	return list
}

// notesOn says what is not known of an identity.
func (s *site) notesOn(id preflight.Identity) []string {
	var notes []string
	if s.unreadable {
		notes = append(notes, "the signing keys can't be read, so published keys are not compared with them: run this as root")
	}
	return append(notes, lackOf(id)...)
}

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
