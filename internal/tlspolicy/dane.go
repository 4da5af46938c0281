package tlspolicy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/mjl-/adns"
	moxdns "github.com/mjl-/mox/dns"
	"github.com/mjl-/mox/smtpclient"
	"golang.org/x/sync/errgroup"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

// danePlace is what TLSA records are looked for.
type danePlace struct {
	name   mail.Domain // recipient domain, or host of a next hop
	direct bool        // name is the host itself, its MX records don't count
	port   int
	host   mail.Domain // the one host asked about; empty: all MX hosts
}

func (p danePlace) key() string {
	return fmt.Sprintf("%s %t %d %s", p.name, p.direct, p.port, p.host)
}

// danePlace returns where a destination's TLSA records would be, false where there
// can be none.
func (d Destination) danePlace() (danePlace, bool) {
	if d.NextHop == "" {
		return danePlace{name: d.Domain, port: smtpPort, host: d.Host}, d.Domain != ""
	}
	host, port, bracketed, err := splitNextHop(d.NextHop)
	number, known := portNumber(port)
	if err != nil || !known || isAddress(host) {
		return danePlace{}, false
	}
	place := danePlace{name: mail.Domain(host), direct: bracketed, port: number, host: d.Host}
	if bracketed {
		place.host = place.name
	}
	return place, true
}

// portNumber reads what splitNextHop gives. Service names others than those of mail
// have no TLSA records that we would find.
func portNumber(port string) (int, bool) {
	switch port {
	case "":
		return smtpPort, true
	case ":submission":
		return 587, true
	case ":submissions", ":smtps":
		return 465, true
	}
	n, err := strconv.Atoi(strings.TrimPrefix(port, ":"))
	return n, err == nil
}

// daneFinding is what TLSA records say.
type daneFinding struct {
	state  daneState
	policy Policy // where state is demanded
	some   bool   // of all MX hosts, some lack TLSA records that can be used
	usable bool   // some have TLSA records that can be used
	lost   bool   // where state is unsettled: DNS doesn't tell the addresses
	why    string // where state is doubtful or unsettled

	// Of all MX hosts, those that DNS doesn't tell about, where it does about others.
	open  bool   // there are such
	doubt string // why, if they could be connected to: their addresses are known
}

type daneState int

const (
	daneNone      daneState = iota // there are none that could be trusted
	daneDemanded                   // there are
	daneDoubtful                   // DNS doesn't tell whether they could be
	daneUnsettled                  // they could be, and DNS doesn't tell whether there are
)

// hop is what the MX records say (RFC 7672, section 2.2.1).
type hop struct {
	hasMX          bool
	name, expanded moxdns.Domain
}

// findDANE looks for TLSA records.
func findDANE(ctx context.Context, dns *asking, place danePlace) daneFinding {
	h := hop{name: moxdns.Domain{ASCII: string(place.name)}}
	h.expanded = h.name
	hosts := []mail.Domain{place.name}
	if !place.direct {
		answer := dns.ask(ctx, string(place.name), "MX")
		switch {
		case answer.Status == dnsview.Unknown && place.host == "": // and there is no way to a server
			return daneFinding{state: daneUnsettled, why: fault(answer)}
		case answer.Status == dnsview.Unknown:
			return daneFinding{state: daneDoubtful, why: fault(answer)}
		case answer.Status == dnsview.NXDomain || !answer.Authentic:
			return daneFinding{}
		case answer.Status == dnsview.Found:
			h.hasMX, hosts = true, mxHosts(answer)
			if n := len(answer.CNAMEs); n > 0 {
				h.expanded = moxdns.Domain{ASCII: answer.CNAMEs[n-1]}
			}
		}
	}
	if place.host != "" {
		return findHostDANE(ctx, dns, place.port, h, place.host)
	}
	return findAllDANE(ctx, dns, place.port, h, hosts)
}

// mxHosts returns the hosts by preference, without the root of a null MX.
func mxHosts(a dnsview.Answer) (hosts []mail.Domain) {
	for _, r := range a.Records { // sorted by preference
		if r.Text != "." && !slices.Contains(hosts, mail.Domain(r.Text)) {
			hosts = append(hosts, mail.Domain(r.Text))
		}
	}
	return hosts
}

const maxDANEHosts = 20 // as many as the relay tries

// findAllDANE looks for the records of all MX hosts.
func findAllDANE(ctx context.Context, dns *asking, port int, h hop, hosts []mail.Domain) daneFinding {
	findings := make([]daneFinding, min(len(hosts), maxDANEHosts))
	var group errgroup.Group
	group.SetLimit(4)
	for i := range findings {
		group.Go(func() error {
			findings[i] = findHostDANE(ctx, dns, port, h, hosts[i])
			return nil
		})
	}
	_ = group.Wait() // no look-up returns one
	return together(findings, len(hosts) > len(findings))
}

