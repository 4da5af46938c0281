package preflight

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const v6 = "2001:db8::9"

// diagnosis is a zone as it is found in the wild and what must be found in it.
type diagnosis struct {
	name string
	zone string // laid over goodZone
	id   func(*Identity)
	dns  func(*fakeDNS)
	want []string // every finding that is not a pass: "code status"
	text string   // part of the first one's sentence
}

func egress(addresses ...string) func(*Identity) {
	return func(id *Identity) {
		id.Egress = nil
		for _, a := range addresses {
			id.Egress = append(id.Egress, netip.MustParseAddr(a))
		}
	}
}

func subdomain(id *Identity) {
	id.From, id.MailFrom = "news.example.com", "news.example.com"
	id.Keys[0].Domain = "news.example.com"
}

func diagnoses() []diagnosis {
	return slices.Concat(dkimDiagnoses(), wildDKIM(), spfDiagnoses(), wildSPF(), dmarcDiagnoses(), wildDMARC(), hostDiagnoses())
}

func dkimDiagnoses() []diagnosis {
	const at = "mail._domainkey.example.com"
	return []diagnosis{
		{name: "all is well"},
		{name: "no record", zone: "- " + at + " TXT", want: []string{"dkim-missing fail"}, text: "ns1.host.example and ns2.host.example"},
		{name: "hosting panel writes its own zone",
			zone: "- " + at + " TXT\npanel " + at + ` TXT "v=DKIM1; k=rsa; p={KEY}"`,
			want: []string{"dkim-only-on-local-dns fail"}, text: "Only the panel's own server has the right record"},
		{name: "panel over loopback lists its public name servers",
			zone: "- " + at + " TXT\npanel " + at + ` TXT "v=DKIM1; k=rsa; p={KEY}"
panel example.com NS ns1.hosting.example
ns1.hosting.example A 198.51.100.7`,
			want: []string{"dkim-only-on-local-dns fail"}},
		{name: "panel keeps the zone of a provider that was left",
			zone: "- " + at + " TXT\npanel " + at + ` TXT "v=DKIM1; k=rsa; p={KEY}"
panel example.com NS ada.ns.cloudflare.com
ada.ns.cloudflare.com A 198.51.100.7`,
			dns:  func(d *fakeDNS) { d.panelAt = "198.51.100.53:53" },
			want: []string{"dkim-wrong-provider-zone fail"}, text: "ada.ns.cloudflare.com"},
		{name: "zone file without final dot",
			zone: "- " + at + " TXT\n" + at + `.example.com TXT "v=DKIM1; k=rsa; p={KEY}"`,
			want: []string{"dkim-name-doubled fail"}, text: "mail._domainkey.example.com.example.com"},
		{name: "key of a sub-domain at its parent", id: subdomain,
			zone: `news.example.com TXT "v=spf1 ip4:203.0.113.9 -all"
news.example.com SOA ns1.host.example`,
			want: []string{"dkim-name-lacks-subdomain fail"}, text: "mail._domainkey.example.com"},
		{name: "old key", zone: at + ` TXT "v=DKIM1; k=rsa; p={OLD}"`, want: []string{"dkim-key-mismatch fail"}},
		{name: "key of another type", zone: at + ` TXT "v=DKIM1; k=ed25519; p={ED}"`, want: []string{"dkim-key-mismatch fail"}, text: "type ed25519"},
		{name: "old key published, right one in the panel",
			zone: at + ` TXT "v=DKIM1; k=rsa; p={OLD}"` + "\npanel " + at + ` TXT "v=DKIM1; k=rsa; p={KEY}"`,
			want: []string{"dkim-key-mismatch fail"}, text: "panel's own server has the right one"},
		{name: "768 bits", id: func(id *Identity) { id.Keys[0].Public = madeUpKey("tiny", 768) },
			zone: at + ` TXT "v=DKIM1; p={K768}"`, want: []string{"dkim-key-short fail"}},
		{name: "1024 bits", id: func(id *Identity) { id.Keys[0].Public = madeUpKey("short", 1024) },
			zone: at + ` TXT "k=rsa; p={K1024}"`, want: []string{"dkim-key-short warn"}},
		{name: "1024 bits in a record of 252 bytes", id: func(id *Identity) { id.Keys[0].Public = madeUpKey("short", 1024) },
			zone: at + ` TXT "v=DKIM1; k=rsa; n=fourteen bytes; p={K1024}"`, want: []string{"dkim-key-short warn"}},
		{name: "revoked", zone: at + ` TXT "v=DKIM1; p="`, want: []string{"dkim-revoked fail"}},
		{name: "testing", zone: at + ` TXT "v=DKIM1; k=rsa; t=y:s; p={KEY}"`, want: []string{"dkim-testing warn"}},
		{name: "BIND without quotation marks", zone: at + ` TXT "v=DKIM1"`, want: []string{"dkim-truncated-at-semicolon fail"}},
		{name: "BIND without quotation marks, k= first", zone: at + ` TXT "k=rsa"`, want: []string{"dkim-truncated-at-semicolon fail"}},
		{name: "form that takes 255 bytes", zone: at + ` TXT "v=DKIM1; k=rsa; p={CUT}"`, want: []string{"dkim-truncated-at-255 fail"}},
		{name: "two records", zone: at + ` TXT "v=DKIM1; k=rsa; p={KEY1}"` + "\n" + at + ` TXT "{KEY2}"`, want: []string{"dkim-split-into-two-records fail"}},
		{name: "two records, the tail first", zone: at + ` TXT "{KEY2}"` + "\n" + at + ` TXT "v=DKIM1; k=rsa; p={KEY1}"`, want: []string{"dkim-split-into-two-records fail"}},
		{name: "quotes typed into a form that adds them", zone: at + ` TXT "\"v=DKIM1; k=rsa; p={KEY1}\" \"{KEY2}\""`, want: []string{"dkim-quotes-in-value fail"}},
		{name: "PEM file pasted", zone: at + ` TXT "v=DKIM1; k=rsa; p=-----BEGIN PUBLIC KEY-----{KEY}-----END PUBLIC KEY-----"`, want: []string{"dkim-pem-header-in-value fail"}},
		{name: "PEM file alone", zone: at + ` TXT "-----BEGIN PUBLIC KEY-----{KEY}-----END PUBLIC KEY-----"`, want: []string{"dkim-pem-header-in-value fail"}},
		{name: "space at the cut", zone: at + ` TXT "v=DKIM1; k=rsa; p={SPACED}"`, want: []string{"dkim-spaces-in-p warn"}},
		{name: "CNAME to nowhere", zone: "- " + at + " TXT\n" + at + " CNAME mail.dkim.esp.example", want: []string{"dkim-cname-dangling fail"}, text: "mail.dkim.esp.example"},
		{name: "a wildcard's CNAME, and no key", zone: "- " + at + " TXT\n*.example.com CNAME www.example.com\nwww.example.com A 192.0.2.1", want: []string{"dkim-missing fail"}, text: "A wildcard (CNAME to www.example.com) answers"},
		{name: "CNAME to nowhere, and the wildcard's goes elsewhere", zone: "- " + at + " TXT\n" + at + " CNAME mail.dkim.esp.example\n*._domainkey.example.com CNAME www.example.com", want: []string{"dkim-cname-dangling fail"}},
		{name: "CNAME to the key", zone: "- " + at + " TXT\n" + at + ` CNAME mail.dkim.esp.example
mail.dkim.esp.example TXT "v=DKIM1; k=rsa; p={KEY}"`},
		{name: "Ed25519 alone", id: func(id *Identity) { id.Keys[0].Public = edKey() },
			zone: at + ` TXT "v=DKIM1; k=ed25519; p={ED}"`, want: []string{"dkim-ed25519-only warn"}},
		{name: "old and new key", zone: at + ` TXT "v=DKIM1; k=rsa; p={KEY}"` + "\n" + at + ` TXT "v=DKIM1; k=rsa; p={OLD}"`, want: []string{"dkim-several-records fail"}},
		{name: "another TXT record beside the key", zone: at + ` TXT "v=DKIM1; k=rsa; p={KEY}"` + "\n" + at + ` TXT "hello"`, want: []string{"dkim-several-records warn"}},
		{name: "not base64", zone: at + ` TXT "v=DKIM1; k=rsa; p=MIIB*"`, want: []string{"dkim-syntax fail"}},
		{name: "something else", zone: at + ` TXT "hello world; more"`, want: []string{"dkim-syntax fail"}},
		{name: "sha1 only", zone: at + ` TXT "v=DKIM1; h=sha1; p={KEY}"`, want: []string{"dkim-hash-not-allowed fail"}},
		{name: "not for mail", zone: at + ` TXT "v=DKIM1; s=tlsrpt; p={KEY}"`, want: []string{"dkim-service-not-email fail"}},
		{name: "no key of ours", id: func(id *Identity) { id.Keys = nil }, want: []string{"dkim-no-key warn"}},
		{name: "selector without our key", id: func(id *Identity) { id.Keys[0].Public = nil }},

		{name: "zone transfer lags", zone: "@ns1 " + at + ` TXT "v=DKIM1; k=rsa; p={KEY}"`, want: []string{"ns-disagree fail"}, text: "not on ns2.host.example"},
		{name: "one server has the old key", zone: "@ns1 " + at + ` TXT "v=DKIM1; k=rsa; p={KEY}"` + "\n@ns2 " + at + ` TXT "v=DKIM1; k=rsa; p={OLD}"`,
			want: []string{"ns-disagree fail"}},
		{name: "SPF on one server only", zone: `@ns1 example.com TXT "v=spf1 ip4:203.0.113.9 -all"`, want: []string{"ns-disagree fail"}},
		{name: "a server that left", zone: "lame ns2", want: []string{"ns-lame warn"}},
		{name: "name servers out of reach", zone: "fault " + at + " TXT", want: []string{"dns-unreachable unknown"}, text: "timeout"},
		{name: "resolvers remember there was none", zone: "resolver " + at + " TXT", want: []string{"negative-cached-until warn"}, text: "UTC"},
		{name: "resolvers remember the old key", zone: "resolver " + at + ` TXT "v=DKIM1; k=rsa; p={OLD}"`, want: []string{"old-record-cached-until warn"}},
		{name: "broken DNSSEC", zone: "bogus " + at + " TXT\nexample.com DS 12345", want: []string{"dnssec-bogus unknown"}},
		{name: "resolver at fault, zone not signed", zone: "bogus " + at + " TXT"},
		{name: "wildcard SPF", zone: "- " + at + " TXT\n" + `*.example.com TXT "v=spf1 -all"
_dmarc.com TXT "x"`, want: []string{"wildcard-txt fail"}},
		{name: "wildcard revokes all selectors", zone: "- " + at + " TXT\n" + `*._domainkey.example.com TXT "v=DKIM1; p="`, want: []string{"wildcard-txt fail"}},
	}
}

