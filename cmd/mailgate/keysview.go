package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"mailgate/internal/config"
	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/rotation"
	"mailgate/internal/sign"
	"mailgate/internal/web"
)

const (
	keyListTimes  = 6 // as much as for one domain, DNS may take for all of a list
	keyLookAtOnce = 16
)

// keySet is the keys of one [[domain]], which sign together.
type keySet struct {
	domain config.Domain
	keys   []*listedKey
}

// listedKey is one of them.
type listedKey struct {
	use    rotation.Use
	key    sign.Key // its Signer is nil where it can't be read
	fault  error
	listed web.Key
}

// keyLister lists keys.
type keyLister struct {
	checker gate.Checker  // nil: DNS isn't asked
	dnsTime time.Duration // that DNS may take for the keys of one domain
	load    func(d config.Domain, u rotation.Use) (sign.Key, error)
	book    rotation.Book
	now     time.Time
}

// list is every key of the domains, those that sign together one after the other.
func (l keyLister) list(ctx context.Context, domains []config.Domain) []web.Key {
	ctx, cancel := context.WithTimeout(ctx, keyListTimes*l.dnsTime)
	defer cancel()
	sets := make([]keySet, len(domains))
	room := make(chan struct{}, keyLookAtOnce)
	var wait sync.WaitGroup
	for i, d := range domains {
		sets[i] = l.set(d)
		wait.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			l.look(ctx, sets[i])
		})
	}
	wait.Wait()
	return merge(sets)
}

// set is what is known of a domain's keys without DNS.
func (l keyLister) set(d config.Domain) keySet {
	s := keySet{domain: d}
	for _, u := range keyUses(d, l.book) {
		k := &listedKey{use: u}
		k.key, k.fault = l.load(d, u)
		k.key.Domain, k.key.Selector, k.key.Standby = d.Signer(), u.Selector, u.Standby
		k.listed = web.Key{
			Domain: string(d.Signer()), Selector: u.Selector, Name: k.key.Name(), File: u.File, For: []string{d.Pattern},
			State: web.KeyActive, Warnings: k.key.Warnings,
		}
		k.describe(d, l.now)
		s.keys = append(s.keys, k)
	}
	s.warnEd25519Only()
	return s
}

func (k *listedKey) describe(d config.Domain, now time.Time) {
	if info, err := os.Stat(k.use.File); err == nil {
		k.listed.Made = info.ModTime().UTC()
	}
	switch {
	case errors.Is(k.fault, fs.ErrPermission): // to us; the gateway may well read it
		k.listed.Why = "you may not read it, so what is published isn't compared with it: run this as root"
	case k.fault != nil:
		k.listed.State, k.listed.Problem = web.KeyUnused, keyFaultWords(k.fault)
		k.listed.Why = "the key can't be read"
	case k.use.Standby:
		k.listed.State = web.KeyStandby
	}
	if k.key.Signer != nil {
		k.listed.Algorithm, k.listed.Record = k.key.Algorithm(), k.key.Record()
	}
	if every, old := d.RotateEvery, now.Sub(k.listed.Made); every > 0 && !k.listed.Made.IsZero() && old > every && !k.use.Standby {
		k.warn("it is %s old, and rotate_every is %s: mailgate keys rotate %s", age(old), age(every), d.Signer())
	}
}

// keyFaultWords names the file once.
func keyFaultWords(err error) string {
	var unsafe *sign.UnsafeError
	if errors.As(err, &unsafe) {
		return unsafe.Error()
	}
	return err.Error()
}

func (k *listedKey) warn(format string, args ...any) {
	k.listed.Warnings = append(slices.Clone(k.listed.Warnings), fmt.Sprintf(format, args...))
}

// warnEd25519Only warns where Gmail finds no signature that it verifies.
func (s keySet) warnEd25519Only() {
	for _, k := range s.keys {
		if k.key.Signer == nil {
			return
		}
		if _, ed := k.key.Signer.Public().(ed25519.PublicKey); !ed && !k.use.Standby {
			return
		}
	}
	if len(s.keys) > 0 {
		s.keys[0].warn("Google doesn't verify Ed25519, and no RSA key signs beside it: mailgate keys generate %s --selector S", s.domain.Signer())
	}
}

// look asks DNS about the keys, as pre-flight does for mail, and so with the same
// result for which of them sign.
func (l keyLister) look(ctx context.Context, s keySet) {
	if l.checker == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, l.dnsTime)
	defer cancel()
	var id preflight.Identity
	var asked []*listedKey
	for _, k := range s.keys {
		key := preflight.Key{Domain: k.key.Domain, Selector: k.key.Selector, Standby: k.key.Standby}
		switch {
		case k.key.Signer != nil:
			key.Public = k.key.Signer.Public()
		case !errors.Is(k.fault, fs.ErrPermission): // it doesn't sign
			continue
		}
		id.Keys, asked = append(id.Keys, key), append(asked, k)
	}
	if len(asked) == 0 {
		return
	}
	report := l.checker.Check(ctx, id)
	for i, k := range asked {
		k.seen(report, report.Facts.DKIM[i])
	}
}

