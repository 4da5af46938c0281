package preflight

import (
	"slices"

	"mailgate/internal/dnsview"
)

// census is what each authoritative server says about one name.
type census struct {
	have, lack []string // servers with and without the record that is looked for
	lame       []string // servers that don't answer for the zone at all
}

// takeCensus sorts the authoritative servers of an answer by whether their
// records satisfy has. RFC 1912 section 2.8 says what a lame server is.
func takeCensus(a dnsview.Answer, has func(records []string) bool) census {
	final := a.Name
	if n := len(a.CNAMEs); n > 0 {
		final = a.CNAMEs[n-1]
	}
	latest := map[string]dnsview.Observation{}
	var servers []string
	for _, o := range a.Observations {
		atEnd := o.Name == final
		cut := o.Name == a.Name && o.Rcode == "NXDOMAIN" // where others follow a CNAME
		if o.View != dnsview.Authoritative || o.Type != a.Type || !atEnd && !cut {
			continue
		}
		if _, seen := latest[o.Server]; !seen {
			servers = append(servers, o.Server)
		}
		if kept, seen := latest[o.Server]; !seen || isLame(kept) {
			latest[o.Server] = o
		}
	}
	var c census
	slices.Sort(servers)
	for _, server := range servers {
		switch o := latest[server]; {
		case isLame(o):
			c.lame = append(c.lame, server)
		case has(o.Records):
			c.have = append(c.have, server)
		default:
			c.lack = append(c.lack, server)
		}
	}
	return c
}

// isLame reports that a server gave no authoritative answer. One reply from any
// of its addresses is enough for it not to be.
func isLame(o dnsview.Observation) bool {
	return o.Error != "" || !o.AA || o.Rcode != "NOERROR" && o.Rcode != "NXDOMAIN"
}

// disagreement is the finding for a record that only some servers have: a
// receiver may ask any of them. False when all that answer have it.
func (c census) disagreement(check Check, a dnsview.Answer) (Finding, bool) {
	if len(c.have) == 0 || len(c.lack) == 0 {
		return Finding{}, false
	}
	return Finding{
		Check: check, Code: "ns-disagree", Status: Fail, Name: a.Name,
		Text:     "The record is on " + list(c.have) + " but not on " + list(c.lack) + ".",
		Evidence: evidence(a),
	}, true
}

// lameness is the finding for servers that are named for the zone and don't
// serve it.
func (c census) lameness(a dnsview.Answer) (Finding, bool) {
	if len(c.lame) == 0 {
		return Finding{}, false
	}
	return Finding{
		Check: DNS, Code: "ns-lame", Status: Warn, Name: a.Name,
		Text:     "No authoritative answer for the zone comes from " + list(c.lame) + ".",
		Evidence: evidence(a),
	}, true
}

// whoAnswered names the authoritative servers that an answer is of, for a sentence,
// and those that gave none: " on ada.ns.example and bob.ns.example (no answer from
// cid.ns.example)".
func whoAnswered(a dnsview.Answer) string {
	if a.Fallback != "" {
		return " (seen through a resolver: " + a.Fallback + ")"
	}
	c := takeCensus(a, func([]string) bool { return true })
	text := ""
	if len(c.have) > 0 {
		text = " on " + list(c.have[:min(len(c.have), 4)])
	}
	silent := slices.DeleteFunc(c.lame, func(s string) bool { return !slices.Contains(a.NameServers, s) }) // others only referred
	if len(silent) > 0 {
		text += " (no answer from " + list(silent) + ")"
	}
	return text
}
