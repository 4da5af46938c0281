// Package rotation replaces signing keys: a new key is written, published everywhere
// for longer than the old record's TTL, then signs; the old one is kept for a time and
// then revoked. It never switches to a key that isn't visible at every authoritative
// server.
package rotation
