package preflight

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// dmarcRecord is a parsed DMARC record: the tags of RFC 9989 section 4.7 and
// those RFC 7489 section 6.3 had besides (pct, rf, ri).
type dmarcRecord struct {
	Policy      Policy // p=; none where it is missing and rua= is there
	SubPolicy   Policy // sp=, "" where not given
	NonExistent Policy // np=, "" where not given
	StrictDKIM  bool   // adkim=s
	StrictSPF   bool   // aspf=s
	Reports     []string
	Failures    []string // ruf=
	Options     []string // fo=
	Testing     bool     // t=y
	PSD         string   // psd=: "y", "n" or "u"
	Percent     int      // pct=, 100 where not given
	Problems    []string // what is wrong or out of date, without making the record void
}

// isDMARC reports whether a TXT value is a DMARC record: anything else at that
// name is none of DMARC's business. RFC 9989 section 4.7.
func isDMARC(s string) bool {
	first, _, _ := strings.Cut(s, ";")
	name, value, _ := strings.Cut(first, "=")
	return strings.EqualFold(strings.Trim(name, " \t"), "v") && strings.Trim(value, " \t") == "DMARC1"
}

// looksLikeDMARC reports whether somebody meant s to be a DMARC record.
func looksLikeDMARC(s string) bool {
	return strings.Contains(strings.ToLower(dropFWS(s)), "v=dmarc1")
}

// parseDMARC reads a DMARC record. An error says why receivers will act as if
// there were none.
func parseDMARC(s string) (dmarcRecord, error) {
	if !isDMARC(s) {
		return dmarcRecord{}, errors.New("it does not begin with v=DMARC1;")
	}
	r := dmarcRecord{PSD: "u", Percent: 100}
	for spec := range strings.SplitSeq(s, ";") {
		if spec = trimFWS(spec); spec == "" {
			continue
		}
		name, value, found := strings.Cut(spec, "=")
		name, value = strings.ToLower(trimFWS(name)), trimFWS(value)
		if !found || !isTagName(name) {
			r.problem("%q is not tag=value", clip(spec, 40))
			continue
		}
		r.set(name, value)
	}
	if r.Policy == "" {
		if len(r.Reports) == 0 {
			return dmarcRecord{}, errors.New("it has no valid policy (p=none, quarantine or reject)")
		}
		r.Policy = PolicyNone
		r.problem("p= is missing or not valid: taken as p=none, because rua= is there")
	}
	return r, nil
}

// DMARCCounts reports whether receivers take a TXT value for a DMARC record they can
// use.
func DMARCCounts(record string) bool {
	_, err := parseDMARC(record)
	return err == nil
}

func (r *dmarcRecord) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// set takes one tag; unknown tags are ignored, as both RFCs ask.
func (r *dmarcRecord) set(name, value string) {
	switch name {
	case "p":
		r.Policy = r.policy(name, value)
	case "sp":
		r.SubPolicy = r.policy(name, value)
	case "np":
		r.NonExistent = r.policy(name, value)
	case "adkim":
		r.StrictDKIM = r.choice(name, value, "r", "s") == "s"
	case "aspf":
		r.StrictSPF = r.choice(name, value, "r", "s") == "s"
	case "t":
		r.Testing = r.choice(name, value, "n", "y") == "y"
	case "psd":
		r.PSD = r.choice(name, value, "u", "y", "n")
	case "rua":
		r.Reports = r.uris(name, value)
	case "ruf":
		r.Failures = r.uris(name, value)
	case "fo":
		r.Options = colonList(value)
	case "pct":
		r.percent(value)
	case "rf", "ri":
		r.problem("%s= is gone from RFC 9989 and may be left out", name)
	}
}

func (r *dmarcRecord) policy(name, value string) Policy {
	p := Policy(strings.ToLower(value))
	switch p {
	case PolicyNone, PolicyQuarantine, PolicyReject:
		return p
	}
	r.problem("%s=%s is not none, quarantine or reject", name, clip(value, 20))
	return ""
}

// choice returns value where it is one of the allowed ones, the first of which is
// the default.
func (r *dmarcRecord) choice(name, value string, allowed ...string) string {
	value = strings.ToLower(value)
	if slices.Contains(allowed, value) {
		return value
	}
	r.problem("%s=%s is not one of %s", name, clip(value, 20), strings.Join(allowed, ", "))
	return allowed[0]
}

func (r *dmarcRecord) uris(name, value string) []string {
	var uris []string
	for uri := range strings.SplitSeq(value, ",") {
		uri = trimFWS(uri)
		scheme, rest, found := strings.Cut(uri, ":")
		if !found || rest == "" || !isTagName(scheme) {
			r.problem("%s=%s is not a URI such as mailto:reports@example.com", name, clip(uri, 40))
			continue
		}
		uris = append(uris, uri)
	}
	return uris
}

func (r *dmarcRecord) percent(value string) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > 100 {
		r.problem("pct=%s is not a number from 0 to 100", clip(value, 20))
		return
	}
	r.Percent = n
	if n < 100 {
		r.problem("pct=%d is gone from RFC 9989: receivers may apply the policy to all mail", n)
	}
}
