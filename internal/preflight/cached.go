package preflight

import (
	"context"
	"slices"
	"strings"
	"time"

	"mailgate/internal/dnsview"
)

// seenByResolvers compares the published key with what resolvers still see:
// receivers ask a resolver, and it remembers. RFC 2308 section 5.
func (q *inquiry) seenByResolvers(ctx context.Context, key Key, a dnsview.Answer) (Finding, bool) {
	if a.Fallback != "" {
		return Finding{}, false // the resolver's view is all there is
	}
	r := q.recursive(ctx, a.Name, "TXT")
	f := Finding{Check: DKIM, Status: Warn, Name: a.Name, Evidence: evidence(r)}
	switch {
	case isNegative(r):
		f.Code = "negative-cached-until"
		f.Text = "The record is published, but resolvers may remember until " + until(r) + " that there was none."
		return f, true
	case r.Status == dnsview.Found:
		f.Code = "old-record-cached-until"
		f.Text = "The record is right, but resolvers may remember the old one until " + until(r) + "."
		return f, !judgeKey(key, r.Records).valid
	case q.isBogus(ctx, a, r):
		f.Code, f.Status = "dnssec-bogus", Unknown
		f.Text = "The name servers answer, but resolvers that check DNSSEC get SERVFAIL: the signatures of " +
			a.Zone + " are broken."
		return f, true
	}
	return Finding{}, false
}

// until tells when the resolvers' memory ends.
func until(r dnsview.Answer) string {
	var latest time.Time
	for _, o := range r.Observations {
		if end := o.When.Add(time.Duration(o.TTL) * time.Second); end.After(latest) {
			latest = end
		}
	}
	if latest.IsZero() {
		latest = r.Expires
	}
	return latest.UTC().Format("15:04:05 UTC")
}

// isBogus reports whether DNSSEC is why the resolvers gave no answer: they say
// so, or they all answer SERVFAIL about a zone that is signed. RFC 4035 section
// 5.5.
func (q *inquiry) isBogus(ctx context.Context, published, recursive dnsview.Answer) bool {
	if len(recursive.Observations) == 0 || published.Zone == "" {
		return false
	}
	if saysBogus(recursive) {
		return true
	}
	for _, o := range recursive.Observations {
		if o.Rcode != "SERVFAIL" {
			return false
		}
	}
	return q.recursive(ctx, published.Zone, "DS").Status == dnsview.Found
}

// saysBogus reports whether a resolver gave DNSSEC as its reason (RFC 8914).
func saysBogus(a dnsview.Answer) bool {
	return slices.ContainsFunc(a.Observations, func(o dnsview.Observation) bool {
		reason := strings.ToLower(o.Error)
		return strings.Contains(reason, "bogus") || strings.Contains(reason, "dnssec")
	})
}
