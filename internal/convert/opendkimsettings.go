package convert

import "sync"

// The type of a setting's value.
const (
	textKind = iota
	boolKind
	intKind
)

// opendkimSetting says what becomes of a setting of opendkim.conf(5).
type opendkimSetting struct {
	name    string
	kind    int
	becomes Kind // "": the code that converts it says
	text    string
	do      string
}

// The reasons that many settings share.
const (
	verifying = "is about verifying incoming mail, which mailgate doesn't do"
	running   = "is about how the program runs"
	logging   = "is about OpenDKIM's log; mailgate logs a line for each message"
	forTests  = "is for tests"
	ldap      = "is about LDAP"
	scripted  = "a Lua script decides here; mailgate runs none"
	readIt    = "read the script, and write what it does as [[domain]] sections"
	headers   = "mailgate has one list of header fields: it signs what a reader sees, each name once more than it occurs, and more where it is there"
	reporting = "reports of failed verifications aren't sent by mailgate"
)

// opendkimSettings is keyed by the name in lower case.
var opendkimSettings = sync.OnceValue(func() map[string]opendkimSetting {
	all := map[string]opendkimSetting{}
	for _, list := range [][]opendkimSetting{signingSettings, verifyingSettings, runningSettings} {
		for _, s := range list {
			all[lower(s.name)] = s
		}
	}
	return all
})

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

