package advise

import (
	"fmt"
	"strings"
)

// Host is a DNS host's way of taking a record.
type Host string

const (
	BIND       Host = "bind" // a zone file, read by most name servers
	Cloudflare Host = "cloudflare"
	CPanel     Host = "cpanel"
	Hestia     Host = "hestia" // and VestaCP
	Aliyun     Host = "aliyun"
	Route53    Host = "route53"
	Web        Host = "web" // most other hosts' forms: a relative name and one string
)

// Hosts returns every host, in the order they are offered.
func Hosts() []Host { return []Host{BIND, Cloudflare, CPanel, Hestia, Aliyun, Route53, Web} }

// ParseHost reads a host's word, "vesta" being Hestia.
func ParseHost(s string) (Host, error) {
	if s == "vesta" {
		return Hestia, nil
	}
	var words []string
	for _, h := range Hosts() {
		if s == string(h) {
			return h, nil
		}
		words = append(words, string(h))
	}
	return "", fmt.Errorf("DNS host %q is not one of %s", s, strings.Join(words, ", "))
}

// serverNames tells a DNS host from the name of one of its name servers.
type serverNames struct {
	suffix string // of the name, beginning with a dot
	label  string // part of a label, where names have no common suffix
	host   Host
	title  string // for people
}

func knownServers() []serverNames {
	return []serverNames{
		{suffix: ".cloudflare.com", host: Cloudflare, title: "Cloudflare"},
		{suffix: ".foundationdns.com", host: Cloudflare, title: "Cloudflare"},
		{suffix: ".foundationdns.net", host: Cloudflare, title: "Cloudflare"},
		{suffix: ".foundationdns.org", host: Cloudflare, title: "Cloudflare"},
		{suffix: ".hichina.com", host: Aliyun, title: "Aliyun"},
		{suffix: ".alidns.com", host: Aliyun, title: "Aliyun"},
		{label: "awsdns-", host: Route53, title: "Route 53"},
		{suffix: ".akam.net", host: Web, title: "Akamai"},
		{label: "azure-dns", host: Web, title: "Azure DNS"},
		{suffix: ".bunny.net", host: Web, title: "bunny.net"},
		{suffix: ".desec.io", host: Web, title: "deSEC"},
		{suffix: ".desec.org", host: Web, title: "deSEC"},
		{suffix: ".digitalocean.com", host: Web, title: "DigitalOcean"},
		{suffix: ".dns-parking.com", host: Web, title: "Hostinger"},
		{suffix: ".dnsimple.com", host: Web, title: "DNSimple"},
		{suffix: ".dnsmadeeasy.com", host: Web, title: "DNS Made Easy"},
		{suffix: ".dnspod.net", host: Web, title: "DNSPod"},
		{suffix: ".domaincontrol.com", host: Web, title: "GoDaddy"},
		{suffix: ".gandi.net", host: Web, title: "Gandi"},
		{suffix: ".googledomains.com", host: Web, title: "Google Cloud DNS"},
		{suffix: ".he.net", host: Web, title: "Hurricane Electric"},
		{suffix: ".hetzner.com", host: Web, title: "Hetzner"},
		{suffix: ".hetzner.de", host: Web, title: "Hetzner"},
		{suffix: ".linode.com", host: Web, title: "Linode"},
		{suffix: ".name-services.com", host: Web, title: "Enom"},
		{suffix: ".nsone.net", host: Web, title: "NS1"},
		{suffix: ".ovh.net", host: Web, title: "OVH"},
		{suffix: ".registrar-servers.com", host: Web, title: "Namecheap"},
		{label: "ui-dns", host: Web, title: "IONOS"},
		{suffix: ".vercel-dns.com", host: Web, title: "Vercel"},
		{suffix: ".vultr.com", host: Web, title: "Vultr"},
		{suffix: ".wixdns.net", host: Web, title: "Wix"},
		{suffix: ".yandexcloud.net", host: Web, title: "Yandex Cloud"},
	}
}

// DetectHost tells the DNS host from a zone's name servers, and its name for
// people. Where they belong to several hosts, the one with most servers counts,
// the first named among equals; unknown servers give BIND and no name.
func DetectHost(nameServers []string) (Host, string) {
	best, servers := serverNames{host: BIND}, map[string]int{}
	for _, ns := range nameServers {
		known, ok := detect(ns)
		if !ok {
			continue
		}
		servers[known.title]++
		if servers[known.title] > servers[best.title] {
			best = known
		}
	}
	return best.host, best.title
}

func detect(nameServer string) (serverNames, bool) {
	name := strings.ToLower(strings.TrimSuffix(nameServer, "."))
	for _, known := range knownServers() {
		if known.suffix != "" && strings.HasSuffix(name, known.suffix) ||
			known.label != "" && strings.Contains("."+name, "."+known.label) {
			return known, true
		}
	}
	return serverNames{}, false
}