func spfDiagnoses() []diagnosis {
	return []diagnosis{
		{name: "no SPF", zone: `example.com TXT "google-site-verification=abc"`, id: egress("203.0.113.9", v6),
			want: []string{"spf-missing fail"}, text: "203.0.113.9 and 2001:db8::9"},
		{name: "two SPF records", zone: `example.com TXT "v=spf1 ip4:203.0.113.9 -all"` + "\n" + `example.com TXT "v=spf1 include:_spf.example.net ~all"`,
			want: []string{"spf-several-records fail"}},
		{name: "another address, -all", zone: `example.com TXT "v=spf1 ip4:198.51.100.1 -all"`, want: []string{"spf-fail fail"}, text: "203.0.113.9"},
		{name: "another address, ~all", zone: `example.com TXT "v=spf1 ip4:198.51.100.1 ~all"`, want: []string{"spf-softfail fail"}, text: "203.0.113.9"},
		{name: "another address, ?all", zone: `example.com TXT "v=spf1 ip4:198.51.100.1 ?all"`, want: []string{"spf-neutral fail"}},
		{name: "another address, no all", zone: `example.com TXT "v=spf1 ip4:198.51.100.1"`, want: []string{"spf-neutral fail"}},
		{name: "our address excluded", zone: `example.com TXT "v=spf1 -ip4:203.0.113.9 +ip4:203.0.113.0/24 -all"`, want: []string{"spf-fail fail"}, text: "names 203.0.113.9 as fail"},
		{name: "one of two not listed", id: egress("203.0.113.9", "203.0.113.10"),
			zone: "10.113.0.203.in-addr.arpa PTR mx2.example.com\nmx2.example.com A 203.0.113.10",
			want: []string{"spf-egress-not-listed fail"}, text: "203.0.113.10"},
		{name: "IPv6 forgotten", id: egress("203.0.113.9", v6), zone: `example.com TXT "v=spf1 ip4:203.0.113.9 ~all"`,
			want: []string{"spf-ipv6-missing fail"}, text: v6},
		{name: "eleven includes", zone: `example.com TXT "v=spf1 include:a.example.net include:b.example.net a:1.example.net a:2.example.net a:3.example.net a:4.example.net a:5.example.net a:6.example.net a:7.example.net a:8.example.net a:9.example.net ip4:203.0.113.9 -all"
a.example.net TXT "v=spf1 ip4:198.51.100.1 -all"
b.example.net TXT "v=spf1 mx -all"
b.example.net MX 10 1.example.net
1.example.net A 198.51.100.1
2.example.net A 198.51.100.1
3.example.net A 198.51.100.1
4.example.net A 198.51.100.1
5.example.net A 198.51.100.1
6.example.net A 198.51.100.1
7.example.net A 198.51.100.1
8.example.net A 198.51.100.1
9.example.net A 198.51.100.1`,
			want: []string{"spf-too-many-lookups fail"}, text: "12 of 10"},
		{name: "includes itself", zone: `example.com TXT "v=spf1 include:example.com -all"`, want: []string{"spf-too-many-lookups fail"}},
		{name: "names that are gone", zone: `example.com TXT "v=spf1 a:old1.example.net a:old2.example.net mx:old3.example.net ip4:203.0.113.9 -all"`,
			want: []string{"spf-too-many-void-lookups fail"}},
		{name: "everybody", zone: `example.com TXT "v=spf1 ip4:203.0.113.9 +all"`, want: []string{"spf-plus-all fail"}},
		{name: "everybody in two networks", zone: `example.com TXT "v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all"`, want: []string{"spf-plus-all fail"}},
		{name: "misspelt mechanism behind the match", zone: `example.com TXT "v=spf1 ip4:203.0.113.9 ipv4:198.51.100.1 -all"`, want: []string{"spf-syntax fail"}, text: "ipv4:198.51.100.1"},
		{name: "semicolon after the version", zone: `example.com TXT "v=spf1; ip4:203.0.113.9 -all"`, want: []string{"spf-syntax fail"}},
		{name: "quotes in the value", zone: `example.com TXT "\"v=spf1 ip4:203.0.113.9 -all\""`, want: []string{"spf-syntax fail"}},
		{name: "error in an include", zone: `example.com TXT "v=spf1 include:a.example.net -all"` + "\n" + `a.example.net TXT "v=spf1 ip4:203.0.113.9/99 -all"`, want: []string{"spf-syntax fail"}},
		{name: "type 99", zone: `example.com TXT "other"` + "\n" + `example.com SPF "v=spf1 ip4:203.0.113.9 -all"`, want: []string{"spf-type-99-only fail"}},
		{name: "include without record", zone: `example.com TXT "v=spf1 include:gone.example.net ip4:203.0.113.9 -all"`, want: []string{"spf-include-missing fail"}, text: "gone.example.net"},
		{name: "include that doesn't answer", zone: `example.com TXT "v=spf1 include:slow.example.net -all"` + "\nfault slow.example.net TXT", want: []string{"dns-unreachable unknown"}, text: "slow.example.net"},
		{name: "by mx", zone: `example.com TXT "v=spf1 mx -all"` + "\nexample.com MX 10 mx1.example.com", id: egress("203.0.113.9", v6)},
		{name: "by ptr and exists", zone: `example.com TXT "v=spf1 ptr:other.example exists:%{i}.allow.example.com -all"
203.0.113.9.allow.example.com A 127.0.0.2`},
		{name: "no egress set", id: egress(), want: []string{"egress-not-set unknown"}},
		{name: "no egress set, no SPF either", id: egress(), zone: "- example.com TXT", want: []string{"spf-missing fail", "egress-not-set unknown"}},
		{name: "null sender", id: func(id *Identity) { id.MailFrom = "" }},
		{name: "null sender, HELO without SPF", id: func(id *Identity) { id.MailFrom = "" }, zone: "- mx1.example.com TXT", want: []string{"spf-missing fail"}, text: "mx1.example.com"},
		{name: "null sender, no HELO", id: func(id *Identity) { id.MailFrom, id.Helo = "", "" }, want: []string{"helo-not-set unknown", "dmarc-unaligned-spf warn"}},
	}
}

