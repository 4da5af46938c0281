package bounce

import "mailgate/internal/preflight"

const (
	yahooCodes = "Yahoo, SMTP error codes and sender requirements, spring 2026"
	appleCodes = "Apple, postmaster information for iCloud Mail, and rejections seen, spring 2026"
	qqCodes    = "QQ Mail, rejections seen, spring 2026"
)

// otherProviders are the rules for Yahoo, iCloud and QQ.
func otherProviders() []Rule {
	y, a, q := preflight.Yahoo, preflight.Apple, preflight.QQ
	return []Rule{
		{
			Name: "yahoo-unauthenticated", Provider: y, Kind: Authentication, Fault: SenderDNS, Source: yahooCodes,
			enhanced: []string{"x.7.9", "x.7.1"}, text: []string{"requires all senders", "unauthenticated"},
			Means: "Neither a valid DKIM signature nor an SPF pass, and Yahoo wants one of them from everybody.",
			Not:   []string{"the DMARC variant (554 5.7.9)"},
			Do:    []string{checkDo},
		},
		{
			Name: "yahoo-content", Provider: y, Kind: Content, Fault: OurMessage, Source: yahooCodes,
			text:  []string{"[ph01]"},
			Means: "Yahoo takes the content, such as its links, for phishing or for something its policy bars.",
			Not:   []string{"the DMARC variant, which has 5.7.9 and no [PH01]"},
			Do:    []string{"Look at the links and the HTML of the message; many such from one account may be a compromised one."},
		},
		{
			Name: "yahoo-no-soa", Provider: y, Kind: Sender, Fault: SenderDNS, Source: yahooCodes,
			text:  []string{" soa", "unresolvable", "could not be resolved", "domain does not resolve"},
			Means: "{domain}, or the domain of MAIL FROM, doesn't exist in DNS as Yahoo sees it: no SOA record, or no answer.",
			Not:   []string{"about SPF, DKIM or DMARC", "a blocklist"},
			Do:    []string{"Send from a domain that exists, also in MAIL FROM, and see that its name servers answer."},
		},
		{
			Name: "yahoo-dmarc-reject", Provider: y, Kind: Authentication, Fault: SenderDNS, Source: yahooCodes,
			enhanced: []string{"5.7.9"},
			Means:    "The DMARC policy of {domain} refuses it: neither DKIM nor SPF passed aligned with From.",
			Not:      []string{"about content, in spite of \"policy reasons\""},
			Do:       []string{"Sign with a key of {domain}, or use a MAIL FROM below it that SPF allows."},
		},
		{
			Name: "yahoo-blocked-ip", Provider: y, Kind: Reputation, Fault: OurSending, Source: yahooCodes,
			text:  []string{"[tss09]", "[tss11]", "will be permanently deferred", "permanently deferred"},
			Means: "Yahoo has blocked {ip} for what it sent: all its mail is refused for now.",
			Not:   []string{"about SPF, DKIM or DMARC", "a public blocklist"},
			Do:    []string{"Don't try again as it is. Find out what was sent from {ip}, stop it, then ask at https://senders.yahooinc.com/."},
		},
		{
			Name: "yahoo-deferred", Provider: y, Kind: Rate, Fault: OurSending, Source: yahooCodes,
			text:  []string{"[tss04]", "[tss05]", "[tss06]", "[ts01]", "[ts02]", "[ts03]", "temporarily deferred", "user complaints"},
			Means: "Yahoo puts mail from {ip} off: more of it than usual, or complaints of users. It also answers so to senders without SPF, DKIM and DMARC.",
			Not:   []string{"a block for good"},
			Do:    []string{"Check SPF, DKIM and DMARC, and send slower."},
		},
		{
			Name: "apple-dmarc-reject", Provider: a, Kind: Authentication, Fault: SenderDNS, Source: appleCodes,
			text:  []string{"dmarc policy"},
			Means: "The DMARC policy of {domain} refuses it: neither DKIM nor SPF passed aligned with From.",
			Not:   []string{"the variant without any authentication"},
			Do:    []string{"Sign with a key of {domain}, or use a MAIL FROM below it that SPF allows."},
		},
		{
			Name: "apple-unauthenticated", Provider: a, Kind: Authentication, Fault: SenderDNS, Source: appleCodes,
			text:  []string{"failing both spf and dkim", "hme1"},
			Means: "Neither a valid DKIM signature nor an SPF pass.",
			Not:   []string{"the DMARC variant"},
			Do:    []string{checkDo},
		},
		{
			Name: "apple-local-policy", Provider: a, Kind: Content, Fault: Nobody, Source: appleCodes,
			text:  []string{"[cs01]", "due to local policy"},
			Means: "iCloud's filter refuses the message, by its content or by what the sender sent before.",
			Not:   []string{"about SPF, DKIM or DMARC", "a public blocklist"},
			Do:    []string{"Try a plain message: if that arrives it is the content. Otherwise write to icloudadmin@apple.com with the whole reply."},
		},
		{
			Name: "apple-volume", Provider: a, Kind: Rate, Fault: OurSending, Source: appleCodes,
			text:  []string{"excessive volume"},
			Means: "More mail than iCloud takes for this recipient, or from you, at the moment.",
			Do:    []string{"Send slower."},
		},
		{
			Name: "qq-dmarc", Provider: q, Kind: Authentication, Fault: SenderDNS, Source: qqCodes,
			text:  []string{"dmarc check failed"},
			Means: "The DMARC policy of {domain} refuses it: neither DKIM nor SPF passed aligned with From.",
			Not:   []string{"the SPF variant"},
			Do:    []string{"Sign with a key of {domain}, or use a MAIL FROM below it that SPF allows."},
		},
		{
			Name: "qq-spf", Provider: q, Kind: Authentication, Fault: SenderDNS, Source: qqCodes,
			text:  []string{"spf check failed"},
			Means: "SPF fails: the record of {sender} doesn't allow for {ip}.",
			Not:   []string{"the DMARC variant"},
			Do:    []string{"Add {ip} to the SPF record of {sender}."},
		},
		{
			Name: "qq-rate", Provider: q, Kind: Rate, Fault: OurSending, Source: qqCodes,
			text:  []string{"frequency limited"},
			Means: "QQ limits how often this sender, domain or address may send, by the minute, hour and day; it doesn't say what the limits are.",
			Do:    []string{"Wait, then send slower; new addresses start with low limits."},
		},
		{
			Name: "qq-content", Provider: q, Kind: Content, Fault: OurMessage, Source: qqCodes,
			text:  []string{"mail content denied", "suspected spam", "mail is rejected by recipients", "content rejected"},
			Means: "QQ takes the message for spam, or the recipient blocks the sender.",
			Do:    []string{"Change the content, and don't send the same message to many; ask the recipient to allow the sender."},
		},
	}
}
