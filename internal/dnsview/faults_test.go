package dnsview

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailgate/internal/dnstest"
)

// Whatever a resolver does wrong is Unknown, within few packets.
func TestResolverFaults(t *testing.T) {
	for _, c := range []struct {
		fault   dnstest.Fault
		status  Status
		error   string
		packets uint64
	}{
		{dnstest.Timeout, Unknown, "timeout", 2},
		{dnstest.ServFail, Unknown, "", 1},
		{dnstest.Refused, Unknown, "", 1},
		{dnstest.Bogus, Unknown, "DNSSEC Bogus", 1},
		{dnstest.NXDomain, NXDomain, "", 2}, // without an SOA, so the root is asked for, too
		{dnstest.Truncate, Found, "", 2},
		{dnstest.TruncateMute, Unknown, "timeout", 4},
		{dnstest.HalfTCP, Unknown, "reply cut short", 4},
		{dnstest.Lame, Unknown, "offers no recursion", 1},
		{dnstest.Garbage, Unknown, "timeout (malformed replies were ignored)", 2},
		{dnstest.WrongID, Unknown, "timeout (replies to other questions were ignored)", 2},
		{dnstest.WrongQuestion, Unknown, "timeout (replies to other questions were ignored)", 2},
		{dnstest.NoEDNS, Found, "", 2},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newInternet(t)
				n.front.Fault("www.example.com", c.fault)
				r := n.resolver(nil)
				begun := time.Now()
				a := r.Recursive(background, "www.example.com", "A")
				var waits time.Duration // by the bubble's clock
				if strings.HasPrefix(c.error, "timeout") {
					waits = 2 * r.options.Timeout
				}
				if took := time.Since(begun); took != waits {
					t.Errorf("it took %s, want %s", took, waits)
				}
				if a.Status != c.status {
					t.Errorf("status %s, want %s", a.Status, c.status)
				}
				if len(a.Observations) != 1 || a.Observations[0].Error != c.error {
					t.Errorf("observed %+v, want error %q", a.Observations, c.error)
				}
				if r.Queries() > c.packets {
					t.Errorf("%d packets, want %d at most", r.Queries(), c.packets)
				}
			})
		})
	}
}

// A resolver that is cut off from the Internet and denies every name, the root
// too, knows nothing: its denials are Unknown in both views.
func TestResolverThatDeniesTheRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.front.Fault("", dnstest.NXDomain)
		r := n.resolver(nil)
		for name, a := range map[string]Answer{
			"recursive":        r.Recursive(background, "www.example.com", "A"),
			"published":        r.Published(background, "www.example.com", "A"),
			"a mail exchanger": r.Recursive(background, "example.com", "MX"),
		} {
			if a.Status != Unknown {
				t.Errorf("%s view: %s, want unknown", name, a.Status)
			}
			if last := a.Observations[len(a.Observations)-1]; !strings.Contains(last.Error, "denies even the root") {
				t.Errorf("%s view doesn't say why: %+v", name, last)
			}
		}
	})
}

// Where every name server fails, the recursive view stands in, and says why.
func TestFallback(t *testing.T) {
	for fault, why := range map[dnstest.Fault]string{
		dnstest.Timeout:  "port 53 outward seems shut, or the name servers of example.com are down (ns1.example.com: timeout; ns2.example.com: timeout)",
		dnstest.HalfTCP:  "port 53 outward seems shut, or the name servers of example.com are down (ns1.example.com: reply cut short; ns2.example.com: reply cut short)",
		dnstest.Refused:  "no name server of example.com answers for it (ns1.example.com: REFUSED; ns2.example.com: REFUSED)",
		dnstest.ServFail: "no name server of example.com answers for it (ns1.example.com: SERVFAIL; ns2.example.com: SERVFAIL)",
		dnstest.Lame:     "no name server of example.com answers for it (ns1.example.com: not authoritative for the name; ns2.example.com: not authoritative for the name)",
	} {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newInternet(t)
				n.ns1.Fault("", fault)
				n.ns2.Fault("", fault)
				r := n.resolver(nil)
				a := r.Published(background, "www.example.com", "A")
				expect(t, a, "found 192.0.2.1 fallback")
				if a.Fallback != why {
					t.Errorf("fallback %q, want %q", a.Fallback, why)
				}
				if len(a.Observations) != 3 || a.Observations[2].View != Recursive {
					t.Errorf("observations %+v", a.Observations)
				}
				if a.Zone != "example.com" || len(a.NameServers) != 2 {
					t.Errorf("zone %s, servers %s", a.Zone, a.NameServers)
				}
				n.front.Fault("mail._domainkey.example.com", dnstest.ServFail)
				expect(t, r.Published(background, "mail._domainkey.example.com", "TXT"), "unknown fallback")
			})
		})
	}
}

func TestFallbackWithoutServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.zone(n.net, "example.org", "@ NS ns.nowhere.invalid.\nwww A 192.0.2.7")
		a := n.resolver(nil).Published(background, "www.example.org", "A")
		expect(t, a, "found 192.0.2.7 fallback")
		if want := "the name servers of example.org have no address (ns.nowhere.invalid: the name server has no address)"; a.Fallback != want {
			t.Errorf("%q", a.Fallback)
		}
		off := n.resolver(func(o *Options) { o.NoAuthoritative = true })
		expect(t, off.Published(background, "www.example.com", "A"), "found 192.0.2.1 fallback")
		if n.ns1.Count() != 0 {
			t.Error("a name server was asked in spite of NoAuthoritative")
		}
	})
}

// Behind a firewall that shuts port 53, only the first look-ups wait for it.
func TestPort53Shut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		c := newClock()
		for _, origin := range []string{"a.test", "b.test", "c.test", "d.test"} {
			n.zone(n.net, origin, "@ TXT x")
		}
		n.net.Fault("", dnstest.Timeout)
		r := n.resolver(func(o *Options) { o.Now, o.Timeout = c.now, 100*time.Millisecond })
		for _, name := range []string{"a.test", "b.test", "c.test"} {
			expect(t, r.Published(background, name, "TXT"), "found x fallback")
		}
		asked := n.net.Count()
		a := r.Published(background, "d.test", "TXT")
		expect(t, a, "found x fallback")
		if n.net.Count() != asked || !strings.HasPrefix(a.Fallback, "port 53 outward seems shut") {
			t.Errorf("asked again: %s", a.Fallback)
		}
		c.add(time.Hour)
		n.net.Fault("", dnstest.None)
		expect(t, r.Published(background, "d.test", "TXT"), "found x")
	})
}

func TestEverythingSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.front.Fault("", dnstest.Timeout)
		r := n.resolver(func(o *Options) { o.Timeout = 0 }) // the default
		a := r.Published(background, "www.example.com", "A")
		expect(t, a, "unknown fallback")
		if r.Queries() > 6 || len(a.Observations) == 0 {
			t.Errorf("%d packets, %+v", r.Queries(), a.Observations)
		}
	})
}

func TestResolversInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.panel.Fault("", dnstest.Timeout)
		r := n.resolver(func(o *Options) {
			o.Resolvers = []string{"127.0.0.6:" + r53(n), n.panel.Addr(), n.ns1.Addr(), n.front.Addr()}
		})
		a := r.Recursive(background, "away.example.com", "TXT")
		expect(t, a, "found v=DKIM1; p=net via sel.example.net")
		if got := faults(a, Recursive); !slices.Equal(got, []string{"connection refused", "timeout", "offers no recursion"}) {
			t.Errorf("observed %q", got)
		}
		before := n.panel.Count()
		expect(t, r.Recursive(background, "www.example.com", "A"), "found 192.0.2.1")
		if n.panel.Count() != before {
			t.Error("the silent resolver was asked first again")
		}
	})
}

func r53(n internet) string {
	_, port, _ := splitServer(n.front.Addr())
	return port
}

func TestHugeTXT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		huge := strings.Repeat("0123456789", 6000)
		for _, s := range []*dnstest.Server{n.ns1, n.ns2} {
			if err := s.AddTXT("huge.example.com", huge); err != nil {
				t.Fatal(err)
			}
		}
		a := n.resolver(nil).Published(background, "huge.example.com", "TXT")
		if a.Status != Found || a.Disagree || a.Records[0].Text != huge || len(a.Records[0].Strings) != 236 {
			t.Errorf("status %s, %d octets", a.Status, len(a.Records[0].Text))
		}
		if got := len(a.Observations[0].Records[0]); got > maxEvidenceText+30 {
			t.Errorf("%d octets of evidence", got)
		}
	})
}

func TestManyRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		var lines []string
		for i := range 200 {
			lines = append(lines, "many.example.com TXT "+strings.Repeat("x", i+1))
		}
		n.add(n.ns1, lines...)
		n.add(n.ns2, lines...)
		a := n.resolver(nil).Published(background, "many.example.com", "TXT")
		if len(a.Records) != 200 || a.Disagree {
			t.Errorf("%d records, disagree %v", len(a.Records), a.Disagree)
		}
		if got := a.Observations[0].Records; len(got) != 33 || got[32] != "… and 168 more" {
			t.Errorf("evidence %q", got)
		}
	})
}

func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		n.front.Fault("", dnstest.Timeout)
		r := n.resolver(nil)
		ctx, cancel := context.WithCancel(background)
		cancel()
		a := r.Published(ctx, "www.example.com", "A")
		expect(t, a, "unknown")
		if got := faults(a, Authoritative); !slices.Equal(got, []string{"given up"}) {
			t.Errorf("observed %q", got)
		}
	})
}

func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t)
		r := n.resolver(nil)
		expect(t, r.Published(background, "www.example.com", "A"), "found 192.0.2.1")
		r.Close()
		expect(t, r.Published(background, "www.example.com", "A"), "found 192.0.2.1")
		expect(t, r.Published(background, "example.com", "MX"), "unknown")
	})
}
