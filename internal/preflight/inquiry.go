package preflight

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"mailgate/internal/dnsview"
)

// inquiry is one cold check of one identity: it asks DNS and notes until when
// the answers hold.
type inquiry struct {
	dns DNSView
	id  Identity
	try string // SPF record to take for the domain's own instead of the published one; "": none

	mu      sync.Mutex
	expires time.Time // the smallest of all records used so far; zero: none used
}

// note keeps in mind until when an answer holds. Only records count: most
// negative answers belong to a domain that is well (no DMARC record at the
// registry, no AAAA), and where they don't the report is short-lived for being
// bad.
func (q *inquiry) note(status dnsview.Status, expires time.Time) {
	if status != dnsview.Found || expires.IsZero() {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.expires.IsZero() || expires.Before(q.expires) {
		q.expires = expires
	}
}

func (q *inquiry) published(ctx context.Context, name, qtype string) dnsview.Answer {
	a := q.dns.Published(ctx, name, qtype)
	q.note(a.Status, a.Expires)
	return a
}

func (q *inquiry) recursive(ctx context.Context, name, qtype string) dnsview.Answer {
	a := q.dns.Recursive(ctx, name, qtype)
	q.note(a.Status, a.Expires)
	return a
}

func (q *inquiry) panel(ctx context.Context, name, qtype string) (dnsview.Answer, bool) {
	a, configured := q.dns.Panel(ctx, name, qtype)
	q.note(a.Status, a.Expires)
	return a, configured
}

// isNegative reports a definite "there is none".
func isNegative(a dnsview.Answer) bool {
	return a.Status == dnsview.NXDomain || a.Status == dnsview.NoData
}

// isUnknown reports that nothing was learned. An answer without a status is one.
func isUnknown(a dnsview.Answer) bool {
	return a.Status != dnsview.Found && !isNegative(a)
}

// evidence returns observations fit to be kept and shown: public keys shortened.
func evidence(answers ...dnsview.Answer) []dnsview.Observation {
	var all []dnsview.Observation
	for _, a := range answers {
		for _, o := range a.Observations {
			o.Records = slices.Clone(o.Records)
			for i, r := range o.Records {
				o.Records[i] = shortKey(r)
			}
			all = append(all, o)
		}
	}
	return all
}

// longKey matches what can only be a key.
var longKey = regexp.MustCompile(`[A-Za-z0-9+/]{60,}=*`)

// shortKey returns a record with its key cut: "v=DKIM1; k=rsa; p=MIIBIjANBgkq…".
func shortKey(record string) string {
	return clip(longKey.ReplaceAllStringFunc(record, func(key string) string { return clip(key, 12) }), 512)
}

// unreachable is the finding for a question DNS gave no answer to.
func unreachable(check Check, a dnsview.Answer) Finding {
	f := Finding{
		Check: check, Code: "dns-unreachable", Status: Unknown, Name: a.Name,
		Text:     "DNS gives no answer about " + a.Type + " of " + a.Name + reasons(a) + ".",
		Evidence: evidence(a),
	}
	if saysBogus(a) {
		f.Code = "dnssec-bogus"
	}
	return f
}

// reasons names what went wrong at the servers asked: " (timeout, SERVFAIL)".
func reasons(a dnsview.Answer) string {
	var why []string
	for _, o := range a.Observations {
		reason := o.Error
		if reason == "" && o.Rcode != "NOERROR" {
			reason = o.Rcode
		}
		if reason != "" && !slices.Contains(why, reason) {
			why = append(why, reason)
		}
	}
	if len(why) == 0 {
		return ""
	}
	return " (" + strings.Join(why[:min(len(why), 3)], ", ") + ")"
}

// list joins words as people write them: "a, b and c".
func list(words []string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}
