package advise

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailgate/internal/preflight"
)

// spf publishes the one SPF record that lets every egress address pass.
func (a *adviser) spf() {
	domain := a.spfDomain()
	if domain == "" {
		return
	}
	findings := a.report.Of(preflight.SPF)
	troubles := a.troubles(func(f preflight.Finding) bool { return f.Check == preflight.SPF })
	if len(troubles) == 0 && !a.want.All {
		return
	}
	now, known := a.now(findings, domain, isSPF)
	if a.want.Now == nil && slices.ContainsFunc(now, isClipped) {
		return // merging what isn't seen whole would lose terms
	}
	r := Record{Check: preflight.SPF, Type: "TXT", Name: domain}
	r.Value, r.Notes = mergeSPF(domain, now, a.refused(now))
	same := len(now) == 1 && r.Value == parseSPF(now[0]).String()
	if same && !a.want.All && !publishedAsSPF(troubles) {
		return // only its includes, or something else, can be mended
	}
	mendsSyntax := len(now) == 1 && !preflight.SPFReadable(now[0]) && preflight.SPFReadable(r.Value)
	r.Codes = slices.DeleteFunc(codes(troubles), func(code string) bool {
		return recordAloneFails(code) && !(code == "spf-syntax" && mendsSyntax) || code == "spf-several-records" && len(now) == 1 // those of an include
	})
	if a.want.Now != nil && len(now) > 0 {
		a.fit(&r)
	}
	r.Replaces = without(now, r.Value)
	if len(now) == 0 {
		a.salvageSPF(&r, troubles)
	}
	if len(now) == 0 && len(r.Replaces) == 0 && len(a.report.Egress) == 0 {
		return // it would let nobody send
	}
	r.Notes = append(r.Notes, a.spfNotes(troubles, now)...)
	if a.want.Now != nil {
		a.spfState(&r, now, known, findings)
	}
	a.publish(r)
}

// spfState compares the record with those published now.
func (a *adviser) spfState(r *Record, now []string, known bool, findings []preflight.Finding) {
	r.settle(a.want.Now(r.Name))
	r.State = stateOf(*r, findings, known)
	faults := slices.ContainsFunc(findings, func(f preflight.Finding) bool {
		return f.Status == preflight.Fail || f.Status == preflight.Warn
	})
	switch {
	case len(now) != 1 || r.State == Unsure || r.State == Partly:
	case !faults:
		r.State, r.Value, r.Replaces = AsItIs, now[0], nil
	case r.Value == parseSPF(now[0]).String():
		r.State, r.Value, r.Replaces = Faulty, now[0], nil
	}
	if r.State == Unsure && len(now) == 1 {
		r.Notes = append(r.Notes, fmt.Sprintf("DNS gave no answer about something this record needs, so it isn't known whether it allows %s.", addressList(a.report.Egress)))
	}
	r.aliasNote()
	a.spfFault(r, findings)
	if unknown := a.open(); r.State == ToReplace && len(unknown) > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("Whether it allows %s too isn't known: DNS gave no answer.", addressList(unknown)))
	}
}

// spfFault finds out what stays wrong once the record is published.
func (a *adviser) spfFault(r *Record, findings []preflight.Finding) {
	if r.State != ToAdd && r.State != ToReplace && r.State != Faulty {
		return
	}
	noted := false
	if r.Lookups > MaxLookups {
		r.Fault, noted = tooMany(r.Lookups), true // with what each term costs
	} else if a.want.TrySPF != nil {
		r.Fault = a.want.TrySPF(r.Value)
	}
	if r.State == Faulty { // the steps say what to do
		for _, f := range findings {
			if r.Fault == "" && (f.Status == preflight.Fail || f.Status == preflight.Warn) {
				r.Fault = f.Text
			}
		}
	} else if r.Fault != "" && !noted {
		r.Notes = append(r.Notes, "It will not do like this: "+r.Fault)
	}
}

// open returns the egress addresses for which SPF could not be evaluated.
func (a *adviser) open() []netip.Addr {
	var addresses []netip.Addr
	for _, s := range a.report.Facts.SPF.Addresses {
		if s.Result == preflight.SPFUnknown || s.Result == preflight.SPFTempError {
			addresses = append(addresses, s.Address)
		}
	}
	return addresses
}

func addressList(addresses []netip.Addr) string {
	var words []string
	for _, a := range addresses {
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

// salvageSPF carries over what can be used of a record that doesn't begin as SPF
// records do.
func (a *adviser) salvageSPF(r *Record, troubles []preflight.Finding) {
	for _, f := range troubles {
		terms, ok := salvage(f.Record)
		if f.Code != "spf-syntax" || !ok || isClipped(f.Record) {
			continue
		}
		r.Value, r.Notes = mergeSPF(r.Name, []string{terms.String()}, a.report.Egress)
		r.Replaces = []string{f.Record}
		r.Codes = append(r.Codes, f.Code)
		r.Notes = append(r.Notes, "Today's is not read as SPF at all; check that nothing of it is missing here.")
		return
	}
}

// spfDomain is the domain whose record counts. RFC 7208 section 2.4.
func (a *adviser) spfDomain() string {
	for _, d := range []string{string(a.report.Facts.SPF.Domain), string(a.report.MailFrom), string(a.report.Helo)} {
		if d != "" {
			return d
		}
	}
	return ""
}

// refused returns the egress addresses that don't pass, or wouldn't without +all; where
// nothing is published, those are all of them.
func (a *adviser) refused(now []string) []netip.Addr {
	if len(now) == 0 || slices.ContainsFunc(now, letsAll) { // by a term that goes
		return a.report.Egress
	}
	if slices.Contains(codes(a.report.Of(preflight.SPF)), "ns-disagree") {
		return nil // some servers lack the record; that isn't the record's fault
	}
	var addresses []netip.Addr
	for _, s := range a.report.Facts.SPF.Addresses {
		switch s.Result {
		case preflight.SPFPass, preflight.SPFUnknown, preflight.SPFTempError:
		default:
			addresses = append(addresses, s.Address)
		}
	}
	return addresses
}

// recordAloneFails reports codes that stay until somebody decides which terms to
// take out.
func recordAloneFails(code string) bool {
	switch code {
	case "ns-disagree", "spf-syntax", "spf-include-missing", "spf-too-many-lookups", "spf-too-many-void-lookups":
		return true
	}
	return false
}

// publishedAsSPF reports that the record is there, in the abandoned type 99.
func publishedAsSPF(troubles []preflight.Finding) bool {
	return slices.Contains(codes(troubles), "spf-type-99-only")
}

func (a *adviser) spfNotes(troubles []preflight.Finding, now []string) []string {
	var notes []string
	if len(now) > 1 {
		notes = append(notes, fmt.Sprintf("One record only: it joins the %d published now, delete them.", len(now)))
	}
	if publishedAsSPF(troubles) {
		notes = append(notes, "Type TXT: nobody asks for type SPF any more (RFC 7208 section 3.1).")
	}
	if len(now) == 0 && a.report.Facts.SPF.Result == preflight.SPFUnknown {
		notes = append(notes, "What is published now is not known: if there is an SPF record, add the addresses to that one.")
	}
	return notes
}