// together says for all MX hosts what Postfix is to do: dane-only where all have
// TLSA records that are usable, encrypt where all have such as aren't, and dane, by
// which it looks for the records of each host itself, where they differ, or DNS
// doesn't tell about some.
func together(findings []daneFinding, more bool) daneFinding {
	all := daneFinding{policy: Policy{Level: DANE, Source: FromDANE}, some: more}
	unsettled, unusable := 0, 0
	for _, f := range findings {
		all.some = all.some || !f.usable
		all.usable = all.usable || f.usable
		all.policy.usable = all.usable
		switch {
		case f.state == daneUnsettled:
			unsettled++
			all.why = f.why
			if !f.lost {
				all.doubt = f.why
			}
		case f.state == daneDemanded:
			all.state = daneDemanded
			if !f.usable {
				unusable++
			}
		}
	}
	switch n := len(findings); {
	case n > 0 && unsettled == n:
		all.state = daneUnsettled
	case unsettled > 0:
		all.state, all.open = daneDemanded, true
	case !all.some:
		all.policy.Level = DANEOnly
	case n > 0 && unusable == n && !more:
		all.policy.Level = Encrypt
	}
	return all
}

// findHostDANE looks for the TLSA records of one host whose name came from a
// validated answer (RFC 7672, section 2.2.2).
func findHostDANE(ctx context.Context, dns *asking, port int, h hop, host mail.Domain) daneFinding {
	s := hostSecurity(ctx, dns, host)
	if s.state != daneDemanded {
		return daneFinding{state: s.state, why: s.why, lost: s.lost}
	}
	original := moxdns.Domain{ASCII: string(host)}
	required, records, base, err := smtpclient.GatherTLSA(ctx, slog.New(slog.DiscardHandler),
		tlsaResolver{asking: dns, port: port}, original, s.expandedToo, s.expanded)
	switch {
	case err != nil:
		if said, ok := errors.AsType[*adns.DNSError](err); ok {
			err = errors.New(said.Err)
		}
		return daneFinding{state: daneUnsettled, why: fmt.Sprintf("TLSA records of %s: %v", host, err)}
	case !required:
		return daneFinding{}
	case len(records) == 0: // RFC 7672, section 2.2
		return daneFinding{state: daneDemanded, policy: Policy{Level: Encrypt, Source: FromDANE}}
	}
	p := Policy{Level: DANEOnly, Source: FromDANE, Origins: Origins{MatchNames: FromDANE}}
	for _, r := range records {
		p.TLSA = append(p.TLSA, TLSA{Usage: uint8(r.Usage), Selector: uint8(r.Selector), MatchingType: uint8(r.MatchType), Data: r.CertAssoc})
	}
	if base != original { // the base domain is what SNI names (RFC 7672, section 8.1)
		p.ServerName, p.Origins.ServerName = base.ASCII, FromDANE
	}
	p.MatchNames = []string{base.ASCII}
	for _, name := range smtpclient.GatherTLSANames(h.hasMX, true, s.expandedToo, h.name, h.expanded, original, base) {
		if !slices.Contains(p.MatchNames, name.ASCII) {
			p.MatchNames = append(p.MatchNames, name.ASCII)
		}
	}
	return daneFinding{state: daneDemanded, policy: p, usable: true}
}

// security is what the addresses of a host say about whether its TLSA records can be
// trusted.
type security struct {
	state       daneState // daneDemanded: they can be
	expanded    moxdns.Domain
	expandedToo bool // also those at the end of its CNAMEs
	lost        bool // DNS doesn't tell the addresses
	why         string
}

// hostSecurity asks for addresses: TLSA records count, and are asked for, only where
// those are validated. Of a host that is an alias, one that is validated itself is
// enough for records at its own name.
func hostSecurity(ctx context.Context, dns *asking, host mail.Domain) security {
	a := dns.ask(ctx, string(host), "A")
	if a.Status != dnsview.Found {
		if six := dns.ask(ctx, string(host), "AAAA"); six.Status != dnsview.Unknown && (six.Status == dnsview.Found || a.Status != dnsview.Unknown) {
			a = six
		}
	}
	if a.Status == dnsview.Unknown {
		return security{state: daneUnsettled, lost: true, why: fault(a)}
	}
	s := security{state: daneDemanded, expanded: moxdns.Domain{ASCII: string(host)}, expandedToo: true}
	switch n := len(a.CNAMEs); {
	case n > 0 && a.Authentic:
		s.expanded = moxdns.Domain{ASCII: a.CNAMEs[n-1]}
	case n > 0:
		s.expandedToo = false
		alias := dns.ask(ctx, string(host), "CNAME")
		switch {
		case alias.Status == dnsview.Unknown:
			return security{state: daneUnsettled, why: fault(alias)}
		case !alias.Authentic:
			return security{state: daneNone}
		}
	case !a.Authentic:
		return security{state: daneNone}
	}
	return s
}
