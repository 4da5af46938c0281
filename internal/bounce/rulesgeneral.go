package bounce

import "slices"

// generalRules are for whatever receiver, and for what our own server says when no
// receiver answers. The order matters: the exact ones come before the vague.
func generalRules() []Rule {
	return slices.Concat(undecidedRules(), messageRules(), connectionRules(), authenticationRules(), blocklistRules(), recipientRules(), accessRules(), vagueRules())
}

const (
	seen    = "rejections seen, of many servers"
	rfc7372 = "RFC 7372, and servers that answer so"
)

// noMailbox is said of a mailbox, whatever its name.
var noMailbox = []string{"user unknown", "unknown user", "no such user", "no such recipient", "recipient unknown", "unknown recipient", "mailbox full", "mailbox is full", "over quota"}

// undecidedRules are for a check of the receiver's that came to no end.
func undecidedRules() []Rule {
	return []Rule{{
		Name: "authentication-undecided", Kind: Authentication, Fault: Nobody, Source: rfc7372 + "; " + seen,
		codes: []int{421, 450, 451, 452, 454}, words: []string{"dmarc", "dkim", "spf"}, text: []string{"temporary failure", "temporary error", "temporarily", "temperror", "timeout", "timed out", "dns error", "dns failure", "lookup fail", "lookup error", "servfail"},
		Means: "The receiver couldn't check SPF, DKIM or DMARC of {domain} to the end: DNS gave it no answer.",
		Not:   []string{"a verdict"},
		Do:    []string{"{again} If it stays so, see whether all name servers of {domain} answer."},
	}}
}

func authenticationRules() []Rule {
	return []Rule{
		{
			Name: "dkim-refused", Kind: Authentication, Fault: SenderDNS, Source: rfc7372,
			enhanced: []string{"x.7.20", "x.7.21", "x.7.22"},
			Means:    "The receiver wants a valid DKIM signature, of {domain} at that, and found none.",
			Not:      []string{"about SPF"},
			Do:       []string{"See whether the key in DNS is the one that signs."},
		},
		{
			Name: "dmarc-refused", Kind: Authentication, Fault: SenderDNS, Source: seen,
			words: []string{"dmarc"}, remote: true, unless: slices.Concat(noMailbox, []string{"dmarc pass", "dmarc=pass", "dmarc: pass", "dmarc = pass"}),
			Means: "The DMARC policy of {domain} refuses it: neither DKIM nor SPF passed aligned with From.",
			Do:    []string{"Sign with a key of {domain}, or use a MAIL FROM below it that SPF allows."},
		},
		{
			Name: "unauthenticated", Kind: Authentication, Fault: SenderDNS, Source: rfc7372,
			enhanced: []string{"x.7.26"},
			Means:    "Several ways to authenticate failed: DKIM and SPF, by most servers that say so.",
			Do:       []string{checkDo},
		},
		{
			Name: "spf-refused", Kind: Authentication, Fault: SenderDNS, Source: rfc7372 + "; " + seen,
			enhanced: []string{"x.7.23", "x.7.24"},
			Means:    "SPF fails: the record of {sender} doesn't allow for {ip}, or can't be evaluated.",
			Do:       []string{"Add {ip} to the SPF record of {sender}."},
		},
		{
			Name: "spf-refused", Kind: Authentication, Fault: SenderDNS, Source: seen,
			text:  []string{"spf fail", "spf check", "spf record", "openspf", "sender policy framework", "not permitted by spf", "spf: fail", "not designated", "does not designate", "spf validation", "spf unauthorized", "violates spf", "fails spf", "failed spf", "(spf)", "spf-result", "spf mx"},
			Means: "SPF fails: the record of {sender} doesn't allow for {ip}, or can't be evaluated.",
			Do:    []string{"Add {ip} to the SPF record of {sender}."},
		},
		{
			Name: "dkim-refused", Kind: Authentication, Fault: SenderDNS, Source: seen,
			words: []string{"dkim"}, unless: slices.Concat(noMailbox, []string{"dkim pass", "dkim=pass", "dkim: pass", "dkim = pass"}),
			Means: "The receiver wants a valid DKIM signature, of {domain} at that, and found none.",
			Not:   []string{"about SPF"},
			Do:    []string{"See whether the key in DNS is the one that signs."},
		},
		{
			Name: "ptr-refused", Kind: HostName, Fault: OurServer, Source: rfc7372 + "; " + seen,
			enhanced: []string{"x.7.25"},
			Means:    "{ip} has no PTR record, or the name it gives doesn't lead back to {ip}.",
			Do:       []string{"Have whoever gave you the address set the PTR record, and the name an A or AAAA record with that address."},
		},
		{
			Name: "ptr-refused", Kind: HostName, Fault: OurServer, Source: seen,
			text: []string{"reverse dns", "reverse hostname", "rdns", "ptr record", "no ptr", "reverse lookup", "reverse address", "cannot find your hostname", "fix reverse", "generic ptr", "dynamic ip"}, remote: true,
			Means: "{ip} has no PTR record, the name it gives doesn't lead back to {ip}, or looks like a dial-up line's.",
			Do:    []string{"Have whoever gave you the address set the PTR record, and the name an A or AAAA record with that address."},
		},
		{
			Name: "helo-refused", Kind: HostName, Fault: OurServer, Source: seen,
			text:  []string{"helo command rejected", "ehlo command rejected", "invalid helo", "bad helo", "helo/ehlo argument", "helo name", "helo host", "helo string", "ehlo name", "need fully-qualified hostname"},
			Means: "The receiver doesn't like the name your server greets with (HELO): it doesn't exist, isn't fully qualified, or isn't yours.",
			Do:    []string{"Let the server greet with a name that has an A or AAAA record with {ip}: hostname in mailgate, myhostname in Postfix, primary_hostname in Exim."},
		},
	}
}

