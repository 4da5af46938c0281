// Package convert reads the configuration of other signers (OpenDKIM, rspamd, Exim) and
// says how mailgate would sign with the same keys, what it can't take over, and where
// the two would sign differently.
//
// Each reader makes a model of the old signer that says for an address which signatures
// its mail gets. The new configuration is found by asking that model about the domains
// the old one names, with and without sub-domains, and the differences by asking both
// about the same addresses.
//
// Nothing is changed or executed: files are read, with bounds on their size, number and
// nesting. What depends on a script, a database or the network is named and left.
package convert
