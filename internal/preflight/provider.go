package preflight

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// Provider of a recipient domain's mailboxes, told from its MX.
type Provider string

const (
	Google          Provider = "google"
	Microsoft       Provider = "microsoft"
	Yahoo           Provider = "yahoo"
	Apple           Provider = "apple"
	QQ              Provider = "qq"
	Other           Provider = "other"   // no rules are known
	UnknownProvider Provider = "unknown" // DNS gave no answer about the MX
)

// KnownProviders returns the providers that rules are known of.
func KnownProviders() []Provider {
	return []Provider{Google, Microsoft, Yahoo, Apple, QQ}
}

// Title returns the provider's name as people say it.
func (p Provider) Title() string {
	switch p {
	case Google:
		return "Gmail"
	case Microsoft:
		return "Microsoft"
	case Yahoo:
		return "Yahoo"
	case Apple:
		return "iCloud"
	case QQ:
		return "QQ"
	case Other:
		return "the receiver"
	}
	return "a receiver not known yet"
}

// providerSuffixes returns the domains that providers' MX hosts are under, with
// extra ones added.
func providerSuffixes(extra map[string]Provider) map[mail.Domain]Provider {
	suffixes := map[mail.Domain]Provider{
		"google.com":      Google,
		"googlemail.com":  Google,
		"outlook.com":     Microsoft, // also protection.outlook.com and olc.protection.outlook.com
		"mx.microsoft":    Microsoft,
		"yahoodns.net":    Yahoo,
		"mail.icloud.com": Apple,
		"qq.com":          QQ,
	}
	for suffix, provider := range extra {
		suffixes[mail.Domain(strings.ToLower(strings.Trim(suffix, ".")))] = provider
	}
	return suffixes
}

// wellKnown names the provider of domains everybody writes to, for when DNS
// gives no answer.
func wellKnown(domain mail.Domain) Provider {
	switch domain {
	case "gmail.com", "googlemail.com":
		return Google
	case "outlook.com", "hotmail.com", "live.com", "msn.com":
		return Microsoft
	case "yahoo.com", "aol.com":
		return Yahoo
	case "icloud.com", "me.com", "mac.com":
		return Apple
	case "qq.com", "foxmail.com":
		return QQ
	}
	return UnknownProvider
}

// providerMemory keeps which provider a domain had last, for when DNS gives no
// answer.
type providerMemory struct {
	suffixes map[mail.Domain]Provider // never changed

	mu   sync.Mutex
	last map[string]lastProvider
}

type lastProvider struct {
	provider Provider
	when     time.Time
}

// Provider tells who runs a recipient domain's mail, from its most preferred MX.
// A domain without MX, or that takes no mail (RFC 7505), is Other.
func (c *Checker) Provider(ctx context.Context, recipient mail.Domain) Provider {
	if recipient == "" {
		return Other
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	a := c.dns.Recursive(ctx, string(recipient), "MX")
	now := c.options.Now()
	if isUnknown(a) {
		return c.providers.recall(recipient, now)
	}
	provider := c.providers.of(a)
	c.providers.remember(recipient, provider, now)
	return provider
}

// of tells the provider from an MX answer.
func (m *providerMemory) of(a dnsview.Answer) Provider {
	provider, preference := Other, -1
	for _, r := range a.Records {
		p := m.ofHost(r.Text)
		better := preference < 0 || int(r.Preference) < preference
		if better || int(r.Preference) == preference && provider == Other {
			provider, preference = p, int(r.Preference)
		}
	}
	return provider
}

func (m *providerMemory) ofHost(host string) Provider {
	for d := mail.Domain(canonicalName(host)); d != ""; d = d.Parent() {
		if p, found := m.suffixes[d]; found {
			return p
		}
	}
	return Other
}

// recall returns what is known of a domain without DNS.
func (m *providerMemory) recall(domain mail.Domain, now time.Time) Provider {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last, found := m.last[string(domain)]; found && now.Sub(last.when) < staleFor {
		return last.provider
	}
	return wellKnown(domain)
}

// maxProviders bounds how many domains are remembered.
const maxProviders = 50_000

func (m *providerMemory) remember(domain mail.Domain, p Provider, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, found := m.last[string(domain)]
	if found && last.provider == p && now.Sub(last.when) < time.Minute {
		return
	}
	if !found && len(m.last) >= maxProviders {
		maps.DeleteFunc(m.last, func(_ string, l lastProvider) bool { return now.Sub(l.when) > time.Hour })
		if len(m.last) >= maxProviders {
			clear(m.last)
		}
	}
	m.last[string(domain)] = lastProvider{p, now}
}
