// Package mail holds the values every other package speaks in: domains,
// addresses, the SMTP envelope and the message header with its original bytes.
//
// Sources: RFC 5321 (paths), RFC 5322 (header fields, From), RFC 6531
// (SMTPUTF8), RFC 5890 (A-labels).
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
