// Package advise turns what pre-flight found into what to do about it: the exact
// record to publish, in the form of the DNS host that has the zone, and the
// steps that no record of the domain can take.
//
// Sources: RFC 6376 section 3.6 (DKIM keys), RFC 7208 (SPF), RFC 9989 (DMARC),
// RFC 1035 section 5.1 (zone files), and the hosts' own forms.
package advise
