// Package rotation replaces signing keys: a new key is written, published everywhere
// for longer than the old record's TTL, then signs; the old one is kept for a time and
// then revoked. It never switches to a key that isn't visible at every authoritative
// server.
//
// A Rotation is kept as a note, one for each key that is replaced. A step is first on
// disk, with an entry in the review log, and then acted upon; each can be done again,
// so that a process killed anywhere goes on where it was. Time counts only while DNS is
// looked at: neither a clock that jumps nor a long stop shortens a wait.
package rotation
