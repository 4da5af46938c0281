package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"mailgate/internal/bounce"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/sign"
)

// nowFound is what DNS says now of what a message was refused for.
type nowFound struct {
	Verdict    string                `json:"verdict"` // accept, refuse or unknown: what the receiver would say now
	Why        string                `json:"why,omitempty"`
	Prediction *preflight.Prediction `json:"prediction,omitempty"`
	Findings   []preflight.Finding   `json:"findings,omitempty"` // what isn't well
}

// passes reports whether all is well, with nothing left open.
func (f *nowFound) passes() bool {
	return f.Verdict == string(preflight.Accept) && len(f.Findings) == 0 && f.Prediction != nil && f.Why == f.Prediction.Why
}

// mended reports whether what the message was refused for is as it should be now, as
// far as DNS tells.
func (r *reading) mended() bool {
	if r.Now == nil || !r.Now.passes() {
		return false
	}
	k := r.Meaning.Kind
	return k == bounce.Authentication || k == bounce.HostName || k == bounce.Sender
}

// noAnswer is the finding that DNS keeps silent.
const noAnswer = "dns-unreachable"

// maxChecked bounds how many domains of one input are looked at.
const maxChecked = 5

// now looks at DNS, by the configuration where there is one.
type now struct {
	site *site
	view *view
}

func (a *app) newNow() (*now, error) {
	s, err := a.checkSite()
	if err != nil {
		return nil, err
	}
	v, err := newView(s.cfg.DNS, a.quietWiring())
	if err != nil {
		return nil, err
	}
	return &now{s, v}, nil
}

func (n *now) close() { n.view.resolver.Close() }

// worthChecking reports whether DNS may tell more of a refusal.
func worthChecking(r *bounce.Reading) bool {
	if r.Domain == "" || r.Event == bounce.Rejected {
		return false
	}
	switch r.Meaning.Kind {
	case bounce.Authentication, bounce.HostName:
		return true
	case bounce.Sender:
		return r.Meaning.Fault == bounce.SenderDNS
	}
	switch r.Meaning.Rule {
	case "gmail-unsolicited", "yahoo-deferred", "spam", "client-refused":
		return true
	}
	return false
}

// fill looks at each domain once, at several side by side.
func (n *now) fill(ctx context.Context, list []reading) {
	found := map[string]*nowFound{}
	var group sync.WaitGroup
	for i := range list {
		r := &list[i]
		if !worthChecking(&r.Reading) {
			continue
		}
		key := fmt.Sprint(r.Domain, r.MailFrom, r.OurIP, r.Selectors, r.Provider)
		if found[key] == nil {
			if len(found) == maxChecked {
				continue
			}
			one := &nowFound{Verdict: "unknown"}
			found[key] = one
			group.Go(func() { *one = n.look(ctx, &r.Reading) })
		}
		r.Now = found[key]
	}
	group.Wait()
}

func (n *now) look(ctx context.Context, r *bounce.Reading) nowFound {
	id, err := n.identity(r)
	if err != nil {
		return nowFound{Verdict: "unknown", Why: err.Error()}
	}
	provider := r.Provider
	if provider == "" {
		provider = preflight.UnknownProvider
		if d := domainOfAddress(r.Recipient); d != "" {
			provider = n.view.checker.Provider(ctx, d)
		}
	}
	report := n.view.checker.Check(ctx, id)
	if len(id.Keys) == 0 {
		report = withoutKeyFinding(report)
	}
	p := preflight.Predict(provider, report, preflight.Extra{Bulk: gateConfig(n.site.cfg).Bulk(id.From) || bulkOnly(r)})
	if len(id.Keys) == 0 {
		p = leaveDKIMOpen(p)
	}
	f := nowFound{Verdict: string(p.Verdict), Why: p.Why, Prediction: &p}
	for _, x := range report.Findings {
		if x.Status == preflight.Fail || x.Status == preflight.Unknown || x.Status == preflight.Warn && x.Check != preflight.DMARC {
			f.Findings = append(f.Findings, x)
		}
	}
	if f.Verdict == string(preflight.Accept) && len(id.Egress) == 0 {
		f.Verdict, f.Why = "unknown", "the address it was sent from isn't known, so SPF can't be told"
	}
	_, silent := report.Find(noAnswer)
	switch {
	case f.Verdict == string(preflight.UnknownVerdict) && silent:
		f.Why = "DNS gives no answer"
	case len(id.Keys) == 0 && f.Verdict != string(preflight.Refuse):
		f.Why = "DKIM was not looked at, as no selector is known (--selector)"
	}
	return f
}

// bulkOnly reports whether a receiver takes the sender for a bulk sender.
func bulkOnly(r *bounce.Reading) bool {
	rule, ok := preflight.ExplainRule(r.Meaning.Rule)
	return ok && rule.Bulk
}

// identity is the message's, as far as the reading tells, and else this site's.
func (n *now) identity(r *bounce.Reading) (preflight.Identity, error) {
	var f checkFlags
	if r.OurIP != "" {
		f.ips = []string{r.OurIP}
	}
	for _, s := range r.Selectors {
		if sign.CheckSelector(s) == nil {
			f.selectors = append(f.selectors, s)
		}
	}
	f.mailFrom = string(r.MailFrom)
	return n.site.identity(r.Domain, f)
}

func domainOfAddress(address string) mail.Domain {
	_, domain, ok := strings.Cut(address, "@")
	if !ok {
		return ""
	}
	d, err := mail.ParseDomain(domain)
	if err != nil {
		return ""
	}
	return d
}