var signingSettings = []opendkimSetting{
	{name: "Domain"}, {name: "Selector"}, {name: "KeyFile"}, {name: "KeyTable"}, {name: "SigningTable"},
	{name: "SubDomains", kind: boolKind}, {name: "MultipleSignatures", kind: boolKind},
	{name: "Socket"}, {name: "UMask"}, {name: "Mode"}, {name: "InternalHosts"}, {name: "PeerList"},
	{name: "ExemptDomains"}, {name: "Canonicalization"}, {name: "SignatureAlgorithm"}, {name: "SignatureTTL", kind: intKind},
	{name: "Nameservers"}, {name: "BaseDirectory"}, {name: "SenderHeaders"}, {name: "Include"},
	{name: "ExternalIgnoreList", becomes: Moot, text: "only keeps OpenDKIM from logging; such clients aren't signed for, there and here"},
	{name: "OversignHeaders", becomes: Differs, text: headers},
	{name: "SignHeaders", becomes: Differs, text: headers},
	{name: "OmitHeaders", becomes: Differs, text: headers},
	{name: "AlwaysSignHeaders", becomes: Differs, text: headers},
	{name: "BodyLengthDB", becomes: Differs, text: "mailgate never signs only a part of the body (l=): what is appended would pass as signed"},
	{name: "BodyLengths", kind: boolKind, becomes: Differs, text: "mailgate never signs only a part of the body (l=)"},
	{name: "MaximumSignedBytes", kind: intKind, becomes: Differs, text: "mailgate signs the whole body, however long"},
	{name: "Diagnostics", kind: boolKind, becomes: Differs, text: "mailgate puts no copy of the header (z=) into signatures"},
	{name: "RequestReports", kind: boolKind, becomes: Differs, text: "mailgate doesn't ask for reports (r=)"},
	{name: "RemoveOldSignatures", kind: boolKind, becomes: Differs, text: "mailgate leaves signatures that are there"},
	{name: "FixCRLF", kind: boolKind, becomes: Moot, text: "Postfix hands on lines that end in CRLF"},
	{name: "SelectCanonicalizationHeader", becomes: Differs, text: "mailgate always signs relaxed/relaxed"},
	{name: "DontSignMailTo", becomes: Left, text: "mailgate chooses by the sender, not by the recipient", do: "have Postfix send such mail another way (transport_maps), without the milter"},
	{name: "MTA", becomes: Left, text: "mailgate doesn't ask for the MTA's daemon name: it signs for clients in milter.trusted and for those that log in", do: "leave smtpd_milters empty in master.cf for the daemons whose mail isn't to be signed"},
	{name: "MacroList", becomes: Left, text: "mailgate doesn't look at such macros: it signs for clients in milter.trusted and for those that log in", do: "leave smtpd_milters empty in master.cf for the daemons whose mail isn't to be signed"},
	{name: "POPDBFile", becomes: Left, text: "POP before SMTP isn't known to mailgate", do: "have these users log in by SMTP"},
	{name: "SenderMacro", becomes: Left, text: "mailgate chooses by From"},
	{name: "IdentityHeader", becomes: Left, text: "mailgate takes i= from the configuration (identity)"},
	{name: "IdentityHeaderRemove", kind: boolKind, becomes: Left, text: "mailgate removes no header fields"},
	{name: "SelectorHeader", becomes: Left, text: "mailgate takes s= from the configuration"},
	{name: "SelectorHeaderRemove", kind: boolKind, becomes: Left, text: "mailgate removes no header fields"},
	{name: "ReplaceHeaders", becomes: Left, text: "mailgate signs what it is shown"},
	{name: "ReplaceRules", becomes: Left, text: "mailgate signs what it is shown", do: "do rewrites before the milter, or in Postfix's smtp_generic_maps not at all"},
	{name: "ResignMailTo", becomes: Left, text: "mailgate doesn't sign others' mail again"},
	{name: "ResignAll", kind: boolKind, becomes: Left, text: "mailgate doesn't sign others' mail again"},
	{name: "SetupPolicyScript", becomes: Left, text: scripted, do: readIt},
	{name: "ScreenPolicyScript", becomes: Left, text: scripted, do: readIt},
	{name: "FinalPolicyScript", becomes: Left, text: scripted, do: readIt},
	{name: "StatisticsPolicyScript", becomes: Moot, text: "is about statistics"},
	{name: "ChangeRootDirectory", becomes: Left, text: "paths of the old configuration may be relative to that directory; they were read as they are", do: "look at the paths of the keys"},
	{name: "RequireSafeKeys", kind: boolKind, becomes: Differs, text: "mailgate never reads a key that others can read or replace"},
	{name: "On-SignatureError", becomes: Differs, text: "what mailgate can't sign is deferred (4xx)"},
	{name: "On-InternalError", becomes: Differs, text: "what mailgate can't sign is deferred (4xx)"},
	{name: "On-Default", becomes: Differs, text: "what mailgate can't sign is deferred (4xx)"},
	{name: "On-Security", becomes: Moot, text: verifying},
	{name: "CaptureUnknownErrors", kind: boolKind, becomes: Differs, text: "what mailgate can't sign is deferred (4xx)"},
	{name: "MaximumHeaders", kind: intKind, becomes: Differs, text: "mailgate has a limit of its own"},
	{name: "RequiredHeaders", kind: boolKind, becomes: Differs, text: "mailgate wants exactly one From, and leaves the rest to the MTA"},
	{name: "StrictHeaders", kind: boolKind, becomes: Differs, text: "mailgate wants exactly one From, and leaves the rest to the MTA"},
	{name: "IgnoreMalformedMail", kind: boolKind, becomes: Moot, text: verifying},
	{name: "SoftwareHeader", kind: boolKind, becomes: Moot, text: "mailgate adds no header field but its signatures"},
	{name: "VBR-Certifiers", becomes: Differs, text: "mailgate adds no VBR-Info (RFC 5518)"},
	{name: "VBR-PurgeFields", kind: boolKind, becomes: Differs, text: "mailgate removes no header fields"},
	{name: "VBR-Type", becomes: Differs, text: "mailgate adds no VBR-Info (RFC 5518)"},
	{name: "ATPSDomains", becomes: Differs, text: "mailgate adds no atps= tag (RFC 6541)"},
	{name: "ATPSHashAlgorithm", becomes: Differs, text: "mailgate adds no atps= tag (RFC 6541)"},
}
