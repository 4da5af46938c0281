// Package tlsreport tells other domains how TLS with their mail servers went: it counts
// sessions by domain and day, and once a day, after midnight UTC, sends each domain that
// asks for it in DNS a report, by mail or HTTPS.
//
// What is counted is about what the domain itself demands: an override, a route or a
// next hop is not its own. Sessions are counted under the recipient domain, whose
// _smtp._tls record says where the report goes; a DANE policy is named by its MX host
// (RFC 8460, section 1.1).
//
// Source: RFC 8460.
package tlsreport
