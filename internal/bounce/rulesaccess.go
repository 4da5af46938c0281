package bounce

// accessRules are about who may send what: relaying, logins, rates, greylisting.
func accessRules() []Rule {
	return []Rule{
		{
			Name: "greylisting", Kind: Rate, Fault: Receiver, Source: "RFC 6647; " + seen,
			codes: []int{0, 421, 450, 451, 452}, text: []string{"greylist", "graylist", "grey list", "gray list", "greylisted", "postgrey", "4.7.1 please try again", "try again in", "come back later", "deferred for"},
			Means: "The receiver doesn't know you yet and puts the first try off on purpose (greylisting).",
			Not:   []string{"a refusal", "about SPF, DKIM or DMARC"},
			Do:    []string{"{again} The next try usually goes through, if it comes from the same address."},
		},
		{
			Name: "relay-denied", Kind: Access, Fault: OurServer, Source: seen,
			text:  []string{"relay access denied", "relaying denied", "relay not permitted", "relaying not allowed", "unable to relay", "not permitted to relay", "relay denied", "relaying is not", "relay prohibited", "unauthorized relay", "we do not relay", "relaying mail to", "authentication is required for relay", "not allowed to relay", "relay for", "rejected relay", "no relay", "relay not allowed", "relaying to"},
			Means: "The server asked doesn't take mail for {todomain} from whom it doesn't know: either it isn't that domain's MX, or the client had to log in.",
			Not:   []string{"about SPF, DKIM or DMARC", "an unknown address"},
			Do:    []string{"If it is your own server: let the client log in, or add its network to the trusted ones. If it is the recipient's: its MX record leads to a server that doesn't know the domain."},
		},
		{
			Name: "login-failed", Kind: Access, Fault: OurServer, Source: "RFC 4954",
			codes: []int{535, 534, 454}, enhanced: []string{"x.7.8", "x.7.9", "x.7.0", "x.7.3"},
			Means: "The login to the server failed: the name or password is wrong, or it wants another way to log in.",
			Not:   []string{"about SPF, DKIM or DMARC", "the recipient's answer"},
			Do:    []string{"Try the login by hand; providers often want a password made for the application."},
		},
		{
			Name: "login-required", Kind: Access, Fault: OurServer, Source: "RFC 4954",
			codes: []int{530, 550}, text: []string{"authentication required", "auth required", "not authenticated", "must authenticate", "smtp auth", "authentication is required", "authenticate first", "login required", "client was not authenticated", "smtp authentication"},
			Means: "The server wants a login before it takes mail: it is meant for its own users, not an MX.",
			Not:   []string{"about SPF, DKIM or DMARC"},
			Do:    []string{"Log in (port 587), or deliver to the recipient's MX instead."},
		},
		{
			Name: "too-many-recipients", Kind: Rate, Fault: OurServer, Source: "RFC 3463; " + seen,
			enhanced: []string{"x.5.3"},
			Means:    "The transaction had more recipients than the receiver takes at once.",
			Do:       []string{"The rest is tried again in another transaction; lower the number of recipients per message."},
		},
		{
			Name: "rate", Kind: Rate, Fault: OurSending, Source: seen,
			text: []string{"rate limit", "ratelimit", "rate exceeded", "too many connections", "too many messages", "too many concurrent", "too many recipients", "too much mail", "too fast", "throttl", "frequency limit", "exceeded the limit", "limit exceeded", "hourly limit", "exceeded the rate", "sending limit", "connection rate", "message rate", "many connections", "max message per connection", "excessive", "connection limit", "max defers and failures"}, unless: []string{"size"},
			Means: "More messages or connections than the server lets through in this time.",
			Do:    []string{"Send slower, with fewer connections at once."},
		},
		{
			Name: "storage", Kind: Trouble, Fault: Receiver, Source: "RFC 3463; " + seen,
			enhanced: []string{"x.3.1"},
			Means:    "The receiver's server has no room.",
			Do:       []string{"{again}"},
		},
		{
			Name: "storage", Kind: Trouble, Fault: Receiver, Source: "RFC 5321; " + seen,
			text:  []string{"insufficient system storage", "insufficient system resources", "insufficient disk space", "no space left", "insufficient storage", "disk full"},
			Means: "The server has no room or memory left.",
			Do:    []string{"Exchange answers so under back pressure: look at its disk."},
		},
	}
}

// vagueRules come last: words that may stand for several things.
func vagueRules() []Rule {
	return []Rule{
		{
			Name: "spam", Kind: Content, Fault: Nobody, Source: seen,
			text: []string{"spam", "junk", "unsolicited", "bulk mail", "content rejected", "content denied", "message content", "content filter", "rejected by content", "suspicious content", "bayes", "prohibited content"}, remote: true,
			Means: "The receiver's filter takes the message for spam, by its content or its sender.",
			Not:   []string{"a blocklist that it names"},
			Do:    []string{"Check SPF, DKIM, DMARC and PTR first; if all pass, try a plain message, and ask the recipient to allow the sender."},
		},
		{
			Name: "client-refused", Kind: Access, Fault: Nobody, Source: seen,
			text: []string{"client host rejected", "access denied", "not accepting", "blocked", "refused by", "denied by policy", "policy violation", "local policy", "policy reasons", "message rejected", "transaction failed", "denied", "rejected due to", "administrative prohibition", "administratively", "not welcome", "rejected by policy", "connection rejected", "no connections"}, remote: true, unless: []string{"attachment"},
			codes: []int{0, 421, 450, 451, 521, 541, 550, 551, 552, 553, 554, 571},
			Means: "The receiver's own policy refuses it, and the words don't say why.",
			Do:    []string{"Check SPF, DKIM, DMARC and PTR first; if all pass, ask the receiver's postmaster with the whole reply."},
		},
		{
			Name: "try-later", Kind: Trouble, Fault: Receiver, Source: "RFC 5321; " + seen,
			codes: []int{0, 421, 430, 431, 432, 441, 442, 450, 451, 452, 454}, text: []string{"try again", "try later", "temporar", "service not available", "service unavailable", "resources", "too busy", "busy", "not available", "internal error", "local problem", "server error", "requested action aborted", "system problem", "local error", "overload", "unavailable", "maintenance"},
			Means: "The server can't take it right now, and says nothing more. Many answer so for greylisting, too.",
			Not:   []string{"a refusal"},
			Do:    []string{"{again}"},
		},
	}
}
