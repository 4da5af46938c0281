package preflight

// scope says whom a rule is applied to.
type scope int

const (
	everybody   scope = iota
	bulkSenders       // for others it is a warning
	warnOnly          // known to happen, not known when: never more than a warning
)

// rule is one reason a provider refuses mail for.
type rule struct {
	ID       string
	Provider Provider
	For      scope
	When     condition
	Reply    string  // {domain}, {sender} and {address} are filled in
	Source   string  // where it is known from
	Rests    []Check // whose findings explain it
}

const (
	googlePages  = "Google, email sender guidelines and SMTP error reference, spring 2026"
	inferred     = " (when exactly: inferred)"
	microsoftNDR = "Microsoft, NDR codes of Exchange Online and requirements for high-volume senders, spring 2026"
	yahooPages   = "Yahoo, sender requirements and SMTP error codes, spring 2026"
	applePages   = "Apple, postmaster information for iCloud Mail, and rejections seen, spring 2026"
	qqPages      = "QQ Mail, rejections seen, spring 2026"
)

// rules are looked through in order: of the rules that apply, the first names
// the reply. So the more specific come first.
var rules = []rule{
	{
		ID: "gmail-dmarc-reject", Provider: Google,
		When:   allOf(dmarcRejects, not(dmarcAligned)),
		Reply:  "550 5.7.26 Unauthenticated email from {domain} is not accepted due to domain's DMARC policy.",
		Source: googlePages, Rests: []Check{DMARC, DKIM, SPF},
	},
	{
		ID: "gmail-spf-hardfail", Provider: Google,
		When:   allOf(spfFailsHard, not(dkimPasses)),
		Reply:  "550 5.7.26 {sender} has an SPF record with a hard fail policy (-all) but it fails for {address}.",
		Source: googlePages + inferred, Rests: []Check{SPF, DKIM},
	},
	{
		ID: "gmail-unauthenticated", Provider: Google,
		When: allOf(not(dkimPasses), not(spfPasses)),
		Reply: "550 5.7.26 Your email has been blocked because the sender is unauthenticated. " +
			"DKIM = did not pass, SPF [{sender}] with ip: [{address}] = did not pass.",
		Source: googlePages, Rests: []Check{DKIM, SPF},
	},
	{
		ID: "gmail-spf-suspicious", Provider: Google,
		When:   spfAllowsAll,
		Reply:  "550 5.7.24 The SPF record of {sender} has suspicious entries.",
		Source: googlePages + inferred, Rests: []Check{SPF},
	},
	{
		ID: "gmail-ipv6-ptr", Provider: Google,
		When:   nameless6,
		Reply:  "550 5.7.1 [{address6}] The message does not meet IPv6 sending guidelines regarding PTR records and authentication.",
		Source: googlePages, Rests: []Check{PTR},
	},
	{
		ID: "gmail-ptr", Provider: Google, For: warnOnly,
		When:   nameless4,
		Reply:  "550 5.7.25 [{address4}] The sending address has no PTR record, or it does not match.",
		Source: googlePages, Rests: []Check{PTR},
	},
	{
		ID: "gmail-bulk-spf", Provider: Google, For: bulkSenders,
		When:   not(spfPasses),
		Reply:  "550 5.7.27 SPF [{sender}] with ip: [{address}] did not pass.",
		Source: googlePages, Rests: []Check{SPF},
	},
	{
		ID: "gmail-bulk-dkim", Provider: Google, For: bulkSenders,
		When:   not(dkimPasses),
		Reply:  "550 5.7.30 DKIM did not pass for {domain}.",
		Source: googlePages, Rests: []Check{DKIM},
	},
	{
		ID: "gmail-bulk-unaligned", Provider: Google, For: bulkSenders,
		When:   not(sameOrganisation),
		Reply:  "421 4.7.32 From {domain} is aligned with neither the SPF nor the DKIM organisational domain.",
		Source: googlePages, Rests: []Check{DMARC},
	},
	{
		ID: "gmail-bulk-dmarc", Provider: Google, For: bulkSenders,
		When:   not(dmarcPublished),
		Reply:  "550 5.7.40 {domain} has no DMARC record, or it has no policy.",
		Source: googlePages, Rests: []Check{DMARC},
	},

	{
		ID: "microsoft-dmarc-reject", Provider: Microsoft,
		When:   allOf(dmarcRejects, not(dmarcAligned)),
		Reply:  "550 5.7.509 Access denied, sending domain {domain} does not pass DMARC verification and has a DMARC policy of reject.",
		Source: microsoftNDR, Rests: []Check{DMARC, DKIM, SPF},
	},
	{
		ID: "microsoft-spf-fail", Provider: Microsoft,
		When:   allOf(spfFailsHard, not(dkimPasses)),
		Reply:  "550 5.7.23 The message was rejected because of Sender Policy Framework violation: {sender}, {address}.",
		Source: microsoftNDR + inferred, Rests: []Check{SPF, DKIM},
	},
	{
		ID: "microsoft-ipv6-unauthenticated", Provider: Microsoft,
		When:   allOf(spfFailsOver6, not(dkimPasses)),
		Reply:  "450 4.7.26 Messages sent over IPv6 [{address6}] must pass either SPF or DKIM validation; this message is not signed.",
		Source: microsoftNDR, Rests: []Check{SPF, DKIM},
	},
	{
		ID: "microsoft-bulk-unauthenticated", Provider: Microsoft, For: bulkSenders,
		When:   not(allOf(spfPasses, dkimPasses, dmarcPublished, dmarcAligned)),
		Reply:  "550 5.7.515 Access denied, sending domain {domain} does not meet the required authentication level.",
		Source: microsoftNDR, Rests: []Check{SPF, DKIM, DMARC},
	},

	{
		ID: "yahoo-dmarc-reject", Provider: Yahoo,
		When:   allOf(dmarcRejects, not(dmarcAligned)),
		Reply:  "554 5.7.9 Message not accepted for policy reasons: the DMARC policy of {domain}.",
		Source: yahooPages, Rests: []Check{DMARC, DKIM, SPF},
	},
	{
		ID: "yahoo-unauthenticated", Provider: Yahoo,
		When:   allOf(not(dkimPasses), not(spfPasses)),
		Reply:  "550 5.7.9 This mail has been blocked because the sender is unauthenticated. Yahoo requires all senders to authenticate with either SPF or DKIM.",
		Source: yahooPages, Rests: []Check{DKIM, SPF},
	},
	{
		ID: "yahoo-no-soa", Provider: Yahoo,
		When:   not(senderExists),
		Reply:  "451 Message not accepted: {domain} or {sender} has no SOA record in DNS.",
		Source: yahooPages, Rests: []Check{SOA},
	},

	{
		ID: "apple-dmarc-reject", Provider: Apple,
		When:   allOf(dmarcRejects, not(dmarcAligned)),
		Reply:  "554 5.7.1 [HME1] This message was rejected due to {domain}'s DMARC policy.",
		Source: applePages, Rests: []Check{DMARC, DKIM, SPF},
	},
	{
		ID: "apple-unauthenticated", Provider: Apple,
		When:   allOf(not(dkimPasses), not(spfPasses)),
		Reply:  "554 5.7.1 [HME1] This message was blocked for failing both SPF and DKIM authentication checks.",
		Source: applePages, Rests: []Check{DKIM, SPF},
	},

	{
		ID: "qq-dmarc", Provider: QQ,
		When:   allOf(dmarcRejects, not(dmarcAligned)),
		Reply:  "550 DMARC check failed. {domain}",
		Source: qqPages, Rests: []Check{DMARC, DKIM, SPF},
	},
	{
		ID: "qq-spf", Provider: QQ,
		When:   spfFailsHard,
		Reply:  "550 SPF check failed. {sender} {address}",
		Source: qqPages, Rests: []Check{SPF},
	},
}