func dmarcDiagnoses() []diagnosis {
	const at = "_dmarc.example.com"
	esp := func(id *Identity) { id.MailFrom = "bounces.esp.example" }
	const espZone = `
bounces.esp.example TXT "v=spf1 ip4:203.0.113.9 -all"
bounces.esp.example SOA ns1.host.example
`
	return []diagnosis{
		{name: "no DMARC", zone: "- " + at + " TXT", want: []string{"dmarc-missing warn"}},
		{name: "two DMARC records", zone: at + ` TXT "v=DMARC1; p=none"` + "\n" + at + ` TXT "v=DMARC1; p=reject"`, want: []string{"dmarc-several-records fail"}},
		{name: "no semicolon", zone: at + ` TXT "v=DMARC1 p=reject"`, want: []string{"dmarc-syntax fail"}},
		{name: "small letters", zone: at + ` TXT "v=dmarc1; p=reject"`, want: []string{"dmarc-syntax fail"}},
		{name: "policy that isn't one", zone: at + ` TXT "v=DMARC1; p=block"`, want: []string{"dmarc-syntax fail"}},
		{name: "tags out of date", zone: at + ` TXT "v=DMARC1; p=none; pct=50; ri=86400; rf=afrf"`, want: []string{"dmarc-syntax warn"}, text: "pct=50 is gone"},
		{name: "bounces elsewhere", id: esp, zone: espZone, want: []string{"dmarc-unaligned-spf warn"}},
		{name: "signed as somebody else", id: func(id *Identity) { id.Keys[0].Domain = "esp.example" },
			zone: `mail._domainkey.esp.example TXT "v=DKIM1; k=rsa; p={KEY}"`, want: []string{"dmarc-unaligned-dkim warn"}},
		{name: "p=reject and nothing passes", zone: at + ` TXT "v=DMARC1; p=reject"
- mail._domainkey.example.com TXT
example.com TXT "v=spf1 -all"`, want: []string{"dkim-missing fail", "spf-fail fail", "dmarc-refuses-us fail"}},
		{name: "p=quarantine and nothing passes", zone: at + ` TXT "v=DMARC1; p=quarantine"
- mail._domainkey.example.com TXT
example.com TXT "v=spf1 -all"`, want: []string{"dkim-missing fail", "spf-fail fail", "dmarc-refuses-us warn"}},
		{name: "DMARC on one server only", zone: "@ns1 " + at + ` TXT "v=DMARC1; p=none"`, want: []string{"ns-disagree warn"}},
		{name: "organisation by tree walk only", id: subdomain,
			zone: `mail._domainkey.news.example.com TXT "v=DKIM1; k=rsa; p={KEY}"
_dmarc.news.example.com TXT "v=DMARC1; p=none; psd=n"
news.example.com TXT "v=spf1 ip4:203.0.113.9 -all"
news.example.com SOA ns1.host.example`, want: []string{"dmarc-orgdomain-differs warn"}},
		{name: "DMARC out of reach", zone: "fault " + at + " TXT", want: []string{"dns-unreachable unknown"}},
	}
}

