package bounce

import "mailgate/internal/preflight"

const (
	googleCodes      = "Google, Gmail SMTP errors and codes, and email sender guidelines, spring 2026"
	googleOld        = "Google, the wording before 2024, seen in logs"
	googleBulkDo     = "It is asked of bulk senders: some 5,000 messages a day to Gmail, counted for the whole organisational domain."
	checkDo          = "See what {domain} publishes now, and publish what is missing. One of the two with a pass is enough."
	rateAgainDo      = "A message that is still tried leaves by itself once the cause is mended."
	googlePostmaster = "Look at the domain in Google's Postmaster Tools."
)

// googleRules are for recipient domains whose MX is Google's.
func googleRules() []Rule {
	g := preflight.Google
	return []Rule{
		{
			Name: "gmail-dns-failure", Provider: g, Kind: Authentication, Fault: Nobody, Source: googleCodes,
			codes: []int{451}, enhanced: []string{"4.7.26"}, text: []string{"temporary dns", "dns failure"},
			Means: "A DNS failure kept Gmail from checking DKIM and SPF, and the DMARC policy of {domain} refuses what isn't authenticated.",
			Not:   []string{"a verdict"},
			Do:    []string{"Nothing, if it stays one message. Otherwise see whether all name servers of {domain} answer."},
		},
		{
			Name: "gmail-dmarc-reject", Provider: g, Kind: Authentication, Fault: SenderDNS, Source: googleCodes,
			enhanced: []string{"x.7.26", "5.7.1"}, text: []string{"dmarc policy"},
			Means: "The DMARC policy of {domain} refuses mail that isn't authenticated, and neither DKIM nor SPF passed with {domain} itself.",
			Not:   []string{"the variant without any authentication: DKIM or SPF may well have passed for another domain"},
			Do:    []string{"Sign with a key of {domain}, or use a MAIL FROM below it: one must pass and be aligned with From."},
		},
		{
			Name: "gmail-spf-hardfail", Provider: g, Kind: Authentication, Fault: SenderDNS, Source: googleCodes,
			enhanced: []string{"5.7.26", "4.7.26", "5.7.1"}, text: []string{"hard fail"},
			Means: "The SPF record of {sender} ends in -all and doesn't list {ip}, and no valid DKIM signature made up for it.",
			Not:   []string{"the DMARC variant"},
			Do:    []string{"Add {ip} to the SPF record of {sender}, and sign with DKIM."},
		},
		{
			Name: "gmail-unauthenticated-rate", Provider: g, Kind: Authentication, Fault: SenderDNS, Source: googleCodes,
			codes: []int{421, 450, 451}, enhanced: []string{"4.7.26", "4.7.0"}, text: []string{"unauthenticated", "authentication information", "authentication checks", "authenticate with either"},
			Means: "Neither a valid DKIM signature nor an SPF pass: Gmail slows such mail down, and will refuse it.",
			Not:   []string{"the DMARC variant", "the daily limit of your account"},
			Do:    []string{checkDo, rateAgainDo},
		},
		{
			Name: "gmail-unauthenticated", Provider: g, Kind: Authentication, Fault: SenderDNS, Source: googleCodes + "; " + googleOld,
			enhanced: []string{"5.7.26", "5.7.1"}, text: []string{"unauthenticated", "authentication information", "authentication checks", "authenticate with either"},
			Means: "Neither a valid DKIM signature nor an SPF pass.",
			Not:   []string{"the DMARC variant"},
			Do:    []string{checkDo},
		},
		{
			Name: "gmail-unauthenticated", Provider: g, Kind: Authentication, Fault: SenderDNS, Source: googleCodes,
			enhanced: []string{"5.7.26"},
			Means:    "Gmail says that the message isn't authenticated; the part that names the variant is missing here.",
			Do:       []string{checkDo},
		},
		{
			Name: "gmail-bulk-spf", Provider: g, Kind: Authentication, Fault: SenderDNS, Source: googleCodes,
			enhanced: []string{"x.7.27"},
			Means:    "SPF didn't pass for {sender} from {ip}, and Gmail takes {domain} for a bulk sender, who needs both SPF and DKIM.",
			Not:      []string{"a missing DKIM signature: that is 5.7.30"},
			Do:       []string{"Add {ip} to the SPF record of {sender}.", googleBulkDo},
		},
		{
			Name: "gmail-bulk-dkim", Provider: g, Kind: Authentication, Fault: SenderDNS, Source: googleCodes,
			enhanced: []string{"x.7.30"},
			Means:    "No valid DKIM signature, and Gmail takes {domain} for a bulk sender, who needs both SPF and DKIM.",
			Not:      []string{"SPF: that is 5.7.27"},
			Do:       []string{"Sign with an RSA key of at least 1024 bits whose record is published; Gmail doesn't verify Ed25519.", googleBulkDo},
		},
		{
			Name: "gmail-bulk-unaligned", Provider: g, Kind: Authentication, Fault: SenderDNS, Source: googleCodes + "; 5.7.32 seen",
			enhanced: []string{"x.7.32"},
			Means:    "SPF or DKIM passed, but for a domain of another organisation than the one in From.",
			Not:      []string{"a missing signature or SPF record"},
			Do:       []string{"Sign with DKIM for {domain} itself, or use a MAIL FROM below it.", googleBulkDo},
		},
		{
			Name: "gmail-auth-type", Provider: g, Kind: Access, Fault: OurServer, Source: googleCodes,
			codes: []int{504}, enhanced: []string{"5.7.4", "5.7.40"},
			Means: "Gmail doesn't know the way to log in that your server chose (AUTH).",
			Not:   []string{"the 5.7.40 about a missing DMARC record"},
			Do:    []string{"Offer PLAIN, LOGIN or XOAUTH2 over TLS; to an MX, log in not at all."},
		},
		{
			Name: "gmail-bulk-dmarc", Provider: g, Kind: Authentication, Fault: SenderDNS, Source: googleCodes + " (a FAQ of theirs has 4.7.31)",
			enhanced: []string{"x.7.40", "x.7.31"},
			Means:    "{domain} has no DMARC record, or one without a policy, and Gmail takes it for a bulk sender.",
			Not:      []string{"504 5.7.4, which is about logins"},
			Do:       []string{"Publish a TXT record at {dmarc}: \"v=DMARC1; p=none\".", googleBulkDo},
		},
		{
			Name: "gmail-no-tls", Provider: g, Kind: TLS, Fault: OurServer, Source: googleCodes,
			enhanced: []string{"x.7.29"},
			Means:    "The message came without TLS, which Gmail wants of bulk senders.",
			Do:       []string{"Let TLS to Gmail be tried: an override or a setting of your server's that turns it off is in the way.", googleBulkDo},
		},
		{
			Name: "gmail-no-tls", Provider: g, Kind: TLS, Fault: OurServer, Source: googleCodes,
			enhanced: []string{"x.7.0"}, text: []string{"tls required", "must issue a starttls"},
			Means: "The recipient's administrator wants TLS for mail to {todomain}, and the message came without.",
			Not:   []string{"about rate or reputation, which 4.7.0 stands for, too"},
			Do:    []string{"Let TLS to this destination be tried: an override or a setting of your server's that turns it off is in the way."},
		},
		{
			Name: "gmail-ipv6-ptr", Provider: g, Kind: Authentication, Fault: Nobody, Source: googleCodes,
			enhanced: []string{"x.7.1"}, text: []string{"ipv6 sending guidelines", "ipv6 guidelines"},
			Means: "Mail over IPv6 needs a PTR record of {ip} whose name leads back to it, and SPF or DKIM; one of them is missing.",
			Not:   []string{"about IPv4"},
			Do:    []string{"Give {ip} a PTR record whose name leads back to it, and see that SPF or DKIM passes; or don't send over IPv6."},
		},
		{
			Name: "gmail-ptr", Provider: g, Kind: HostName, Fault: OurServer, Source: googleCodes,
			enhanced: []string{"x.7.25", "x.7.23"},
			Means:    "{ip} has no PTR record, or the name it gives doesn't lead back to {ip}.",
			Do:       []string{"Have whoever gave you the address set the PTR record, and the name an A or AAAA record with that address."},
		},
		{
			Name: "gmail-spf-suspicious", Provider: g, Kind: Authentication, Fault: SenderDNS, Source: googleCodes,
			enhanced: []string{"x.7.24"},
			Means:    "Gmail distrusts the SPF record of {sender}: it allows far too much, such as +all or enormous ranges.",
			Not:      []string{"an address that SPF doesn't list"},
			Do:       []string{"Take +all, ?all and large ranges out of the record; list what sends."},
		},
		{
			Name: "gmail-same-message-id", Provider: g, Kind: Rate, Fault: OurSending, Source: googleCodes,
			text:  []string{"same message-id"},
			Means: "The same message, by its Message-ID, came to Gmail too often.",
			Not:   []string{"a fault of the Message-ID's form", "about SPF, DKIM or DMARC"},
			Do:    []string{"Look for a loop, a forwarder that sends again and again, or a program that gives all its messages the same Message-ID."},
		},
		{
			Name: "gmail-malformed", Provider: g, Kind: Form, Fault: OurMessage, Source: googleCodes,
			text: []string{"rfc 5322", "rfc-compliant", "rfc compliant", "valid address in from", "from: header", "from header is missing", "message-id", "duplicate header", "multiple from", "headers which", "'from' header", "single-instance"}, enhanced: []string{"5.7.1", "5.5.2", "5.6.0"},
			Means: "The header isn't as RFC 5322 wants it: From, Message-ID or Date missing, or a field there twice that may be there once.",
			Not:   []string{"about SPF, DKIM or DMARC", "a blocklist"},
			Do:    []string{"Mend the program that writes the message; mailgate's relay adds Date and Message-ID and refuses several From."},
		},
		{
			Name: "gmail-unsolicited", Provider: g, Kind: Reputation, Fault: Nobody, Source: googleCodes + "; seen for domains without SPF",
			enhanced: []string{"x.7.1"}, text: []string{"likely unsolicited", "likely to be unsolicited"},
			Means: "Gmail takes the message for spam. It has been the answer to a domain without an SPF record, so look there first.",
			Not:   []string{"a public blocklist"},
			Do:    []string{"Check SPF, DKIM, DMARC and PTR; if all pass, it is the content or what {ip} sent before.", googlePostmaster},
		},
		{
			Name: "gmail-multiple-domains", Provider: g, Kind: Access, Fault: OurServer, Source: googleCodes,
			enhanced: []string{"4.3.0"}, text: []string{"multiple destination domains"},
			Means: "One transaction had recipients in several domains; Google takes one domain at a time.",
			Not:   []string{"about SPF, DKIM or DMARC", "trouble at Google"},
			Do:    []string{"Deliver per domain: in Exim multi_domain = false in the transport. The retry usually goes through."},
		},
		{
			Name: "gmail-rate", Provider: g, Kind: Rate, Fault: OurSending, Source: googleCodes,
			enhanced: []string{"x.7.28", "x.7.0", "x.7.1"}, text: []string{"unusual rate"},
			Means: "More mail than usual came from your address, netblock, DKIM or SPF domain, or with a URL of yours, and people took it for spam.",
			Do:    []string{"Send slower, look for a compromised account or form, and let recipients opt out.", googlePostmaster},
		},
		{
			Name: "gmail-rate", Provider: g, Kind: Rate, Fault: OurSending, Source: googleCodes,
			enhanced: []string{"x.7.28"},
			Means:    "Gmail limits the rate of mail from you.",
			Do:       []string{"Send slower, and look for a compromised account or form.", googlePostmaster},
		},
		{
			Name: "gmail-reputation", Provider: g, Kind: Reputation, Fault: OurSending, Source: googleCodes,
			enhanced: []string{"x.7.0", "x.7.1"}, text: []string{"very low reputation", "low reputation"},
			Means: "The address or domain has a very low reputation at Gmail, from mail it sent before.",
			Not:   []string{"a public blocklist"},
			Do:    []string{"Find out what was sent from {ip} (a compromised account?), stop it, and send little and wanted mail for some weeks.", googlePostmaster},
		},
		{
			Name: "gmail-direct", Provider: g, Kind: Reputation, Fault: OurServer, Source: googleCodes,
			text:  []string{"not authorized to send email directly", "not authorized to send mail directly"},
			Means: "{ip} is in a range of dial-up or dynamic addresses, from which Google takes no mail directly.",
			Not:   []string{"about SPF, DKIM or DMARC"},
			Do:    []string{"Send through your provider's smart host, or from an address meant for servers."},
		},
		{
			Name: "gmail-recipient-rate", Provider: g, Kind: Rate, Fault: Receiver, Source: googleCodes,
			enhanced: []string{"x.2.1"}, text: []string{"receiving mail too quickly", "rate that prevents", "receiving mail at a rate"},
			Means: "The mailbox gets more mail at the moment than Gmail lets in.",
			Not:   []string{"about you, unless it is all yours"},
			Do:    []string{"{again} If a program of yours writes to it without end, stop that."},
		},
		{
			Name: "gmail-admin-policy", Provider: g, Kind: Access, Fault: Receiver, Source: googleCodes,
			text:  []string{" gcdp ", "email policy"},
			Means: "A rule that the administrator of {todomain} made in Google Workspace refuses the message.",
			Not:   []string{"a decision of Google's filters", "about SPF, DKIM or DMARC, unless the rule says so"},
			Do:    []string{"Ask the recipient's administrator, with the whole reply."},
		},
		{
			Name: "gmail-attachment", Provider: g, Kind: Content, Fault: OurMessage, Source: googleCodes,
			text:  []string{"potential security issue", "potentially executable", "illegal attachment"},
			Means: "Gmail takes no attachments of this type, nor archives with such files or with a password.",
			Do:    []string{"Send a link to the file, or another type."},
		},
		{
			Name: "gmail-relay", Provider: g, Kind: Access, Fault: OurServer, Source: googleCodes,
			text:  []string{"mail relay denied", "invalid credentials for relay", "smtp relay service"},
			Means: "Google Workspace's SMTP relay doesn't know your server: its address, or the domain of MAIL FROM, isn't registered there.",
			Not:   []string{"the recipient's Gmail refusing"},
			Do:    []string{"Register {ip} in the Workspace's SMTP relay settings, or deliver to the recipients' MX."},
		},
		{
			Name: "gmail-account-limit", Provider: g, Kind: Rate, Fault: OurSending, Source: googleCodes,
			text:  []string{"daily user sending", "sending quota", "daily sending quota", "daily smtp relay"},
			Means: "A Google account through which you send has reached its limit for the day.",
			Do:    []string{"Wait a day, or send through a server of your own."},
		},
	}
}
