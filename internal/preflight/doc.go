// Package preflight asks what the receiver will ask: with what the sender's
// domain publishes in DNS now, would this mail be refused?
//
// An [Identity] (who the mail says it is from, the keys that would sign it and
// the addresses it leaves from) gives a [Report] of [Finding]s and [Facts]; a
// Report gives a [Prediction] for each mail [Provider]. A [Checker] remembers
// reports, so that a message costs no DNS query in a steady state.
//
// Unknown is never fail: what DNS gave no answer about has status [Unknown],
// and rules are evaluated in Kleene's three-valued logic ([Tri]).
//
// Sources: RFC 6376, RFC 8301 and RFC 8463 (DKIM keys), RFC 7208 (SPF), RFC
// 9989 and RFC 7489 (DMARC), RFC 8020 and RFC 2308 (what a negative answer
// means).
package preflight
