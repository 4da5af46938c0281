package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"mailgate/internal/advise"
	"mailgate/internal/config"
	"mailgate/internal/dnsview"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// generatedKey is what is to be told of a new key without asking DNS.
func (a *app) generatedKey(cfg *config.Config, key sign.Key, place keyPlace, owner keyOwner) *generated {
	g := &generated{
		Domain: string(key.Domain), Selector: key.Selector, Algorithm: key.Algorithm(),
		File: place.file, Owner: owner.name, Name: key.Name(), Record: key.Record(), Notes: []string{}, place: place,
	}
	g.kindNotes(cfg, key, a.command)
	uid := os.Geteuid()
	if owner.Owner != nil {
		uid = owner.UID
	}
	if err := sign.CheckFile(place.file, uid); err != nil {
		g.note("the gateway will refuse the file: %v", err)
	}
	where := "the configuration"
	if cfg != nil {
		where = cfg.Path
	}
	g.Next = []string{"publish the record, and see that the world has it: " + a.command("check", string(key.Domain), "--selector", key.Selector)}
	if !place.known {
		g.TOML = keyTOML(cfg, key, place.file)
		g.Next = append(g.Next, fmt.Sprintf("put the key into %s as above", where))
	}
	if cfg != nil {
		g.Next = append(g.Next, "have the gateway take it: "+a.command("reload")+"    (before the record is published it signs with it only if no other key is valid)")
	}
	return g
}

func (g *generated) note(format string, args ...any) {
	g.Notes = append(g.Notes, fmt.Sprintf(format, args...))
}

// kindNotes says what to mind of this kind of key.
func (g *generated) kindNotes(cfg *config.Config, key sign.Key, command func(...string) string) {
	switch public := key.Signer.Public().(type) {
	case ed25519.PublicKey:
		if !hasAnotherKey(cfg, key) {
			g.note("Google doesn't verify Ed25519: sign with an RSA key beside it (%s)", command("keys", "generate", string(key.Domain), "--selector", "S"))
		} else {
			g.note("Google doesn't verify Ed25519: keep an RSA key beside it")
		}
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits > 2048 {
			g.note("RSA %d: the record has %d characters; some DNS hosts' forms take no more than 512 (Aliyun), and each signature takes several times as long as with 2048", bits, len(key.Record()))
		}
	}
}

// hasAnotherKey reports whether the configuration has a further key for the signing
// domain.
func hasAnotherKey(cfg *config.Config, key sign.Key) bool {
	if cfg == nil {
		return false
	}
	for _, d := range cfg.Domains {
		for _, k := range d.Keys {
			if d.Signer() == key.Domain && k.Selector != key.Selector {
				return true
			}
		}
	}
	return false
}

// keyTOML is the key as the configuration names it.
func keyTOML(cfg *config.Config, key sign.Key, file string) string {
	line := fmt.Sprintf("{ selector = %q, file = %q }", key.Selector, pathInConfig(cfg, file))
	if cfg != nil {
		for _, d := range cfg.Domains {
			if d.Signer() == key.Domain {
				return fmt.Sprintf("# in keys of the [[domain]] %s:\n%s,", d.Pattern, line)
			}
		}
	}
	return fmt.Sprintf("[[domain]]\nname = %q\nkeys = [%s]", key.Domain, line)
}

// pathInConfig is a file as the configuration would name it: relative to itself where
// it is below.
func pathInConfig(cfg *config.Config, file string) string {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	if cfg == nil {
		return absolute
	}
	relative, err := filepath.Rel(filepath.Dir(cfg.Path), absolute)
	if err != nil || strings.HasPrefix(relative, "..") {
		return absolute
	}
	return relative
}

// askSelector asks DNS what is at the name of a new key, and returns the zone the name
// is in. What is published there already is of another key.
func (a *app) askSelector(ctx context.Context, cfg *config.Config, key sign.Key, g *generated) dnsview.Zone {
	dns := config.DNS{Authoritative: true}
	if cfg != nil {
		dns = cfg.DNS
	}
	view, err := newView(dns, a.quietWiring())
	if err != nil {
		g.note("DNS was not asked: %v", err)
		return dnsview.Zone{}
	}
	defer view.resolver.Close()
	id := preflight.Identity{Keys: []preflight.Key{{Domain: key.Domain, Selector: key.Selector, Public: key.Signer.Public()}}}
	report := view.checker.Check(ctx, id)
	g.InUse = selectorInUse(report, key, g.note)
	if view.resolver.Recursive(ctx, string(key.Domain), "SOA").Status == dnsview.NXDomain {
		g.note("%s doesn't exist in DNS: is it spelled right?", key.Domain)
	}
	for _, name := range []string{key.Name(), string(key.Domain)} {
		if zone := view.resolver.ZoneOf(ctx, name); strings.Contains(zone.Apex, ".") { // not a registry's
			return zone
		}
	}
	return dnsview.Zone{}
}

// selectorInUse tells from a report on a new key whether something is at its name, and
// notes what to do then.
func selectorInUse(r *preflight.Report, key sign.Key, note func(string, ...any)) preflight.Tri {
	for _, f := range r.Findings {
		switch {
		case f.Check != preflight.DKIM || f.Selector != key.Selector:
		case f.Status == preflight.Unknown:
			note("whether the selector %s is in use isn't known: DNS gives no answer. Before you publish: dig +short TXT %s", key.Selector, key.Name())
			return preflight.Maybe
		case f.Code == "wildcard-txt":
			note("a wildcard record answers for every name below _domainkey.%s: receivers see it until this one is published", key.Domain)
			return preflight.No
		case f.Code == "dkim-revoked":
			note("take another --selector: %s was used before, and its key is revoked (p= is empty); receivers may remember that", key.Selector)
			return preflight.Yes
		case f.Record != "" && f.Name == key.Name():
			note("take care: %s is published already, with another key. If something signs with that one, publishing this record breaks its signatures: make this key under another --selector instead", key.Name())
			return preflight.Yes
		}
	}
	return preflight.No
}

func printWritten(out io.Writer, g *generated, owner keyOwner) {
	fmt.Fprintf(out, "%s key written to %s", g.Algorithm, g.File)
	if g.place.why != "" {
		fmt.Fprintf(out, "   (%s)", g.place.why)
	}
	fmt.Fprintln(out)
	if owner.Owner != nil {
		fmt.Fprintf(out, "It belongs to %s   (%s)\n", owner.name, owner.why)
	}
}

func printGenerated(out io.Writer, g *generated) error {
	for _, note := range g.Notes {
		fmt.Fprintln(out, "! "+plain(note, 0))
	}
	fmt.Fprintln(out)
	if err := advise.Write(out, g.advice, advise.Always(g.Host, g.HostTitle)); err != nil {
		return err
	}
	if g.TOML != "" {
		fmt.Fprintf(out, "\nFor the configuration:\n  %s\n", strings.ReplaceAll(g.TOML, "\n", "\n  "))
	}
	fmt.Fprintln(out, "\nNext:")
	for i, step := range g.Next {
		fmt.Fprintf(out, "  %d  %s\n", i+1, step)
	}
	return nil
}
