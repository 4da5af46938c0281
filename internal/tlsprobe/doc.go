// Package tlsprobe finds out what a mail server can do with TLS: whether it offers
// STARTTLS (RFC 3207), which versions it speaks, what certificate it shows, and
// whether a connection by the policy for it would come about. It sends no mail.
//
// Each question takes a connection of its own, one after the other: a server gets
// at most ten of them.
package tlsprobe
