// Package sign holds the keyring, decides which keys sign a From domain, and
// signs a message as it streams by.
//
// A Keyring answers, per message, which keys are used for mail From a domain; a
// Stream is given the header and then the body and yields one DKIM-Signature
// field per key, relaxed/relaxed, with the fields that matter to a reader signed
// once more than they occur, so that none can be added later. The body length
// tag l= is never used.
//
// Sources: RFC 6376 (DKIM), RFC 8301 (key sizes, no SHA-1), RFC 8463 (Ed25519).
package sign
