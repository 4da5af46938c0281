package advise

import (
	"fmt"
	"net/netip"
	"slices"

	"mailgate/internal/preflight"
)

// spf publishes the one SPF record that lets every egress address pass.
func (a *adviser) spf() {
	domain := a.spfDomain()
	if domain == "" {
		return
	}
	troubles := a.troubles(func(f preflight.Finding) bool { return f.Check == preflight.SPF })
	if len(troubles) == 0 && !a.want.All {
		return
	}
	now := published(a.report.Of(preflight.SPF), domain, isSPF)
	value, notes := mergeSPF(now, a.refused(now))
	if !a.want.All && len(now) == 1 && value == parseSPF(now[0]).String() && !publishedAsSPF(troubles) {
		return // only its includes, or something else, can be mended
	}
	r := Record{Check: preflight.SPF, Type: "TXT", Name: domain, Value: value, Notes: notes}
	r.Codes = slices.DeleteFunc(codes(troubles), recordAloneFails)
	r.Replaces = slices.DeleteFunc(now, func(s string) bool { return s == value })
	r.Notes = append(r.Notes, a.spfNotes(troubles, now)...)
	a.publish(r)
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

// refused returns the egress addresses that don't pass; where nothing is
// published, those are all of them.
func (a *adviser) refused(now []string) []netip.Addr {
	if len(now) == 0 {
		return a.report.Egress
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
	case "spf-syntax", "spf-include-missing", "spf-too-many-lookups", "spf-too-many-void-lookups":
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
