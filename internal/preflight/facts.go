package preflight

import (
	"net/netip"

	"mailgate/internal/mail"
)

// Facts are the distilled answers that rules are written on; rules read nothing
// else of a Report.
type Facts struct {
	DKIM  []KeyFact `json:"dkim"`
	SPF   SPFFact   `json:"spf"`
	DMARC DMARCFact `json:"dmarc"`
	PTR   []PTRFact `json:"ptr"`
	SOA   SOAFact   `json:"soa"`
}

// KeyFact is what receivers will find about one signing key.
type KeyFact struct {
	Domain    mail.Domain `json:"domain"`
	Selector  string      `json:"selector"`
	Algorithm string      `json:"algorithm,omitempty"` // "rsa" or "ed25519"
	Bits      int         `json:"bits,omitempty"`
	Valid     Tri         `json:"valid"` // a signature by this key will verify
	Testing   bool        `json:"testing,omitempty"`
	Aligned   Tri         `json:"aligned"` // d= is aligned with From, by both ways of finding the organisational domain
	Standby   bool        `json:"standby,omitempty"`
	Unused    bool        `json:"unused,omitempty"`  // doesn't sign: another key does
	Servers   int         `json:"servers,omitempty"` // authoritative servers that were asked; 0: only resolvers
	Serving   int         `json:"serving,omitempty"` // of them, those that have this very key
}

// SPFResult is a result of RFC 7208 section 2.6, or "unknown" where SPF wasn't
// evaluated.
type SPFResult string

const (
	SPFUnknown   SPFResult = "unknown"
	SPFPass      SPFResult = "pass"
	SPFNone      SPFResult = "none"
	SPFNeutral   SPFResult = "neutral"
	SPFSoftFail  SPFResult = "softfail"
	SPFFail      SPFResult = "fail"
	SPFTempError SPFResult = "temperror"
	SPFPermError SPFResult = "permerror"
)

// SPFFact is the outcome of SPF for every egress address.
type SPFFact struct {
	Domain    mail.Domain  `json:"domain"` // MAIL FROM domain, or HELO for the null sender
	Result    SPFResult    `json:"result"` // the worst of Addresses
	Address   string       `json:"address,omitempty"`
	Addresses []AddressSPF `json:"addresses,omitempty"`
	PlusAll   Tri          `json:"plus_all"` // the record allows (nearly) everybody
	Aligned   Tri          `json:"aligned"`
}

// AddressSPF is the outcome of SPF for one egress address.
type AddressSPF struct {
	Address netip.Addr `json:"address"`
	Result  SPFResult  `json:"result"`
}

// DMARCFact is what DMARC asks of receivers for From.
type DMARCFact struct {
	Published  Tri         `json:"published"`
	Policy     Policy      `json:"policy,omitempty"` // effective for From; the stricter one where RFC 7489 and RFC 9989 differ
	Domain     mail.Domain `json:"domain,omitempty"` // whose record it is
	StrictDKIM bool        `json:"strict_dkim,omitempty"`
	StrictSPF  bool        `json:"strict_spf,omitempty"`
	TreeOrg    mail.Domain `json:"tree_org,omitempty"`   // organisational domain by RFC 9989's tree walk
	SuffixOrg  mail.Domain `json:"suffix_org,omitempty"` // organisational domain by the public suffix list
}

// Policy is what a DMARC record asks receivers to do with failing mail.
type Policy string

const (
	PolicyNone       Policy = "none"
	PolicyQuarantine Policy = "quarantine"
	PolicyReject     Policy = "reject"
)

// PTRFact tells whether an egress address has a name that leads back to it.
type PTRFact struct {
	Address   netip.Addr `json:"address"`
	Confirmed Tri        `json:"confirmed"`
}

// SOAFact tells whether the sender's domains are in a zone of the public DNS.
type SOAFact struct {
	From     Tri `json:"from"`
	MailFrom Tri `json:"mail_from"`
}

// anyKey is Kleene's "or" over the keys that sign.
func (f Facts) anyKey(holds func(KeyFact) Tri) Tri {
	result := No
	for _, k := range f.DKIM {
		if !k.Unused {
			result = result.Or(holds(k))
		}
	}
	return result
}

// spfPasses tells whether SPF passes from every egress address.
func (f Facts) spfPasses() Tri {
	if len(f.SPF.Addresses) == 0 {
		return f.SPF.Result.tri()
	}
	all := Yes
	for _, a := range f.SPF.Addresses {
		all = all.And(a.Result.tri())
	}
	return all
}

// dmarcPasses tells whether our own DKIM or SPF passes aligned.
func (f Facts) dmarcPasses() Tri {
	dkim := f.anyKey(func(k KeyFact) Tri { return k.Valid.And(k.Aligned) })
	return dkim.Or(f.spfPasses().And(f.SPF.Aligned))
}
