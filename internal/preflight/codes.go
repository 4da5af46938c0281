package preflight

import "slices"

// Code explains one finding code.
type Code struct {
	Code    string `json:"code"`
	Check   Check  `json:"check"`   // the check it belongs to; ns-disagree and dns-unreachable are found by several
	Meaning string `json:"meaning"` // one sentence
	Mend    string `json:"mend"`    // what to do about it; empty where nothing is to be done
}

// Codes returns every finding code there is, with meaning and mend.
func Codes() []Code { return slices.Clone(codes) }

// Explain returns what is known of a code; false when there is no such code.
func Explain(code string) (Code, bool) {
	at := slices.IndexFunc(codes, func(c Code) bool { return c.Code == code })
	if at < 0 {
		return Code{}, false
	}
	return codes[at], true
}

var codes = []Code{
	{"dkim-ok", DKIM, "The published key is the one that signs.", ""},
	{"dkim-no-key", DKIM, "No key signs for the From domain here.",
		"Create a key with mailgate keys generate and add it to the domain's section of the configuration."},
	{"dkim-missing", DKIM, "The selector's name has no TXT record on the domain's name servers.",
		"Publish the key's TXT record at the domain's DNS host."},
	{"dkim-only-on-local-dns", DKIM, "Only the hosting panel's own DNS server has the key; the world asks the domain's name servers, which don't.",
		"Publish the record at the DNS host the domain is delegated to, not in the panel."},
	// Told apart from dkim-only-on-local-dns by the panel's own NS records: here
	// they name servers that resolve, are not the panel itself and are not those
	// the domain is delegated to. Where the panel is asked over loopback its
	// public address isn't known, and dkim-only-on-local-dns is said.
	{"dkim-wrong-provider-zone", DKIM, "The key is in a zone kept for name servers of another provider than the one the domain is delegated to.",
		"Publish the record at the DNS host the domain is delegated to, or change the delegation at the registrar."},
	{"dkim-name-doubled", DKIM, "The zone's name was added twice: the record is at selector._domainkey.example.com.example.com.",
		"Enter the name relative to the zone, or end the full name with a dot."},
	{"dkim-name-lacks-subdomain", DKIM, "The key of a sub-domain is published under its parent.",
		"Publish it at selector._domainkey.SUBDOMAIN."},
	{"dkim-key-mismatch", DKIM, "The published key is not the one that signs.",
		"Publish the record of the key in use, or configure the key that belongs to the record."},
	{"dkim-key-short", DKIM, "The key is too short: under 1024 bits it counts for nothing, under 2048 it is discouraged.",
		"Make an RSA key of 2048 bits under a new selector."},
	{"dkim-revoked", DKIM, "The record's p= is empty, which revokes the key.",
		"Publish the key again, or sign with another selector."},
	{"dkim-testing", DKIM, "The record says t=y: verifiers may treat the mail as unsigned.",
		"Remove t=y from the record."},
	{"dkim-truncated-at-semicolon", DKIM, "Everything after the first semicolon of the record is lost.",
		"In a zone file, put the value in quotation marks."},
	{"dkim-truncated-at-255", DKIM, "The record was cut after 255 bytes.",
		"Enter the value as several quoted strings of at most 255 bytes each, in one record."},
	{"dkim-split-into-two-records", DKIM, "The key is cut into several records instead of several strings of one record.",
		"Make it one TXT record; its strings are joined without a space."},
	{"dkim-quotes-in-value", DKIM, "Quotation marks have become part of the value.",
		"Enter the value without quotation marks: this DNS host adds them itself."},
	{"dkim-pem-header-in-value", DKIM, "The -----BEGIN PUBLIC KEY----- lines of the key file are in the record.",
		"Put only the base64 text between these lines into p=, without line breaks."},
	{"dkim-spaces-in-p", DKIM, "There is white space inside p=, which some verifiers stumble over.",
		"Remove the white space from the key."},
	{"dkim-cname-dangling", DKIM, "The selector's name is a CNAME to a name without a TXT record.",
		"Publish the record at the CNAME's target, or replace the CNAME by the record."},
	{"dkim-ed25519-only", DKIM, "All keys are Ed25519, which Gmail does not verify.",
		"Add an RSA key of 2048 bits; both sign."},
	{"dkim-several-records", DKIM, "There are several TXT records at the selector's name; verifiers may take any or none.",
		"Keep only the record of the key in use."},
	{"dkim-syntax", DKIM, "The record can't be read as a DKIM key.",
		"Publish the record exactly as mailgate check prints it."},
	{"dkim-hash-not-allowed", DKIM, "The record's h= does not allow SHA-256.",
		"Remove h= from the record."},
	{"dkim-service-not-email", DKIM, "The record's s= does not allow the key to sign mail.",
		"Remove s= from the record."},

	{"spf-ok", SPF, "SPF allows the address to send.", ""},
	{"spf-missing", SPF, "The name that SPF is checked on has no SPF record: the domain of MAIL FROM, or for bounces the HELO name.",
		"Publish one TXT record that begins with v=spf1 and lists every address mail leaves from."},
	{"spf-several-records", SPF, "There are several SPF records, which receivers take for an error.",
		"Merge them into one record."},
	{"spf-fail", SPF, "SPF says the address must not send (-all).",
		"Add the address to the SPF record."},
	{"spf-softfail", SPF, "SPF says the address probably should not send (~all).",
		"Add the address to the SPF record."},
	{"spf-neutral", SPF, "SPF says nothing about the address.",
		"Add the address to the SPF record."},
	{"spf-egress-not-listed", SPF, "SPF allows some of the addresses mail leaves from, but not this one.",
		"Add the address to the SPF record."},
	{"spf-ipv6-missing", SPF, "SPF allows the other addresses, but not this IPv6 address.",
		"Add the IPv6 address to the SPF record with ip6:, or send over IPv4 only."},
	{"spf-too-many-lookups", SPF, "The SPF record takes more than 10 DNS lookups, which receivers take for an error.",
		"Replace includes and a or mx terms by ip4: and ip6: networks."},
	{"spf-too-many-void-lookups", SPF, "The SPF record asks for more than 2 names that don't exist.",
		"Remove the terms whose names no longer exist."},
	{"spf-plus-all", SPF, "The SPF record lets the whole world send.",
		"End the record with ~all or -all instead of +all, and list networks no larger than yours."},
	{"spf-syntax", SPF, "The SPF record has a syntax error, so it counts for nothing.",
		"Correct the term that is named."},
	{"spf-type-99-only", SPF, "The SPF record is of the abandoned type SPF (99) only.",
		"Publish the same text as a TXT record."},
	{"spf-include-missing", SPF, "The SPF record includes a domain that has none, which receivers take for an error.",
		"Remove the include, or correct its domain."},
	{"egress-not-set", SPF, "The addresses mail leaves from are not set, so SPF can't be predicted.",
		"Set egress in the configuration, or give --ip."},
	{"helo-not-set", SPF, "The HELO name is not set; the null sender's SPF is checked on it.",
		"Set hostname in the configuration."},

	{"dmarc-ok", DMARC, "There is a DMARC record.", ""},
	{"dmarc-missing", DMARC, "The domain has no DMARC record, which bulk senders need.",
		"Publish v=DMARC1; p=none with an address for reports (rua=) at _dmarc."},
	{"dmarc-several-records", DMARC, "There are several DMARC records, so receivers take none.",
		"Keep one of them."},
	{"dmarc-syntax", DMARC, "The DMARC record has an error, or tags that are out of date.",
		"Correct what is named; v=DMARC1 comes first, then p=."},
	{"dmarc-unaligned-dkim", DMARC, "No key signs as a domain that is aligned with From.",
		"Sign with a key of the From domain or of its organisational domain."},
	{"dmarc-unaligned-spf", DMARC, "SPF is checked on a domain that is not aligned with From; DKIM alone must carry DMARC.",
		"Send with a MAIL FROM address in the From domain, or rely on DKIM."},
	{"dmarc-refuses-us", DMARC, "The domain's own DMARC policy asks receivers to refuse this mail.",
		"Mend DKIM or SPF so that one of them passes aligned."},
	{"dmarc-orgdomain-differs", DMARC, "RFC 9989 and the public suffix list give different organisational domains, so receivers may differ.",
		"Publish a DMARC record at the From domain, with psd=n at the organisational domain."},

	{"ns-disagree", DNS, "Some of the domain's name servers have the record and some don't; a receiver may ask any.",
		"Wait for the zone to reach all servers, or mend the transfer between them."},
	{"ns-lame", DNS, "A name server the domain is delegated to doesn't answer for it.",
		"Mend that server, or remove it from the delegation."},
	{"dns-unreachable", DNS, "DNS gives no answer, so nothing is known.",
		"Check the resolvers and the domain's name servers."},
	{"check-failed", DNS, "A check broke off by a fault in mailgate itself, so nothing is known.",
		"Report it with the log."},
	{"negative-cached-until", DNS, "The record is published, but resolvers still remember that there was none.",
		"Wait until the time named."},
	{"old-record-cached-until", DNS, "The record is right, but resolvers still remember the old one.",
		"Wait until the time named."},
	{"dnssec-bogus", DNS, "The zone's DNSSEC signatures are broken, so resolvers that check them give no answer.",
		"Sign the zone again, or correct or remove the DS record at the registrar."},
	{"wildcard-txt", DNS, "A wildcard TXT record answers for a name that isn't published.",
		"Publish the name itself, or remove the wildcard."},

	{"ptr-ok", PTR, "The address has a name that leads back to it.", ""},
	{"ptr-missing", PTR, "The IPv4 address has no PTR record.",
		"Ask the provider of the address to set one to the HELO name."},
	{"ptr-not-confirmed", PTR, "The address's name does not lead back to the address.",
		"Give the name an A or AAAA record with the address, or correct the PTR."},
	{"ipv6-without-ptr", PTR, "The IPv6 address has no PTR record, which Gmail refuses mail for.",
		"Set one, or send over IPv4 only."},
	{"helo-ok", Host, "The HELO name has an address.", ""},
	{"helo-unresolvable", Host, "The HELO name has no address in DNS.",
		"Give it an A or AAAA record, or set hostname to a name that has."},
	{"soa-ok", SOA, "The sender's domain exists in DNS.", ""},
	{"soa-missing", SOA, "The sender's domain does not exist in DNS.",
		"Correct the sender's domain, or register it."},

	{"from-unusable", From, "The From field doesn't have exactly one author with a usable address, so no key can sign the message.",
		"Have the program that writes such messages put one address into From. What is held: release it unsigned with --anyway, or discard it."},

	{"receiver-refused", Relay, "The receiver itself refused this message, or others of this sender, as not authenticated, although by DNS it would take them.",
		"Find out what the receiver saw that mailgate doesn't see. What is held leaves when a finding changes; or release it with --anyway."},
	{"line-too-long", Relay, "A line of the message has more than 998 bytes, the most that SMTP promises to carry.",
		"Have the program that writes the message break its lines, or encode it as quoted-printable or base64."},
}
