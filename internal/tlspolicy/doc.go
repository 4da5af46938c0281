// Package tlspolicy says how a connection to a destination must be secured: a
// Policy with a Level in Postfix's words, TLS versions, ciphers, curves, the names
// a certificate may carry, TLSA records, and where each of these comes from.
//
// Policies.Lookup goes through what speaks about a destination, and the first wins:
//
//  1. an administrator's override, made by a command or in the configuration: for
//     the recipient domain, the longest parent of it (".example.net"), the next hop
//     ("[mx.example.net]:587"), the MX hosts ("mx:*.example.net"). One without a
//     level changes the rest of what would hold without it, the next override
//     included; one that is below what 2 or 3 demand, and has no reason or no end,
//     is raised to that;
//  2. DANE: TLSA records of the MX hosts, validated by DNSSEC;
//  3. MTA-STS: the domain's policy, in mode enforce;
//  4. the default, may: TLS where the receiver offers it, with what was learned
//     of handshakes that failed.
//
// A policy is never stepped down silently: where DNS doesn't tell whether there are
// TLSA records, Lookup returns ErrUnsettled, and an MTA-STS policy that is known
// holds until it ends, whatever happens to its server.
//
// Sources: RFC 3207 (STARTTLS), RFC 6698, 7671 and 7672 (DANE), RFC 8461 (MTA-STS),
// RFC 8446 (TLS 1.3), RFC 9325 (versions), RFC 6125 (names in certificates),
// Postfix's postconf(5) for the words.
package tlspolicy
