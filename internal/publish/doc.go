// Package publish writes records at a DNS host, and sees that every authoritative
// server has them. It goes through the host's interface (rfc2136, Cloudflare, Aliyun,
// Route 53) by libdns.
package publish
