package preflight

import "mailgate/internal/mail"

// ProviderOfHost tells who runs an MX host by its name; Other where it isn't known.
func ProviderOfHost(host string) Provider {
	return (&providerMemory{suffixes: providerSuffixes(nil)}).ofHost(host)
}

// ProviderOfDomain names the provider of recipient domains everybody writes to
// without asking DNS; UnknownProvider for all others.
func ProviderOfDomain(domain mail.Domain) Provider { return wellKnown(domain) }
