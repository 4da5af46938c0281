// Package mail holds the values every other package speaks in: domains,
// addresses, the SMTP envelope and the message header with its original bytes.
//
// The From field decides for whom mailgate signs, so it is read here and not by
// net/mail: that parser is made to understand as much as it can (groups,
// comments in the middle of an address, obsolete syntax, a last resort for
// encoded words), and every form that one reader takes and another takes
// differently is a way to get a signature for somebody else's name. This parser
// accepts the part of RFC 5322 that all readers agree on and refuses the rest
// with a reason. Its fuzz test holds it against net/mail: what is accepted here
// must mean the same address there.
//
// Sources: RFC 5321 (paths), RFC 5322 (header fields, From), RFC 6531 and 6532
// (SMTPUTF8), RFC 5890 (A-labels), UTS 46, RFC 2047 (encoded words).
package mail

import "net/netip"

// Envelope is what the SMTP session said about one message.
type Envelope struct {
	From     Address    // MAIL FROM; the zero value is the null sender <>
	To       []Address  // RCPT TO, in the order given
	Helo     string     // HELO or EHLO argument, as given
	Client   netip.Addr // address of the SMTP client; invalid for local submission
	Host     string     // the client's name, as the MTA resolved it
	User     string     // authenticated user, empty if none
	QueueID  string     // the MTA's queue id, if it told one
	SMTPUTF8 bool       // an address or the header needs RFC 6531
}
