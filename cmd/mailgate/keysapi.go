package main

import (
	"context"
	"crypto"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"mailgate/internal/config"
	"mailgate/internal/mail"
	"mailgate/internal/rotation"
	"mailgate/internal/sign"
	"mailgate/internal/web"
)

// keysAPI implements web.Keys.
type keysAPI struct{ g *gateway }

// Keys implements web.Keys.
func (v keysAPI) Keys(ctx context.Context, q web.KeyQuery) (web.KeyList, error) {
	domain, err := keyDomain(q.Domain)
	if err != nil {
		return web.KeyList{}, fmt.Errorf("%w: %w", errQuery, err)
	}
	l := v.g.live.Load()
	loaded := map[string]sign.Key{}
	for _, k := range l.gate.Keys().Keys() {
		loaded[k.Name()] = k
	}
	book := v.g.rotations.Book()
	lister := keyLister{dnsTime: v.g.timeForDNS(), book: book, now: time.Now(), load: func(d config.Domain, u rotation.Use) (sign.Key, error) {
		k, ok := loaded[sign.Key{Domain: d.Signer(), Selector: u.Selector}.Name()]
		if !ok {
			return k, fmt.Errorf("%s was not read", u.File)
		}
		k.Warnings = slices.Clone(k.Warnings)
		if err := sign.CheckFile(u.File, os.Geteuid()); err != nil { // it is in memory, but would not be read again
			k.Warnings = append(k.Warnings, err.Error())
		}
		return k, nil
	}}
	if !q.NoDNS {
		lister.checker = l.view.checker
	}
	domains := keyDomains(l.cfg, domain)
	keys := lister.list(ctx, domains)
	return web.KeyList{Source: "gateway", Keys: withRotations(keys, book.All(), signersOfAny(domains))}, nil
}

func keyDomain(name string) (mail.Domain, error) {
	if name == "" {
		return "", nil
	}
	d, err := mail.ParseDomain(name)
	if err != nil {
		return "", err
	}
	return d, nil
}

// signersOfAny tells the signing domains of some [[domain]]s.
func signersOfAny(domains []config.Domain) func(mail.Domain) bool {
	return func(d mail.Domain) bool {
		return slices.ContainsFunc(domains, func(c config.Domain) bool { return c.Signer() == d })
	}
}

// configuredKeys lists the keys by the configuration alone.
func (a *app) configuredKeys(ctx context.Context, cfg *config.Config, q web.KeyQuery) (web.KeyList, error) {
	domain, err := keyDomain(q.Domain)
	if err != nil {
		return web.KeyList{}, usageError(err)
	}
	list := web.KeyList{Source: "configuration"}
	lister := keyLister{dnsTime: a.timeForDNS(), now: time.Now(), load: func(_ config.Domain, u rotation.Use) (sign.Key, error) {
		signer, warnings, err := loadOthersKey(u.File)
		return sign.Key{Signer: signer, Identity: u.Identity, Warnings: warnings}, err
	}}
	if !q.NoDNS {
		view, err := newView(cfg.DNS, a.quietWiring())
		if err != nil {
			return list, coded(exitConfig, err)
		}
		defer view.resolver.Close()
		lister.checker = view.checker
	}
	list.Keys = lister.list(ctx, keyDomains(cfg, domain))
	return list, nil
}

// keyLoader reads a key file: sign.LoadKey for the gateway itself, loaderFor for who
// looks at what it has.
type keyLoader func(file string) (key crypto.Signer, warnings []string, err error)

// loaderFor reads keys as the gateway of that configuration would; root may look at those
// of one that runs as another user.
func loaderFor(cfg *config.Config) keyLoader {
	uid := os.Geteuid()
	if uid == 0 {
		if uid = gatewayUser(cfg); uid < 0 {
			return loadOthersKey
		}
	}
	return func(file string) (crypto.Signer, []string, error) { return sign.LoadKeyAs(file, uid) }
}

// loadOthersKey reads a key as its owner would, whom the gateway runs as then. Those who
// are neither that user nor root may not.
func loadOthersKey(file string) (crypto.Signer, []string, error) {
	uid, err := readerOf(file)
	if err != nil {
		return nil, nil, err
	}
	return sign.LoadKeyAs(file, uid)
}

// readerOf is as whom a private file is read: root looks at it as its owner would.
func readerOf(file string) (uid int, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	uid = os.Geteuid()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != uid {
		if uid != 0 {
			return 0, &fs.PathError{Op: "open", Path: file, Err: fs.ErrPermission}
		}
		uid = int(stat.Uid)
	}
	return uid, nil
}
