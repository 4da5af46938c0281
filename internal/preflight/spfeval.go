package preflight

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"blitiri.com.ar/go/spf"

	"mailgate/internal/dnsview"
)

// evaluation is SPF's outcome for one address.
type evaluation struct {
	address  netip.Addr
	result   SPFResult
	reason   error
	resolver *spfResolver
}

// evaluateAll runs SPF for all egress addresses at once and adds the findings.
func (q *inquiry) evaluateAll(ctx context.Context, domain string, a dnsview.Answer, c *spfCheck) {
	done := make([]evaluation, len(q.id.Egress))
	room := make(chan struct{}, 8)
	var wait sync.WaitGroup
	for i, address := range q.id.Egress {
		wait.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			done[i] = q.evaluate(ctx, domain, address)
		})
	}
	wait.Wait()
	anyPass := slices.ContainsFunc(done, func(e evaluation) bool { return e.result == SPFPass })
	for _, e := range done {
		c.addresses = append(c.addresses, AddressSPF{e.address, e.result})
		f := e.finding(domain, anyPass)
		f.Record = spfRecordOf(a)
		f.Evidence = append(f.Evidence, evidence(a)...)
		c.findings = addFinding(c.findings, f)
	}
}

// addFinding adds f, unless the same was said before of another address.
func addFinding(findings []Finding, f Finding) []Finding {
	for i := range findings {
		if old := &findings[i]; old.Code == f.Code && old.Text == f.Text {
			old.Address += ", " + f.Address
			return findings
		}
	}
	return append(findings, f)
}

// evaluate runs check_host() of RFC 7208 for one address. A panic in the library
// is no worse than an answer that doesn't come.
func (q *inquiry) evaluate(ctx context.Context, domain string, address netip.Addr) (e evaluation) {
	e = evaluation{address: address, result: SPFTempError, resolver: &spfResolver{q: q, own: domain, ipv6: address.Is6()}}
	defer func() {
		if p := recover(); p != nil {
			e.result, e.reason = SPFTempError, fmt.Errorf("evaluating SPF: %v", p)
		}
	}()
	sender := "postmaster@" + domain
	run := func(options ...spf.Option) (spf.Result, error) {
		options = append(options, spf.WithContext(ctx), spf.WithResolver(e.resolver))
		return spf.CheckHostWithSender(address.AsSlice(), string(q.id.Helo), sender, options...)
	}
	result, err := run()
	e.result, e.reason = SPFResult(result), err
	if errors.Is(err, spf.ErrLookupLimitReached) { // count how many it would take
		e.resolver = &spfResolver{q: q, own: domain, ipv6: address.Is6()}
		run(spf.OverrideLookupLimit(maxCounted), spf.OverrideVoidLookupLimit(maxCounted))
	}
	return e
}

// maxCounted bounds the count of lookups beyond the 10 that are allowed.
const maxCounted = 40

// finding puts the outcome in words.
func (e evaluation) finding(domain string, othersPass bool) Finding {
	f := Finding{
		Check: SPF, Status: Fail, Name: domain, Address: e.address.String(),
		Lookups: e.resolver.lookups, VoidLookups: e.resolver.voids,
	}
	listed := e.reason != nil && !errors.Is(e.reason, spf.ErrMatchedAll)
	switch e.result {
	case SPFPass:
		f.Code, f.Status = "spf-ok", Pass
		f.Text = f.Address + " may send for " + domain + "."
	case SPFFail, SPFSoftFail, SPFNeutral:
		f.Code = "spf-" + string(e.result)
		f.Text = f.Address + " matches no mechanism of the SPF record of " + domain + " (" + string(e.result) + ")."
		switch {
		case listed:
			f.Text = "The SPF record of " + domain + " names " + f.Address + " as " + string(e.result) + "."
		case othersPass && e.address.Is6():
			f.Code = "spf-ipv6-missing"
			f.Text = "The SPF record of " + domain + " allows other addresses but not the IPv6 address " + f.Address + " (" + string(e.result) + ")."
		case othersPass:
			f.Code = "spf-egress-not-listed"
			f.Text = "The SPF record of " + domain + " allows other addresses but not " + f.Address + " (" + string(e.result) + ")."
		}
	case SPFPermError:
		e.permanentError(domain, &f)
	case SPFNone:
		f.Code, f.Text = "spf-missing", domain+" has no SPF record."
	default:
		f = unreachable(SPF, e.resolver.failed)
		f.Address = e.address.String()
		if f.Name == "" { // the evaluation itself broke off
			f.Name, f.Text = domain, "SPF could not be evaluated for "+f.Address+"."
		}
	}
	return f
}

// permanentError says why the record can't be evaluated.
func (e evaluation) permanentError(domain string, f *Finding) {
	switch {
	case errors.Is(e.reason, spf.ErrLookupLimitReached) && e.resolver.again != "":
		f.Code = "spf-too-many-lookups"
		f.Text = fmt.Sprintf("The SPF record of %s includes itself, so evaluation never ends.", e.resolver.again)
	case errors.Is(e.reason, spf.ErrLookupLimitReached):
		f.Code = "spf-too-many-lookups"
		f.Text = fmt.Sprintf("The SPF record of %s takes %d of 10 DNS lookups.", domain, f.Lookups)
	case errors.Is(e.reason, spf.ErrTooManyMXRecords):
		f.Code = "spf-too-many-lookups"
		f.Text = "An mx term of the SPF record of " + domain + " leads to more than 10 hosts."
	case errors.Is(e.reason, spf.ErrVoidLookupLimitReached):
		f.Code = "spf-too-many-void-lookups"
		f.Text = fmt.Sprintf("The SPF record of %s asks for %d names that don't exist; 2 are allowed.", domain, f.VoidLookups)
	case errors.Is(e.reason, spf.ErrNoResult):
		f.Code = "spf-include-missing"
		f.Text = "The SPF record of " + domain + " refers to " + e.resolver.absent + ", which has no SPF record."
	case errors.Is(e.reason, spf.ErrMultipleRecords):
		f.Code = "spf-several-records"
		f.Text = "A domain the SPF record of " + domain + " includes has several SPF records."
	default:
		f.Code = "spf-syntax"
		f.Text = fmt.Sprintf("The SPF record of %s or one it includes has an error: %v.", domain, e.reason)
	}
}

// severity orders results for the worst of several.
func (r SPFResult) severity() int {
	return slices.Index([]SPFResult{SPFPass, SPFUnknown, SPFTempError, SPFNone, SPFNeutral, SPFSoftFail, SPFPermError, SPFFail}, r)
}

// tri tells whether the result is a pass.
func (r SPFResult) tri() Tri {
	switch r {
	case SPFPass:
		return Yes
	case SPFUnknown, SPFTempError, "":
		return Maybe
	}
	return No
}

// setResults puts the results and the worst of them into the fact.
func (f *SPFFact) setResults(c spfCheck) {
	f.Addresses, f.PlusAll = c.addresses, c.plusAll
	if c.result != "" {
		f.Result = c.result
	}
	for i, a := range c.addresses {
		if i == 0 || a.Result.severity() > f.Result.severity() {
			f.Result, f.Address = a.Result, a.Address.String()
		}
	}
}