func hostDiagnoses() []diagnosis {
	return []diagnosis{
		{name: "no PTR", zone: "- 9.113.0.203.in-addr.arpa PTR", want: []string{"ptr-missing warn"}},
		{name: "PTR to another host", zone: "9.113.0.203.in-addr.arpa PTR dyn-9.isp.example", want: []string{"ptr-not-confirmed warn"}},
		{name: "PTR out of reach", zone: "fault 9.113.0.203.in-addr.arpa PTR", want: []string{"dns-unreachable unknown"}},
		{name: "PTR's name out of reach", zone: "9.113.0.203.in-addr.arpa PTR slow.example.net\nfault slow.example.net A", want: []string{"dns-unreachable unknown"}},
		{name: "IPv6 without PTR", id: egress("203.0.113.9", v6), zone: "- 9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR", want: []string{"ipv6-without-ptr fail"}, text: v6},
		{name: "IPv6 PTR to another host", id: egress(v6), zone: "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR host.isp.example", want: []string{"ptr-not-confirmed fail"}},
		{name: "IPv4 in IPv6 form", id: egress("::ffff:203.0.113.9")},
		{name: "HELO unknown", id: func(id *Identity) { id.Helo = "gw.internal.example" }, want: []string{"helo-unresolvable warn"}},
		{name: "MAIL FROM domain doesn't exist", id: func(id *Identity) { id.MailFrom = "gone.example.net" },
			want: []string{"spf-missing fail", "dmarc-unaligned-spf warn", "soa-missing fail"}},
	}
}

