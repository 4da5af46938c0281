package tlspolicy

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"
)

// Demanded returns what DANE, MTA-STS or the default demand of connections to a
// destination, without overrides and what was learned. Its errors are those of
// Lookup.
func (p *Policies) Demanded(ctx context.Context, d Destination) (Policy, error) {
	if d.Domain == "" && d.NextHop == "" {
		return Policy{}, ErrNoDestination
	}
	ctx, stop := within(ctx, p.o.lookupTime())
	defer stop()
	return p.demanded(ctx, d, p.view(), p.now())
}

// want is what a look-up needs, and what of it is known.
type want struct {
	dns     DNS
	place   danePlace
	finding *daneFinding
	found   bool    // finding is known, or not needed
	sts     *Policy // nil: there is none
	checked bool    // sts is known, or not needed
}

func (p *Policies) demanded(ctx context.Context, d Destination, view View, now time.Time) (Policy, error) {
	w := want{dns: view.DNS, found: true, checked: true}
	if view.Validating {
		if place, ok := d.danePlace(); ok {
			w.place = place
			w.finding, w.found = p.dane.warm(place, view.DNS, now)
		}
	}
	if view.STS && d.NextHop == "" { // it is about a domain's own MX hosts
		w.sts, w.checked = p.sts.warm(d.Domain, view.DNS, now)
	}
	if w.found && w.checked {
		return w.combine(d)
	}
	return p.cold(ctx, d, w)
}

// cold waits for what isn't known yet, both at once.
func (p *Policies) cold(ctx context.Context, d Destination, w want) (Policy, error) {
	var check <-chan singleflight.Result
	if !w.checked {
		check = p.sts.begin(d.Domain, w.dns)
	}
	if !w.found {
		var err error
		if w.finding, err = p.dane.get(ctx, w.place, w.dns); err != nil {
			return Policy{}, err
		}
	}
	if !w.checked {
		w.sts = p.sts.wait(ctx, d.Domain, check)
	}
	return w.combine(d)
}

// combine puts DANE before what MTA-STS or the default has (RFC 8461, section 2).
// Where TLSA records authenticate nobody, MTA-STS still does: hosts without any are
// not used, where others have them, and records none of which is usable demand no
// more than encryption.
func (w want) combine(d Destination) (Policy, error) {
	var p Policy
	enforced := w.sts != nil && w.sts.Level > DANEOnly
	switch f := w.finding; {
	case f != nil && f.state == daneUnsettled:
		return p, unsettled(d, f.why)
	case f != nil && f.doubt != "" && enforced && !f.usable: // no level is right for all hosts
		return p, unsettled(d, f.doubt)
	case f != nil && f.state == daneDemanded && (f.usable || !enforced):
		p = f.policy
		if enforced {
			p.Level = DANEOnly
		} else if w.sts != nil {
			p.Testing, p.TestHosts, p.Until = w.sts.Testing, w.sts.TestHosts, w.sts.Until
		}
	case w.sts != nil:
		p = *w.sts
	default:
		p.Level, p.Source = May, FromDefault
	}
	return p, nil
}

func unsettled(d Destination, why string) error {
	return fmt.Errorf("TLS policy of %s: %w: %s", cmp.Or(string(d.Domain), d.NextHop), ErrUnsettled, why)
}
