// Package tlspolicy says how a connection to a destination must be secured: a
// Policy with a Level in Postfix's words, the TLS versions allowed and the names
// a certificate may carry.
//
// A Table is built from an administrator's overrides, each for one destination
// and with a reason and a day on which it ends. The first that applies wins:
// the recipient domain, the longest parent of it (".example.net"), the next hop
// ("[mx.example.net]:587"), the MX hosts ("mx:*.example.net"). Where none
// applies the level is may: TLS where the receiver offers it.
//
// Sources: RFC 3207 (STARTTLS), RFC 8446 (TLS 1.3), RFC 9325 (versions), RFC
// 6125 (names in certificates), Postfix's postconf(5) for the words.
package tlspolicy