func blocklistRules() []Rule {
	return []Rule{
		{
			Name: "blocklist-query-refused", Kind: Blocklist, Fault: Receiver, Source: "Spamhaus, error codes of its public mirrors",
			text: []string{"spamhaus.org/returnc", "open resolver", "127.255.255"}, remote: true,
			Means: "The receiver asks a blocklist in a way the list refuses, and takes the refusal for a listing.",
			Not:   []string{"a listing of your address"},
			Do:    []string{"Tell the receiver's administrator: the DNS resolver there may not query the list for free."},
		},
		{
			Name: "blocklist-domain", Kind: Blocklist, Fault: OurSending, Source: seen,
			text: []string{"dbl.spamhaus", "spamhaus dbl", "spamhaus.org/dbl", "surbl", "uribl", "domain present in the spamhaus", "url blacklist", "uri blacklist", "blacklisted url", "blacklisted domain"}, remote: true,
			Means: "A domain in the message (From, HELO or a link) is on {lists}.",
			Not:   []string{"a listing of the address it was sent from"},
			Do:    []string{"Look the domains of the message up at the list, and ask for removal there once the cause is gone."},
		},
		{
			Name: "blocklist", Kind: Blocklist, Fault: OurSending, Source: seen,
			text: []string{"blocked using", "blacklist", "blocklist", "block list", "black list", "denylist", "listed at", "listed in", "is listed", "rbl", "dnsbl", "spamhaus", "spamcop", "barracudacentral", "uceprotect", "sorbs", "abusix", "psbl", "cloudmark", "dnsbl-lookup", "bl21", "bl23", "because the ip is"}, remote: true,
			unless: []string{"content", "personal blacklist"},
			Means:  "{ip} is on {lists}.",
			Not:    []string{"about SPF, DKIM or DMARC"},
			Do:     []string{"Look {ip} up there: the entry says why. Stop the cause (a compromised account, an open relay, a dynamic address), then ask for removal."},
		},
		{
			Name: "reputation", Kind: Reputation, Fault: OurSending, Source: seen,
			text: []string{"reputation", "senderscore", "poor sender"}, remote: true,
			Means: "The receiver counts {ip}, or {domain}, as having a poor reputation from what it sent before.",
			Not:   []string{"a public blocklist that it names"},
			Do:    []string{"Find out what was sent from {ip}, stop it, and send little and wanted mail for some weeks."},
		},
	}
}

