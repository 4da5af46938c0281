// Package publish writes TXT records at a DNS host, through the host's interface:
// rfc2136 (RFC 2136 with TSIG), Cloudflare, Aliyun and Route 53.
//
// Plan says what would change, Apply does that and nothing else. What others have at
// the same name (a site verification beside SPF) is left as it is, and a change made
// by somebody else between the two is noticed. Most of it goes by libdns; each
// driver's comment says where libdns could not keep that promise.
package publish
