package tlspolicy

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mjl-/adns"
	moxdns "github.com/mjl-/mox/dns"

	"mailgate/internal/dnsview"
)

// asking is DNS as one search for TLSA records sees it; it keeps until when what
// was said holds. It is safe for concurrent use.
type asking struct {
	dns DNS

	mu       sync.Mutex
	expires  time.Time // of records and faults
	negative time.Time // of "there is none", which is remembered for a short while only
}

func (a *asking) ask(ctx context.Context, name, qtype string) dnsview.Answer {
	answer := a.dns.Recursive(ctx, name, qtype)
	a.mu.Lock()
	defer a.mu.Unlock()
	if answer.Status == dnsview.NoData || answer.Status == dnsview.NXDomain {
		a.negative = earlier(a.negative, answer.Expires)
	} else {
		a.expires = earlier(a.expires, answer.Expires)
	}
	return answer
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// until returns when to look again. Where all hosts have their records, what there
// was none of on the way to them matters no more.
func (a *asking) until(f daneFinding) time.Time {
	if f.state == daneDemanded && !f.some && !a.expires.IsZero() {
		return a.expires
	}
	return earlier(a.expires, a.negative)
}

// fault says in words why DNS doesn't tell: "SERVFAIL from 192.0.2.1:53: DNSSEC
// Bogus".
func fault(a dnsview.Answer) string {
	text := fmt.Sprintf("DNS gives no answer about %s %s", a.Name, a.Type)
	if len(a.Observations) == 0 {
		return text
	}
	o := a.Observations[len(a.Observations)-1]
	for _, part := range []string{o.Rcode, o.Error} {
		if part != "" && part != "NOERROR" {
			text += ": " + part
		}
	}
	if o.Server != "" {
		text += " (" + o.Server + ")"
	}
	return text
}

// tlsaResolver is what mox's look-up of TLSA records asks. It calls no other
// methods of the interface, which is nil.
type tlsaResolver struct {
	moxdns.Resolver
	*asking
	port int // of the server, in place of the 25 that mox takes it to be
}

// LookupCNAME gives one step: the target, or an error that IsNotFound.
func (r tlsaResolver) LookupCNAME(ctx context.Context, name string) (string, adns.Result, error) {
	a := r.ask(ctx, r.at(name), "CNAME")
	result, err := outcome(a)
	if err != nil {
		return "", result, err
	}
	return a.Records[0].Text + ".", result, nil
}

// LookupTLSA takes a whole name; port and protocol are in it.
func (r tlsaResolver) LookupTLSA(ctx context.Context, _ int, _, name string) ([]adns.TLSA, adns.Result, error) {
	a := r.ask(ctx, r.at(name), "TLSA")
	result, err := outcome(a)
	if err != nil {
		return nil, result, err
	}
	var records []adns.TLSA
	for _, r := range a.Records {
		// One that can't be read is kept, so that it counts as not usable.
		record, err := parseTLSA(r.Text)
		if err != nil {
			record = adns.TLSA{Usage: unusable}
		}
		records = append(records, record)
	}
	return records, result, nil
}

const unusable adns.TLSAUsage = 255 // PrivCert (RFC 7218)

// at puts the port in.
func (r tlsaResolver) at(name string) string {
	if rest, ok := strings.CutPrefix(name, "_25."); ok {
		return "_" + strconv.Itoa(r.port) + "." + rest
	}
	return name
}

// outcome turns an answer without records into the errors mox tells apart.
func outcome(a dnsview.Answer) (adns.Result, error) {
	result := adns.Result{Authentic: a.Authentic}
	switch {
	case a.Status == dnsview.Found && len(a.Records) > 0:
		return result, nil
	case a.Status == dnsview.Unknown || a.Status == dnsview.Found:
		return result, &adns.DNSError{Err: fault(a), Name: a.Name, IsTemporary: true}
	}
	return result, &adns.DNSError{Err: "no such record", Name: a.Name, IsNotFound: true}
}

// parseTLSA reads "3 1 1 0a1b…".
func parseTLSA(text string) (adns.TLSA, error) {
	fields := strings.Fields(text)
	if len(fields) != 4 {
		return adns.TLSA{}, fmt.Errorf("TLSA record %q: not four fields", text)
	}
	var numbers [3]uint8
	for i := range numbers {
		n, err := strconv.ParseUint(fields[i], 10, 8)
		if err != nil {
			return adns.TLSA{}, fmt.Errorf("TLSA record %q: %w", text, err)
		}
		numbers[i] = uint8(n)
	}
	data, err := hex.DecodeString(fields[3])
	if err != nil {
		return adns.TLSA{}, fmt.Errorf("TLSA record %q: %w", text, err)
	}
	return adns.TLSA{Usage: adns.TLSAUsage(numbers[0]), Selector: adns.TLSASelector(numbers[1]),
		MatchType: adns.TLSAMatchType(numbers[2]), CertAssoc: data}, nil
}
