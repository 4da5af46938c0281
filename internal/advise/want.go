package advise

import (
	"net/netip"
	"strings"
)

// Key is a signing key's record.
type Key struct {
	Domain   string // d=
	Selector string // s=
	Record   string // "v=DKIM1; k=rsa; p=…"; "" where only the selector is known
}

// name is where the key's record is published. RFC 6376 section 3.6.2.1.
func (k Key) name() string { return k.Selector + "._domainkey." + k.Domain }

// Want is what a report doesn't hold and advice needs.
type Want struct {
	Keys  []Key    // keys that sign for the From domain
	Zones []string // apexes of the zones the records belong in, as far as they are known
	All   bool     // also what is published already, or not known to be missing

	Reports string // address for DMARC reports; "": postmaster@ the domain
	// Now tells what TXT records are published at a name, for State, and for what
	// includes cost. Nil: as far as the report tells, which has long values shortened.
	Now func(name string) Now
	// TrySPF says why an SPF record would not let mail pass, were it published; "" where
	// it would. Nil: that isn't known.
	TrySPF func(record string) string
	// Addresses returns the addresses of a host, or of the hosts of its MX records;
	// false where they aren't known. Nil: they aren't.
	Addresses func(host string, mx bool) ([]netip.Addr, bool)
}

// zone returns the longest apex over name. For a name in none of the zones it is
// organisation, the organisational domain, where that is over name, and ""
// otherwise.
func (w Want) zone(name, organisation string) string {
	apex := ""
	for _, z := range w.Zones {
		if under(name, z) && len(z) > len(apex) {
			apex = z
		}
	}
	if apex == "" && under(name, organisation) {
		return organisation
	}
	return apex
}

// under reports whether name is parent or below it.
func under(name, parent string) bool {
	return parent != "" && (name == parent || strings.HasSuffix(name, "."+parent))
}
