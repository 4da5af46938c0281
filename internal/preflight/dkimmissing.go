package preflight

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"mailgate/internal/dnsview"
)

// diagnoseMissing finds out why a key's name has no TXT record. Only here, where
// the plain check failed, further names are asked for.
func (q *inquiry) diagnoseMissing(ctx context.Context, key Key, a dnsview.Answer) Finding {
	byWildcard := len(a.CNAMEs) > 0 && q.byWildcard(ctx, a)
	if len(a.CNAMEs) > 0 && !byWildcard {
		return q.aliasDangles(ctx, key, a)
	}
	if f, found := q.onlyInPanel(ctx, key, a); found {
		return f
	}
	if f, found := q.nameDoubled(ctx, key, a); found {
		return f
	}
	if f, found := q.nameLacksSubdomain(ctx, key, a); found {
		return f
	}
	f := Finding{
		Code: "dkim-missing", Status: Fail,
		Text: "No key is published at " + key.name() + whoAnswered(a) + ".",
	}
	if byWildcard {
		f.Text += wildcardAlias(a)
		return f
	}
	if strings.HasPrefix(a.Zone, "_domainkey.") || strings.HasPrefix(a.Zone, key.Selector+"._domainkey.") {
		f.Text += " " + a.Zone + " is a zone of its own: what stands in the zone over it is never asked for."
	}
	q.misplaced(ctx, key, a, &f)
	return f
}

// wildcardAlias says that an alias is not that of the name itself.
func wildcardAlias(a dnsview.Answer) string {
	return " A wildcard (CNAME to " + a.CNAMEs[len(a.CNAMEs)-1] + ") answers in its place; a record of the name's own goes before it."
}

// aliasDangles is the finding for a CNAME that leads to no TXT record.
func (q *inquiry) aliasDangles(ctx context.Context, key Key, a dnsview.Answer) Finding {
	target := a.CNAMEs[len(a.CNAMEs)-1]
	f := Finding{
		Code: "dkim-cname-dangling", Status: Fail, Record: "CNAME " + target,
		Text: "The name is a CNAME to " + target + ", which has no TXT record.",
	}
	meant, doubled := strings.CutSuffix(target, "."+string(key.Domain))
	if doubled && strings.Contains(meant, ".") {
		if found := q.published(ctx, meant, "TXT"); hasKeyRecord(found) {
			f.Text += " It was meant for " + meant + ", which has one: in the zone file the final dot is missing."
			f.Evidence = evidence(a, found)
		}
	}
	return f
}

// probeTime bounds what asking for names people may have meant takes: what is known
// already must not be lost over it.
const probeTime = time.Second

// misplaced looks for the key under the names it gets where _domainkey is left out
// or spelled otherwise.
func (q *inquiry) misplaced(ctx context.Context, key Key, a dnsview.Answer, f *Finding) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	domain := string(key.Domain)
	for _, name := range []string{key.Selector + "." + domain, key.Selector + ".domainkey." + domain, "_domainkey." + domain, key.Selector + "._domainkeys." + domain} {
		found := q.published(ctx, name, "TXT")
		if found.Status != dnsview.Found || !slices.ContainsFunc(found.Texts(), func(s string) bool { return looksLikeKey(s) && hasTag(s, "p") }) {
			continue
		}
		f.Text += " There is one at " + name + ", where nobody looks."
		f.Evidence = evidence(a, found)
		return
	}
}

// onlyInPanel looks for the key on the panel's own server, which the world never
// asks.
func (q *inquiry) onlyInPanel(ctx context.Context, key Key, a dnsview.Answer) (Finding, bool) {
	panel, configured := q.panel(ctx, key.name(), "TXT")
	if !configured || panel.Status != dnsview.Found {
		return Finding{}, false
	}
	matches := "has a record, though not with the key that signs"
	if judgeKey(key, panel.Records).valid {
		matches = "has the right record"
	}
	f := Finding{
		Code: "dkim-only-on-local-dns", Status: Fail, Record: shortKey(panel.Records[0].Text),
		Text: "Only the panel's own server " + matches + "; the world asks " +
			cmpOr(list(a.NameServers), "other name servers") + ", which have none.",
		Evidence: evidence(a, panel),
	}
	if servers, elsewhere := q.panelServesFor(ctx, a, panel); elsewhere {
		f.Code = "dkim-wrong-provider-zone"
		f.Text = "The record is in a zone meant for " + list(servers) + ", but the domain is delegated to " +
			list(a.NameServers) + "."
	}
	return f, true
}

func cmpOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// panelServesFor tells whether the panel keeps its zone for name servers that are
// neither the panel itself nor those the domain is delegated to: a provider the
// domain has left. A panel on a loopback address can't be told from its public
// name servers, so there the answer is no.
func (q *inquiry) panelServesFor(ctx context.Context, a, panel dnsview.Answer) (servers []string, elsewhere bool) {
	self, err := panelAddress(panel)
	if err != nil || self.IsLoopback() || a.Zone == "" {
		return nil, false
	}
	ns, _ := q.panel(ctx, a.Zone, "NS")
	servers = ns.Texts()
	slices.Sort(servers)
	if ns.Status != dnsview.Found || slices.ContainsFunc(servers, func(s string) bool { return slices.Contains(a.NameServers, s) }) {
		return nil, false
	}
	for _, server := range servers {
		addresses, status := q.addresses(ctx, server)
		if status != Yes || slices.Contains(addresses, self) {
			return nil, false
		}
	}
	return servers, len(servers) > 0
}

func panelAddress(panel dnsview.Answer) (netip.Addr, error) {
	if len(panel.Observations) == 0 {
		return netip.Addr{}, net.InvalidAddrError("no observation")
	}
	address := panel.Observations[0].Address
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	return netip.ParseAddr(address)
}

// nameDoubled looks for mail._domainkey.example.com.example.com, which a zone
// file without the final dot makes.
func (q *inquiry) nameDoubled(ctx context.Context, key Key, a dnsview.Answer) (Finding, bool) {
	for _, zone := range distinct(a.Zone, string(key.Domain)) {
		name := key.name() + "." + zone
		if doubled := q.published(ctx, name, "TXT"); hasKeyRecord(doubled) {
			return Finding{
				Code: "dkim-name-doubled", Status: Fail, Record: shortKey(doubled.Records[0].Text),
				Text:     "The record is at " + name + ": the zone's name was added twice.",
				Evidence: evidence(a, doubled),
			}, true
		}
	}
	return Finding{}, false
}

// nameLacksSubdomain looks for the key of mail.example.com at
// sel._domainkey.example.com.
func (q *inquiry) nameLacksSubdomain(ctx context.Context, key Key, a dnsview.Answer) (Finding, bool) {
	organisation, err := publicsuffix.EffectiveTLDPlusOne(string(key.Domain))
	if err != nil || organisation == string(key.Domain) {
		return Finding{}, false
	}
	for _, parent := range distinct(string(key.Domain.Parent()), a.Zone, organisation) {
		if parent == string(key.Domain) || !strings.HasSuffix(string(key.Domain), "."+parent) {
			continue
		}
		name := key.Selector + "._domainkey." + parent
		if above := q.published(ctx, name, "TXT"); above.Status == dnsview.Found && judgeKey(key, above.Records).valid {
			return Finding{
				Code: "dkim-name-lacks-subdomain", Status: Fail, Record: shortKey(above.Records[0].Text),
				Text:     "The key is published at " + name + ", without the sub-domain " + string(key.Domain) + ".",
				Evidence: evidence(a, above),
			}, true
		}
	}
	return Finding{}, false
}

func hasKeyRecord(a dnsview.Answer) bool {
	return a.Status == dnsview.Found && slices.ContainsFunc(a.Texts(), looksLikeKey)
}

// distinct returns the names that are not empty, each once.
func distinct(names ...string) []string {
	var once []string
	for _, n := range names {
		if n != "" && !slices.Contains(once, n) {
			once = append(once, n)
		}
	}
	return once
}
