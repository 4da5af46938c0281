// Package convert reads the configuration of other signers (OpenDKIM, rspamd, Exim) and
// says how mailgate would sign with the same keys, what it can't take over, and where
// the two would sign differently.
package convert