// seen notes what DNS says of the key.
func (k *listedKey) seen(r *preflight.Report, f preflight.KeyFact) {
	k.listed.Servers, k.listed.Serving = f.Servers, f.Serving
	for _, finding := range r.Findings {
		if finding.Selector == f.Selector {
			k.listed.Findings = append(k.listed.Findings, finding)
		}
	}
	if k.key.Signer == nil {
		return // there is nothing to compare what is published with
	}
	k.listed.Match = f.Valid
	switch {
	case f.Standby && !f.Unused:
		k.listed.State, k.listed.Why = web.KeyStandingIn, "no other key of its kind is published"
	case f.Unused && !f.Standby:
		k.listed.State = web.KeyUnused
		k.listed.Why = fmt.Sprintf("%s: %s signs", keyFinding(r, f), strings.Join(r.Facts.Signing(), " "))
	}
}

// merge puts the keys of all sets in one list, a key of several sets once.
func merge(sets []keySet) []web.Key {
	var names []string
	keys := map[string]*web.Key{}
	for _, s := range sets {
		for _, k := range s.keys {
			name := strings.ToLower(k.listed.Name)
			if known := keys[name]; known != nil {
				known.For = append(known.For, k.listed.For...)
				continue
			}
			names, keys[name] = append(names, name), &k.listed
		}
	}
	list := []web.Key{}
	for _, name := range names {
		list = append(list, *keys[name])
	}
	return list
}

// withRotations adds the keys that rotations have made and not yet put in place, and
// those that they have taken out.
func withRotations(list []web.Key, rotations []rotation.Rotation, of func(mail.Domain) bool) []web.Key {
	for _, r := range rotations {
		if !of(r.Domain) {
			continue
		}
		switch r.State {
		case rotation.Publishing, rotation.Holding:
			k := rotatedKey(list, r, r.New, r.NewName())
			k.State, k.Record = web.KeyPublishing, r.Record
			k.Why = fmt.Sprintf("to replace %s: mailgate keys rotate %s --selector %[1]s", r.Old.Selector, r.Domain)
			k.Serving, k.Servers = r.HaveIt()
			k.Match = triOf(k.Servers > 0 && k.Serving == k.Servers)
			list = setKey(list, k)
		case rotation.Signing:
			for i := range list {
				if strings.EqualFold(list[i].Name, r.OldName()) && list[i].State == web.KeyStandby {
					list[i].State, list[i].Why = web.KeyRetired, r.New.Selector+" signs in its place"
				}
			}
		case rotation.Revoking, rotation.Done:
			k := rotatedKey(list, r, r.Old, r.OldName())
			k.State, k.Record, k.Why = web.KeyRevoked, rotation.RevokedRecord, r.New.Selector+" took its place"
			if r.State == rotation.Revoking {
				k.State = web.KeyRevoking
				k.Serving, k.Servers = r.HaveIt()
			}
			list = setKey(list, k)
		}
	}
	slices.SortStableFunc(list, func(a, b web.Key) int { return cmp.Compare(a.Domain, b.Domain) })
	return list
}

func rotatedKey(list []web.Key, r rotation.Rotation, p rotation.Pair, name string) web.Key {
	k := web.Key{Domain: string(r.Domain), Selector: p.Selector, Algorithm: p.Algorithm, Name: name, File: p.File, For: []string{}}
	if info, err := os.Stat(p.File); err == nil {
		k.Made = info.ModTime().UTC()
	}
	for _, other := range list {
		if other.Domain == k.Domain {
			k.For = other.For
		}
	}
	return k
}

// setKey puts k in, in the place of what the list has under its name.
func setKey(list []web.Key, k web.Key) []web.Key {
	for i := range list {
		if strings.EqualFold(list[i].Name, k.Name) {
			list[i] = k
			return list
		}
	}
	return append(list, k)
}

func triOf(b bool) preflight.Tri {
	if b {
		return preflight.Yes
	}
	return preflight.No
}

// keyDomains are the [[domain]]s whose keys sign as d or for mail From it; all, where d
// is empty.
func keyDomains(cfg *config.Config, d mail.Domain) []config.Domain {
	var list []config.Domain
	for _, c := range cfg.Domains {
		covered := d == c.Name && !c.Wildcard || (c.Wildcard || c.SubDomains) && d != c.Name && d.IsUnder(c.Name)
		if d == "" || covered || d == c.Signer() || d == c.Name {
			list = append(list, c)
		}
	}
	return list
}