func recipientRules() []Rule {
	return []Rule{
		{
			Name: "null-mx", Kind: Recipient, Fault: RecipientAddress, Source: "RFC 7505",
			text:  []string{"nullmx", "null mx", "does not accept mail", "domain accepts no mail", "takes no mail", "doesn't accept mail"},
			Means: "{todomain} says in DNS that it takes no mail at all (MX \".\").",
			Not:   []string{"a fault of DNS"},
			Do:    []string{"Ask the recipient for an address at another domain."},
		},
		{
			Name: "null-mx", Kind: Recipient, Fault: RecipientAddress, Source: "RFC 7505",
			codes: []int{556}, enhanced: []string{"5.1.10"},
			Means: "{todomain} says in DNS that it takes no mail at all (MX \".\").",
			Not:   []string{"a fault of DNS"},
			Do:    []string{"Ask the recipient for an address at another domain."},
		},
		{
			Name: "mailbox-full", Kind: Recipient, Fault: Receiver, Source: "RFC 3463; " + seen,
			enhanced: []string{"x.2.2"},
			Means:    "The mailbox of {to} is full.",
			Do:       []string{"Reach the recipient another way; send again once there is room."},
		},
		{
			Name: "mailbox-full", Kind: Recipient, Fault: Receiver, Source: seen,
			text:  []string{"over quota", "overquota", "quota exceeded", "mailbox full", "mailbox is full", "exceeded storage", "out of storage", "mailbox exceeded", "insufficient disk quota", "storage allocation", "not enough space in mailbox"},
			Means: "The mailbox of {to} is full.",
			Do:    []string{"Reach the recipient another way; send again once there is room."},
		},
		{
			Name: "sender-unknown", Kind: Sender, Fault: SenderDNS, Source: "RFC 3463; " + seen,
			enhanced: []string{"x.1.7", "x.1.8"},
			Means:    "The receiver doesn't believe the sender's address of the envelope: its domain doesn't exist in DNS, or can take no mail.",
			Not:      []string{"about the recipient", "about SPF, DKIM or DMARC"},
			Do:       []string{"Send from a domain with an MX or address record, also in MAIL FROM."},
		},
		{
			Name: "sender-unknown", Kind: Sender, Fault: SenderDNS, Source: seen,
			text:  []string{"sender address rejected", "sender verify failed", "sender verification", "sender domain", "domain of sender address", "callout verification", "could not complete sender verify", "sender rejected", "invalid sender", "mail from refused", "unable to verify sender"},
			Means: "The receiver doesn't believe the sender's address of the envelope: its domain isn't found in DNS, or its mailbox isn't there.",
			Not:   []string{"about the recipient", "about SPF, DKIM or DMARC"},
			Do:    []string{"Send from an address that exists and takes mail, also in MAIL FROM."},
		},
		{
			Name: "mailbox-disabled", Kind: Recipient, Fault: RecipientAddress, Source: "RFC 3463; " + seen,
			text:  []string{"account that you tried to reach is disabled", "account is disabled", "account disabled", "mailbox disabled", "mailbox is disabled", "mailbox is inactive", "account inactive", "inactive email address", "user is suspended", "account suspended", "account has been suspended", "no longer valid", "no longer active", "no longer on server", "account is inactive"},
			Means: "The mailbox of {to} is there no more, or is shut.",
			Do:    []string{"Ask the recipient for the right address, and take this one off your lists."},
		},
		{
			Name: "user-unknown", Kind: Recipient, Fault: RecipientAddress, Source: "RFC 3463; " + seen,
			enhanced: []string{"5.1.1", "5.1.10", "5.1.0", "5.1.3", "5.1.6", "5.1.351"}, unless: []string{"relay", "sender"},
			Means: "The recipient's mailbox isn't there: the receiver doesn't know {to}.",
			Do:    []string{"Ask the recipient for the right address, and take this one off your lists."},
		},
		{
			Name: "user-unknown", Kind: Recipient, Fault: RecipientAddress, Source: seen,
			text:   []string{"user unknown", "unknown user", "no such user", "unknown recipient", "recipient unknown", "user not found", "mailbox not found", "recipient not found", "unknown or illegal alias", "does not exist", "doesn't exist", "no mailbox here", "no such recipient", "no such address", "invalid recipient", "invalid mailbox", "mailbox unavailable", "doesn't have a ", "not our customer", "address unknown", "unknown address", "unknown local part", "undeliverable address", "unrouteable address", "unroutable address", "no such person", "user doesn't", "recipient address rejected: user", "verification failed", "is not a valid mailbox", "bad destination mailbox"},
			unless: []string{"domain does not exist", "host", "sender"},
			Means:  "The recipient's mailbox isn't there: the receiver doesn't know {to}.",
			Do:     []string{"Ask the recipient for the right address, and take this one off your lists."},
		},
		{
			Name: "recipient-rate", Kind: Rate, Fault: Receiver, Source: seen,
			text:  []string{"receiving mail too quickly", "receiving mail at a rate", "thread limit exceeded"},
			Means: "The mailbox of {to} gets more mail at the moment than its server lets in.",
			Do:    []string{"{again}"},
		},
		{
			Name: "mailbox-disabled", Kind: Recipient, Fault: RecipientAddress, Source: "RFC 3463",
			enhanced: []string{"5.2.1"},
			Means:    "The mailbox of {to} is there but takes no mail.",
			Do:       []string{"Ask the recipient for another address."},
		},
	}
}