func TestDiagnoses(t *testing.T) {
	for _, c := range diagnoses() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := c.report(t)
			var got []string
			first := ""
			for _, f := range r.Findings {
				if f.Status != Pass {
					got = append(got, f.Code+" "+string(f.Status))
					first += f.Text
				}
				checkFinding(t, f)
			}
			want := slices.DeleteFunc(slices.Clone(c.want), func(s string) bool { return s == "" })
			if !slices.Equal(got, want) {
				t.Errorf("findings %q, want %q\n%s", got, want, r)
			}
			if !strings.Contains(first, c.text) {
				t.Errorf("text %q lacks %q", first, c.text)
			}
		})
	}
}

func (c diagnosis) report(t *testing.T) *Report {
	dns := newFakeDNS(goodZone, c.zone)
	if c.dns != nil {
		c.dns(dns)
	}
	id := goodIdentity()
	if c.id != nil {
		c.id(&id)
	}
	return check(t, dns, id)
}

// checkFinding checks what holds for every finding.
func checkFinding(t *testing.T, f Finding) {
	t.Helper()
	if _, known := Explain(f.Code); !known {
		t.Errorf("code %s is not in the table", f.Code)
	}
	if f.Check == "" || f.Status == "" || !strings.HasSuffix(f.Text, ".") {
		t.Errorf("finding %+v lacks its check, status or sentence", f)
	}
	if f.Check == DKIM && f.Code != "dkim-no-key" && f.Selector == "" {
		t.Errorf("%s lacks its selector", f.Code)
	}
	if strings.Contains(f.Record, publishedForm(ourKey())[:100]) {
		t.Errorf("%s dumps the whole key", f.Code)
	}
	for _, o := range f.Evidence {
		if strings.Contains(strings.Join(o.Records, ""), publishedForm(ourKey())[:100]) {
			t.Errorf("the evidence of %s dumps the whole key", f.Code)
		}
	}
}

