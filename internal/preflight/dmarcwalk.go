package preflight

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// maxWalk is how many queries a tree walk may make. RFC 9989 section 4.10.
const maxWalk = 8

// walkNames returns the domains whose DMARC records a tree walk looks at, the
// longest first: all eight ancestors of a long name, after the name itself at
// most seven labels.
func walkNames(domain mail.Domain) []mail.Domain {
	names := []mail.Domain{domain}
	labels := strings.Count(string(domain), ".") + 1
	for d := domain.Parent(); d != ""; d = d.Parent() {
		if labels--; labels < maxWalk {
			names = append(names, d)
		}
	}
	return names
}

// dmarcEntry is what _dmarc of one domain holds.
type dmarcEntry struct {
	answer dnsview.Answer
	known  bool     // DNS gave an answer
	texts  []string // TXT values that begin with v=DMARC1
	record dmarcRecord
	err    error // why the one record is void
}

// usable reports that there is exactly one record and it can be used.
func (e dmarcEntry) usable() bool { return e.known && len(e.texts) == 1 && e.err == nil }

// dmarcTree is what all _dmarc names on the way up from some domains hold.
type dmarcTree map[mail.Domain]dmarcEntry

// climb asks for the DMARC records of all tree walks from domains, at once.
func (q *inquiry) climb(ctx context.Context, domains []mail.Domain) dmarcTree {
	tree := dmarcTree{}
	for _, domain := range domains {
		for _, name := range walkNames(domain) {
			tree[name] = dmarcEntry{} // not known
		}
	}
	var mu sync.Mutex
	var wait sync.WaitGroup
	for _, name := range slices.Collect(maps.Keys(tree)) {
		wait.Go(func() {
			defer func() { _ = recover() }() // a look-up that breaks off leaves the entry unknown
			entry := q.dmarcAt(ctx, name, slices.Contains(domains, name))
			mu.Lock()
			defer mu.Unlock()
			tree[name] = entry
		})
	}
	wait.Wait()
	return tree
}

// dmarcAt reads the DMARC record of one domain. Registries above the domains in
// question are asked through the resolvers, not directly. That such a one gives no
// answer is taken for "none": it hardly ever matters and must not make all else
// unknown.
func (q *inquiry) dmarcAt(ctx context.Context, domain mail.Domain, inQuestion bool) dmarcEntry {
	ask, registry := q.published, !inQuestion && isRegistry(domain)
	if registry {
		ask = q.recursive
	}
	e := dmarcEntry{answer: ask(ctx, "_dmarc."+string(domain), "TXT")}
	e.known = registry || !isUnknown(e.answer)
	for _, text := range e.answer.Texts() {
		if isDMARC(text) {
			e.texts = append(e.texts, text)
		}
	}
	if len(e.texts) == 1 {
		e.record, e.err = parseDMARC(e.texts[0])
	}
	return e
}

// isRegistry reports whether people register names directly under domain.
func isRegistry(domain mail.Domain) bool {
	_, err := publicsuffix.EffectiveTLDPlusOne(string(domain))
	return err != nil
}

// suffixOrganisation returns the organisational domain by the public suffix
// list. RFC 7489 section 3.2.
func suffixOrganisation(domain mail.Domain) mail.Domain {
	organisation, err := publicsuffix.EffectiveTLDPlusOne(string(domain))
	if err != nil {
		return domain
	}
	return mail.Domain(organisation)
}

// organisation returns the organisational domain by RFC 9989 section 4.10.2;
// false when an answer is lacking that it may hang on.
func (t dmarcTree) organisation(domain mail.Domain) (mail.Domain, bool) {
	organisation, known := domain, true
	for _, name := range walkNames(domain) {
		entry := t[name]
		known = known && entry.known
		if entry.usable() {
			switch {
			case entry.record.PSD == "n":
				return name, known
			case entry.record.PSD == "y" && name != domain:
				return childToward(name, domain), known
			}
			organisation = name
		}
	}
	return organisation, known
}

// childToward returns the domain one label under parent on the way to domain.
func childToward(parent, domain mail.Domain) mail.Domain {
	for domain.Parent() != parent && domain.Parent() != "" {
		domain = domain.Parent()
	}
	return domain
}

// publicSuffixPolicy returns the domain with psd=y over domain, whose policy
// applies where the organisation has none. RFC 9989 section 4.10.1.
func (t dmarcTree) publicSuffixPolicy(domain mail.Domain) (mail.Domain, bool) {
	for _, name := range walkNames(domain)[1:] {
		if entry := t[name]; entry.usable() && entry.record.PSD == "y" {
			return name, true
		}
	}
	return "", false
}

// hasRecord reports whether a walk up from domain meets a record, or may.
func (t dmarcTree) hasRecord(domain mail.Domain) bool {
	for _, name := range walkNames(domain) {
		if entry := t[name]; entry.usable() || !entry.known {
			return true
		}
	}
	return false
}
