package main

import (
	"fmt"
	"strings"

	"mailgate/internal/advise"
	"mailgate/internal/config"
	"mailgate/internal/mail"
)

// hostsOf are the DNS hosts whose name servers a provider's records are on. A name
// server of one's own may be any that isn't known.
func hostsOf(p config.Provider) []advise.Host {
	switch p {
	case config.Cloudflare:
		return []advise.Host{advise.Cloudflare}
	case config.Aliyun:
		return []advise.Host{advise.Aliyun}
	case config.Route53:
		return []advise.Host{advise.Route53}
	}
	return []advise.Host{advise.BIND, advise.CPanel, advise.Hestia}
}

// withoutPublisher says how to configure one, for the host that has the zone.
func withoutPublisher(w *wanted) string {
	var host advise.Host
	zone := string(w.Domain)
	for apex := range w.Zones {
		if strings.HasSuffix("."+string(w.Domain), "."+apex) {
			zone = apex
			host, _ = w.HostOf(apex)
		}
	}
	return fmt.Sprintf(`%s has no publisher, so nothing can be written for it. Either enter by hand what this shows:

  %s

or let mailgate write it (docs/publishing.md), with this in %s:

%s`, w.Domain, w.app.command("records", string(w.Domain)), w.site.cfg.Path, publisherExample(w.Domain, zone, host))
}

// publisherExample is the TOML for a host.
func publisherExample(domain mail.Domain, zone string, host advise.Host) string {
	lines := map[advise.Host]string{
		advise.Cloudflare: "  provider    = \"cloudflare\"\n  secret_file = \"secrets/my-dns\"     # an API token with Zone:Read and DNS:Edit for %s; mode 0600",
		advise.Aliyun:     "  provider    = \"alidns\"\n  key_id      = \"LTAI...\"\n  secret_file = \"secrets/my-dns\"     # the access key's secret for %s; mode 0600",
		advise.Route53:    "  provider    = \"route53\"\n  key_id      = \"AKIA...\"\n  secret_file = \"secrets/my-dns\"     # the access key's secret for %s; mode 0600",
	}
	account, known := lines[host]
	if !known {
		account = "  provider    = \"rfc2136\"            # or cloudflare, alidns, route53\n  server      = \"192.0.2.53:53\"      # the primary name server of %s\n  key_name    = \"mailgate\"           # of the TSIG key\n  secret_file = \"secrets/my-dns\"     # its secret in base64; mode 0600"
	}
	return fmt.Sprintf("  [[publisher]]\n  name        = \"my-dns\"\n"+account+"\n\n  [[domain]]\n  name      = %q\n  publisher = \"my-dns\"               # beside its keys", zone, domain)
}
