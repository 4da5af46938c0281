package bounce

import "slices"

// messageRules are about the message itself: its size, form and content.
func messageRules() []Rule {
	return []Rule{
		{
			Name: "too-large", Kind: Form, Fault: OurMessage, Source: "RFC 1870, RFC 3463; " + seen,
			enhanced: []string{"x.3.4", "x.2.3"},
			Means:    "The message is larger than the receiver takes; an attachment grows by a third when it is sent.",
			Not:      []string{"about SPF, DKIM or DMARC"},
			Do:       []string{"Send a link to the file, or several smaller messages."},
		},
		{
			Name: "too-large", Kind: Form, Fault: OurMessage, Source: seen,
			text:  []string{"message size exceeds", "exceeds size limit", "message too large", "message too big", "exceeds maximum", "message size exceeded", "size limit exceeded", "max message size", "exceeds the maximum message size", "message is too large"},
			Means: "The message is larger than the receiver takes; an attachment grows by a third when it is sent.",
			Not:   []string{"about SPF, DKIM or DMARC"},
			Do:    []string{"Send a link to the file, or several smaller messages."},
		},
		{
			Name: "line-too-long", Kind: Form, Fault: OurMessage, Source: "RFC 5321, section 4.5.3.1; " + seen,
			text:  []string{"line too long", "line length", "lines longer than", "maximum line", "line is too long", "too long line"},
			Means: "A line of the message is longer than the 998 bytes that SMTP has room for.",
			Do:    []string{"Mend the program that writes the message: quoted-printable or base64 keep lines short."},
		},
		{
			Name: "bare-newline", Kind: Form, Fault: OurMessage, Source: "RFC 5321, section 2.3.8; " + seen,
			text:  []string{"bare lf", "bare line feed", "bare <lf>", "bare linefeed", "bare newline", "bare cr", "invalid characters", "barelinefeed"},
			Means: "A line of the message ends with LF or CR alone, which receivers refuse since it can smuggle messages in.",
			Do:    []string{"Mend the program that writes the message: lines end with CR LF."},
		},
		{
			Name: "utf8-refused", Kind: Form, Fault: Receiver, Source: "RFC 6531, RFC 3463",
			enhanced: []string{"x.6.7", "x.6.9"},
			Means:    "An address or the header has characters beyond ASCII, and the receiver can't take these (SMTPUTF8).",
			Do:       []string{"Use addresses in ASCII for this recipient."},
		},
		{
			Name: "utf8-refused", Kind: Form, Fault: Receiver, Source: seen,
			text:  []string{"smtputf8"},
			Means: "An address or the header has characters beyond ASCII, and the receiver can't take these (SMTPUTF8).",
			Do:    []string{"Use addresses in ASCII for this recipient."},
		},
		{
			Name: "malformed", Kind: Form, Fault: OurMessage, Source: seen,
			text:  []string{"rfc 5322", "rfc5322", "rfc 2822", "not rfc compliant", "headers are not rfc", "missing date", "missing from", "message-id header", "header error", "malformed header", "invalid header", "duplicate header", "bad header", "no from: header", "message header"},
			Means: "The header isn't as RFC 5322 wants it: a field is missing, there twice, or broken.",
			Not:   []string{"about SPF, DKIM or DMARC"},
			Do:    []string{"Mend the program that writes the message."},
		},
		{
			Name: "virus", Kind: Content, Fault: OurMessage, Source: seen,
			words: []string{"virus", "malware", "infected", "clamav", "trojan", "phish"}, unless: slices.Concat(noMailbox, []string{"antivirus temporarily"}),
			Means: "The receiver's scanner takes the message for malware or phishing.",
			Do:    []string{"Scan the machine the message came from. If it is clean, tell the receiver's administrator what was found."},
		},
		{
			Name: "attachment-refused", Kind: Content, Fault: OurMessage, Source: seen,
			text:  []string{"attachment", "file type", "filename extension", "potential security issue", "executable"},
			Means: "The receiver takes no attachments of this type.",
			Do:    []string{"Send a link to the file, or another type."},
		},
		{
			Name: "loop", Kind: DNS, Fault: Receiver, Source: "RFC 5321, section 6.3; RFC 3463",
			enhanced: []string{"x.4.6"},
			Means:    "The message goes round in circles: a forwarding, or an MX record, leads back to where it came from.",
			Do:       []string{"Look at the Received fields of the returned message: what stands there again and again is the loop."},
		},
		{
			Name: "loop", Kind: DNS, Fault: Receiver, Source: seen,
			text:  []string{"too many hops", "hop count exceeded", "loops back to myself", "mail loop", "mail forwarding loop", "routing loop", "local configuration error", "exceeded 50 hops", "hops exceeded"},
			Means: "The message goes round in circles: a forwarding, or an MX record, leads back to where it came from.",
			Do:    []string{"Look at the Received fields of the returned message, and whether your server knows which domains are its own."},
		},
		{
			Name: "expired", Kind: Network, Fault: Nobody, Source: "RFC 3463; " + seen,
			enhanced: []string{"x.4.7"}, unless: []string{"greylist"},
			Means: "The message waited until its time ran out; what went wrong each time is in the log, or further down in the report.",
			Do:    []string{"Look at earlier lines of the same queue id for the cause."},
		},
		{
			Name: "expired", Kind: Network, Fault: Nobody, Source: seen,
			text:  []string{"retry timeout exceeded", "message expired", "delivery time expired", "queue expired", "message timed out", "could not be delivered within", "message too old", "expired, giving up", "not be delivered for"},
			Means: "The message waited until its time ran out; what went wrong each time is in the log, or further down in the report.",
			Do:    []string{"Look at earlier lines of the same queue id for the cause."},
		},
	}
}