// named are the diagnoses the product promises by name.
const named = `dkim-missing dkim-only-on-local-dns dkim-wrong-provider-zone dkim-name-doubled
dkim-name-lacks-subdomain dkim-key-mismatch dkim-key-short dkim-revoked dkim-testing
dkim-truncated-at-semicolon dkim-truncated-at-255 dkim-split-into-two-records
dkim-quotes-in-value dkim-pem-header-in-value dkim-spaces-in-p dkim-cname-dangling
dkim-ed25519-only dkim-several-records
spf-missing spf-several-records spf-fail spf-softfail spf-neutral spf-egress-not-listed
spf-ipv6-missing spf-too-many-lookups spf-too-many-void-lookups spf-plus-all spf-syntax
spf-type-99-only spf-include-missing
dmarc-missing dmarc-several-records dmarc-syntax dmarc-unaligned-dkim dmarc-unaligned-spf
dmarc-refuses-us
ns-disagree ns-lame dns-unreachable negative-cached-until dnssec-bogus wildcard-txt
ptr-missing ptr-not-confirmed ipv6-without-ptr helo-unresolvable`

func TestEveryNamedCodeIsFound(t *testing.T) {
	found := map[string]bool{
		"check-failed":  true, // found by TestPanic
		"from-unusable": true, // found by the gate, in the message

		"receiver-refused": true, // found by the relay
		"line-too-long":    true, // found by its door, in the message
	}
	for _, c := range diagnoses() {
		for _, f := range c.report(t).Findings {
			found[f.Code] = true
		}
	}
	for _, code := range strings.Fields(named) {
		if _, known := Explain(code); !known {
			t.Errorf("%s is not in the table of codes", code)
		}
		if !found[code] {
			t.Errorf("no zone gives %s", code)
		}
	}
	for _, c := range Codes() {
		if !found[c.Code] {
			t.Errorf("%s is in the table, but no zone gives it", c.Code)
		}
		if c.Meaning == "" || c.Mend == "" && !strings.HasSuffix(c.Code, "-ok") {
			t.Errorf("%s lacks its meaning or mend", c.Code)
		}
	}
}
