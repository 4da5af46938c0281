package bounce

import "mailgate/internal/preflight"

const (
	exchangeCodes = "Microsoft, NDR codes of Exchange Online, spring 2026"
	outlookCodes  = "Microsoft, outlook.com postmaster and requirements for high-volume senders, spring 2026"
	microsoftSeen = "Microsoft, rejections seen"
)

// microsoftRules are for outlook.com and domains at Microsoft 365.
func microsoftRules() []Rule {
	m := preflight.Microsoft
	return []Rule{
		{
			Name: "microsoft-bulk-unauthenticated", Provider: m, Kind: Authentication, Fault: SenderDNS, Source: outlookCodes,
			enhanced: []string{"5.7.515"},
			Means:    "Outlook takes {domain} for a high-volume sender (some 5,000 messages a day), who must pass SPF and DKIM, publish DMARC, and be aligned with one of them.",
			Not:      []string{"the DMARC policy variant (5.7.509)"},
			Do:       []string{"See which of Spf=, Dkim= and DMARC= in the reply isn't Pass, and mend that."},
		},
		{
			Name: "microsoft-dmarc-reject", Provider: m, Kind: Authentication, Fault: SenderDNS, Source: exchangeCodes,
			enhanced: []string{"5.7.509"},
			Means:    "The DMARC policy of {domain} is reject, and neither DKIM nor SPF passed aligned with it.",
			Not:      []string{"about volume (that is 5.7.515)"},
			Do:       []string{"Sign with a key of {domain}, or use a MAIL FROM below it that SPF allows."},
		},
		{
			Name: "microsoft-spf-fail", Provider: m, Kind: Authentication, Fault: SenderDNS, Source: exchangeCodes,
			enhanced: []string{"5.7.23"},
			Means:    "SPF fails: the record of {sender} doesn't allow for {ip}.",
			Not:      []string{"the DMARC policy variant (5.7.509)"},
			Do:       []string{"Add {ip} to the SPF record of {sender}."},
		},
		{
			Name: "microsoft-ipv6-unauthenticated", Provider: m, Kind: Authentication, Fault: SenderDNS, Source: exchangeCodes,
			enhanced: []string{"x.7.26"}, text: []string{"ipv6"},
			Means: "Over IPv6 Microsoft takes only what passes SPF or DKIM, and this did neither.",
			Not:   []string{"Gmail's 5.7.26, which is about IPv4, too"},
			Do:    []string{"Add the IPv6 address to the SPF record of {sender}, sign with DKIM, or send over IPv4."},
		},
		{
			Name: "microsoft-ipv6-ptr", Provider: m, Kind: HostName, Fault: OurServer, Source: exchangeCodes,
			enhanced: []string{"x.7.25"},
			Means:    "{ip} has no PTR record, which Microsoft wants of IPv6 addresses.",
			Do:       []string{"Give {ip} a PTR record, or send over IPv4."},
		},
		{
			Name: "microsoft-no-ipv6", Provider: m, Kind: Network, Fault: Receiver, Source: exchangeCodes,
			enhanced: []string{"5.7.510"},
			Means:    "{todomain} takes no mail over IPv6.",
			Do:       []string{"Send to it over IPv4."},
		},
		{
			Name: "microsoft-banned-ip", Provider: m, Kind: Blocklist, Fault: OurSending, Source: exchangeCodes,
			enhanced: []string{"5.7.606-649", "5.7.511"},
			Means:    "{ip} is on Microsoft's own list of banned addresses.",
			Not:      []string{"a public blocklist", "about SPF, DKIM or DMARC"},
			Do:       []string{"Find out what was sent from {ip} and stop it, then ask for removal at https://sender.office.com/."},
		},
		{
			Name: "microsoft-block-list", Provider: m, Kind: Blocklist, Fault: OurSending, Source: microsoftSeen,
			text:  []string{"s3150", "s3140", "is on our block list", "network is on our block"},
			Means: "{ip}, or the network around it, is on outlook.com's own block list.",
			Not:   []string{"a public blocklist", "about SPF, DKIM or DMARC"},
			Do:    []string{"Ask for removal at https://olcsupport.office.com/, and enrol the address in Microsoft's SNDS to see what it counts."},
		},
		{
			Name: "microsoft-recipient-block", Provider: m, Kind: Access, Fault: Receiver, Source: exchangeCodes,
			enhanced: []string{"5.7.513", "5.7.507", "5.7.512"},
			Means:    "The administrator of {todomain} has put your address, or a sender, on a block list of their own.",
			Not:      []string{"Microsoft's own list", "about SPF, DKIM or DMARC"},
			Do:       []string{"Ask the recipient's administrator to take it off."},
		},
		{
			Name: "microsoft-throttled", Provider: m, Kind: Rate, Fault: OurSending, Source: exchangeCodes + "; " + microsoftSeen,
			enhanced: []string{"4.7.500-699", "4.7.850-899"},
			Means:    "Microsoft has seen suspicious traffic or a poor reputation of {ip}, and slows it down.",
			Not:      []string{"about SPF, DKIM or DMARC"},
			Do:       []string{"Send slower from a new address, and see what was sent from {ip}."},
		},
		{
			Name: "microsoft-throttled", Provider: m, Kind: Rate, Fault: OurSending, Source: microsoftSeen,
			text:  []string{"rp-001", "rp-002", "rp-003", "rate limited due to ip reputation"},
			Means: "Outlook limits the connections or messages that {ip} may open, by its reputation.",
			Not:   []string{"about SPF, DKIM or DMARC"},
			Do:    []string{"Send slower, and see what was sent from {ip}."},
		},
		{
			Name: "microsoft-account-blocked", Provider: m, Kind: Reputation, Fault: OurSending, Source: exchangeCodes,
			enhanced: []string{"5.1.8", "5.1.90", "5.7.501-503", "5.7.703", "5.7.705", "5.7.708"},
			text:     []string{"outbound spam", "bad outbound", "access denied", "sending limit", "exceeded threshold", "traffic not accepted", "spam abuse", "banned sender", "exceeded"},
			Means:    "Microsoft has stopped a sender, a tenant or an address for spam, or for too much mail.",
			Not:      []string{"the recipient refusing"},
			Do:       []string{"Look for a compromised account, change its password, then ask Microsoft's support to lift the block."},
		},
		{
			Name: "microsoft-unknown-tenant", Provider: m, Kind: Access, Fault: OurServer, Source: exchangeCodes,
			enhanced: []string{"5.7.64", "5.7.51"},
			Means:    "A connector of the Microsoft 365 tenant expects your server's address or certificate, and it is another one.",
			Not:      []string{"about SPF, DKIM or DMARC"},
			Do:       []string{"Compare the connector (RestrictDomainsToIPAddresses, …ToCertificate) with {ip} and your certificate."},
		},
		{
			Name: "microsoft-no-forwarding", Provider: m, Kind: Access, Fault: OurServer, Source: exchangeCodes,
			enhanced: []string{"5.7.520"},
			Means:    "The Microsoft 365 organisation that the message is forwarded from doesn't allow forwarding to addresses outside.",
			Not:      []string{"the recipient refusing", "about SPF, DKIM or DMARC"},
			Do:       []string{"Where the forwarding is wanted, let that organisation's administrator allow it: the outbound spam policy has automatic forwarding, best for this mailbox only. Otherwise take the forwarding away."},
		},
		{
			Name: "exchange-internal-only", Kind: Access, Fault: Receiver, Source: exchangeCodes,
			enhanced: []string{"5.7.124", "5.7.129", "5.7.133-136"},
			Means:    "{to} (a group or mailbox) takes mail only from people of its organisation, or from certain senders.",
			Not:      []string{"an unknown address", "a login that is missing", "about SPF, DKIM or DMARC"},
			Do:       []string{"Ask the recipient to allow outside senders, or write to another address of theirs."},
		},
		{
			Name: "exchange-internal-only", Kind: Access, Fault: Receiver, Source: exchangeCodes,
			text:  []string{"resolver.rst.authrequired", "resolver.rst.sendernot", "resolver.rst.notauthorized", "resolver.rst.restrictedtorecipientspermission", "recipient only accepts", "not authorized to send to the recipient"},
			Means: "{to} takes mail only from people of its organisation, or from certain senders.",
			Not:   []string{"an unknown address", "about SPF, DKIM or DMARC"},
			Do:    []string{"Ask the recipient to allow outside senders, or write to another address of theirs."},
		},
		{
			Name: "microsoft-user-unknown", Provider: m, Kind: Recipient, Fault: RecipientAddress, Source: exchangeCodes,
			enhanced: []string{"5.4.1"}, text: []string{"recipient address rejected", "access denied"},
			Means: "{todomain} has no such address (Microsoft 365 answers so for addresses that its directory doesn't have).",
			Not:   []string{"about you, in spite of \"Access denied\""},
			Do:    []string{"Ask the recipient for the right address."},
		},
		{
			Name: "microsoft-dane", Kind: TLS, Fault: Receiver, Source: exchangeCodes,
			enhanced: []string{"x.7.321-325"},
			Means:    "Exchange Online found that the TLS of {todomain} doesn't agree with what it publishes (DANE, or its certificate).",
			Not:      []string{"about SPF, DKIM or DMARC"},
			Do:       []string{"Tell the receiver's administrator: certificate, TLSA records or STARTTLS are to be mended there."},
		},
	}
}
