package bounce

// connectionRules are about what comes before a message: DNS, connections, TLS.
func connectionRules() []Rule {
	return []Rule{
		{
			Name: "tls-not-offered", Kind: TLS, Fault: Receiver, Source: "RFC 3207; words of Postfix and Exim",
			text: []string{"tls is required, but was not offered", "did not offer tls support", "starttls not offered", "not offered starttls", "doesn't offer starttls", "does not offer starttls", "tls is required but", "starttls is required to send"}, unless: []string{"530"},
			Means: "Your server was told to use TLS for {todomain}, and {host} offers none.",
			Not:   []string{"about SPF, DKIM or DMARC"},
			Do:    []string{"See what demands TLS: DANE, MTA-STS or your own policy. Lower your own, with a reason and an end, only if you must."},
		},
		{
			Name: "tls-certificate", Kind: TLS, Fault: Receiver, Source: "words of Postfix, Exim and Exchange",
			text:  []string{"certificate not trusted", "certificate not verified", "certificate verification failed", "certificate verify failed", "certificate invalid", "certificate has expired", "certificate expired", "certificate mismatch", "certificate name mismatch", "unable to verify the certificate", "untrustedroot", "certificate validation", "self-signed certificate", "no tlsa", "tlsa ", " dane ", "sts policy", "mta-sts", "not verified"},
			Means: "The certificate of {host} isn't what the policy for {todomain} wants (DANE, MTA-STS, or your own).",
			Not:   []string{"about SPF, DKIM or DMARC"},
			Do:    []string{"See what the policy wants and what the server shows; if the server is wrong, tell its administrator."},
		},
		{
			Name: "tls-handshake", Kind: TLS, Fault: Nobody, Source: "words of Postfix, Exim, sendmail and OpenSSL",
			text:  []string{"cannot start tls", "handshake failure", "handshake fail", "tls handshake", "ssl_connect", "ssl_accept", "ssl error", "no shared cipher", "wrong version number", "unsupported protocol", "dh key too small", "protocol version", "tls session", "gnutls", "tls negotiation", "starttls handshake", "tls currently unavailable", "tls not available", "starttls failed", "tls error"},
			Means: "The TLS handshake with {host} fails: the two have no version, cipher or key exchange in common, or one of them breaks off.",
			Not:   []string{"about SPF, DKIM or DMARC"},
			Do:    []string{"See which TLS the server can do. An old gateway of yours may need an override for this destination: mailgate tls override, with a reason and an end."},
		},
		{
			Name: "tls-required", Kind: TLS, Fault: OurServer, Source: "RFC 3207, RFC 3463",
			enhanced: []string{"x.7.10"},
			Means:    "{host} takes mail over TLS only.",
			Do:       []string{"Let your server use STARTTLS; where it is switched off for this destination, switch it on."},
		},
		{
			Name: "tls-required", Kind: TLS, Fault: OurServer, Source: "RFC 3207; " + seen,
			text:  []string{"must issue a starttls", "starttls first", "issue a starttls", "encryption required", "tls required", "requires tls", "must use tls", "secure connection required", "session encryption is required", "starttls required", "encryption is required"},
			Means: "{host} takes mail over TLS only.",
			Do:    []string{"Let your server use STARTTLS; where it is switched off for this destination, switch it on."},
		},
		{
			Name: "dns-temporary", Kind: DNS, Fault: Nobody, Source: "words of Postfix, Exim, sendmail and Exchange",
			text:  []string{"host not found, try again", "temporary lookup failure", "host lookup did not complete", "name server: host not found, try again", "lookup error", "name server timeout", "dns query failed", "temporary failure in name resolution", "servfail", "dns error", "mx lookup failed", "host name lookup failure", "lookup failed temporarily", "dnsquery", "i/o timeout: dns", "dns: "},
			Means: "DNS gave no answer about {todomain}: a fault of its name servers, or of your resolver.",
			Not:   []string{"a domain that doesn't exist"},
			Do:    []string{"If other domains fail, too, it is your resolver."},
		},
		{
			Name: "host-unknown", Kind: DNS, Fault: RecipientAddress, Source: "RFC 3463; words of Postfix, Exim, sendmail and Exchange",
			text:   []string{"host or domain name not found", "host not found", "host unknown", "unrouteable address", "unrouteable mail domain", "unroutable address", "domain not found", "all relevant mx records point to non-existent hosts", "no such domain", "domain does not exist", "domain doesn't exist", "nxdomain", "no mail exchanger", "dnsdomainnotexist", "dns domain", "cannot find any dns", "non-existent domain", "name service error", "has no mx", "no mx host", "no such host", "bad destination host"},
			unless: []string{"sender address rejected", "sender domain", "helo", "reverse"}, local: true,
			Means: "{todomain} doesn't exist in DNS, or has no server that takes mail.",
			Not:   []string{"a fault of yours, unless your resolver is wrong"},
			Do:    []string{"Look for a slip in the address; then ask the recipient."},
		},
		{
			Name: "host-unknown", Kind: DNS, Fault: RecipientAddress, Source: "RFC 3463",
			enhanced: []string{"5.1.2", "5.4.4", "5.4.310", "5.4.312"},
			Means:    "{todomain} doesn't exist in DNS, or has no server that takes mail.",
			Do:       []string{"Look for a slip in the address; then ask the recipient."},
		},
		{
			Name: "connection-refused", Kind: Network, Fault: Receiver, Source: "words of Postfix, Exim, sendmail and Exchange",
			text:  []string{"connection refused", "connectionrefused", "actively refused", "10061"},
			Means: "Nothing listens at port 25 of {host}, or a firewall says so.",
			Do:    []string{"If it happens with every destination, port 25 is blocked on your side."},
		},
		{
			Name: "connection-lost", Kind: Network, Fault: Nobody, Source: "words of Postfix, Exim, sendmail and Exchange",
			text:  []string{"lost connection", "remote host closed connection", "connection reset", "connection was closed", "connection dropped", "remote server closed", "broken pipe", "unexpected disconnect", "unexpected eof", "closed the connection", "10054", "connection died", "deferred: connection reset", "premature end-of-file", ": eof", "socket closed"},
			Means: "{host} broke the connection off without an answer: overload, a filter in between, or a program that fails on this message.",
			Not:   []string{"a verdict on SPF, DKIM or DMARC"},
			Do:    []string{"If it is always at the same command, look for a firewall that meddles with SMTP, or a path that loses large packets (MTU)."},
		},
		{
			Name: "connection-timeout", Kind: Network, Fault: Nobody, Source: "words of Postfix, Exim, sendmail and Exchange",
			text:   []string{"connection timed out", "timed out", "operation timed out", "connection timeout", "i/o timeout", "timeout while", "timeout waiting", "10060", "failed to connect", "timeout - closing connection", "failed to respond", "command timeout", "timeout exceeded"},
			unless: []string{"authentication"},
			Means:  "{host} didn't answer in time.",
			Do:     []string{"If it happens with every destination, port 25 is blocked on your side, by your provider for instance."},
		},
		{
			Name: "unreachable", Kind: Network, Fault: Nobody, Source: "words of Postfix, Exim and sendmail",
			text:  []string{"no route to host", "network is unreachable", "host is unreachable", "network unreachable", "address family not supported", "cannot assign requested address", "host unreachable"},
			Means: "There is no way to {host} from here; with an IPv6 address, your server may have no IPv6.",
			Do:    []string{"Look at the routes of the machine; if it has no IPv6, switch that off in the mail server."},
		},
		{
			Name: "suspended", Kind: Network, Fault: Nobody, Source: "words of Postfix and Exim",
			text:  []string{"delivery temporarily suspended", "retry time not reached", "retry time", "host is in the retry", "all hosts for", "previously cached"},
			Means: "It wasn't tried now, since an earlier try with the same server failed; the cause is in an earlier line.",
			Not:   []string{"an answer of the receiver"},
			Do:    []string{"Look for the first failure with this destination in the log."},
		},
	}
}
