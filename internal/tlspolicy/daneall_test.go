package tlspolicy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mailgate/internal/dnstest"
)

// TestDANEWithoutMX: where DNS doesn't tell the MX hosts of a domain, mail waits,
// whether something was known of it before or not.
func TestDANEWithoutMX(t *testing.T) {
	w := newWorld(t)
	w.zone("example.net", true, "@ 60 MX 10 mx1", "mx1 60 A 127.0.0.1", "_25._tcp.mx1 60 TLSA 3 1 1 "+digest)
	if p := w.domain("example.net"); p.Level != DANEOnly {
		t.Fatal(p)
	}
	w.dns.Fault("example.net", dnstest.Bogus)
	w.clock.add(2 * time.Minute)
	for _, when := range []string{"before a restart", "after it", "two days later"} {
		if p, err := w.policies.Lookup(t.Context(), Destination{Domain: "example.net"}); !errors.Is(err, ErrUnsettled) || !strings.Contains(err.Error(), "example.net MX") {
			t.Errorf("%s: %v, %v", when, p, err)
		}
		if when == "before a restart" {
			w.start()
		} else {
			w.clock.add(2 * day)
		}
	}
	w.view.Store(&View{DNS: w.view.Load().DNS})
	if p := w.domain("example.net"); p.Level != May {
		t.Errorf("resolvers that don't validate: %v", p)
	}
}

// TestDANEOfAll: what Postfix hears, which looks for the TLSA records of each host
// itself where it hears dane.
func TestDANEOfAll(t *testing.T) {
	good, odd := "3 1 1 "+digest, "1 1 1 "+digest
	for _, c := range []struct {
		name     string
		records  map[string]string // of mx1 and mx2: a TLSA record, "none", "lame" (no addresses), "bogus" (TLSA)
		demanded Level             // zero: an error
		enforced Level             // with MTA-STS
	}{
		{"usable, usable", map[string]string{"mx1": good, "mx2": good}, DANEOnly, DANEOnly},
		{"usable, none", map[string]string{"mx1": good, "mx2": "none"}, DANE, DANEOnly},
		{"usable, unusable", map[string]string{"mx1": good, "mx2": odd}, DANE, DANEOnly},
		{"usable, lame", map[string]string{"mx1": good, "mx2": "lame"}, DANE, DANEOnly},
		{"unusable, unusable", map[string]string{"mx1": odd, "mx2": odd}, Encrypt, Secure},
		{"unusable, none", map[string]string{"mx1": odd, "mx2": "none"}, DANE, Secure},
		{"unusable, lame", map[string]string{"mx1": odd, "mx2": "lame"}, DANE, Secure},
		{"none, none", map[string]string{"mx1": "none", "mx2": "none"}, May, Secure},
		{"none, lame", map[string]string{"mx1": "none", "mx2": "lame"}, DANE, Secure},
		{"none, bogus", map[string]string{"mx1": "none", "mx2": "bogus"}, DANE, 0},
		{"lame, lame", map[string]string{"mx1": "lame", "mx2": "lame"}, 0, 0},
		{"lame, bogus", map[string]string{"mx1": "lame", "mx2": "bogus"}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			lines := []string{"@ MX 10 mx1", "@ MX 20 mx2", "mx1 A 127.0.0.1", "mx2 A 127.0.0.1", "mta-sts A 127.0.0.1", `_mta-sts TXT "v=STSv1; id=1;"`}
			for host, record := range c.records {
				switch record {
				case "none":
				case "lame":
					w.dns.Fault(host+".example.net", dnstest.ServFail)
				case "bogus":
					w.dns.Fault("_25._tcp."+host+".example.net", dnstest.Bogus)
				default:
					lines = append(lines, "_25._tcp."+host+" TLSA "+record)
				}
			}
			w.zone("example.net", true, lines...)
			w.sts.serve("mta-sts.example.net", text(stsText("enforce", 10*day, "*.example.net")))
			for sts, want := range map[bool]Level{false: c.demanded, true: c.enforced} {
				w.view.Store(&View{DNS: w.view.Load().DNS, Validating: true, STS: sts})
				p, err := w.policies.Lookup(t.Context(), Destination{Domain: "example.net"})
				if p.Level != want || (want == 0) != errors.Is(err, ErrUnsettled) {
					t.Errorf("MTA-STS %v: %v, %v; want %s", sts, p, err, want)
				}
				if strings.Contains(p.String(), "for some of") {
					t.Errorf("%s: there need not be some", p)
				}
			}
		})
	}
}

// TestDANELately: of a host that had TLSA records lately, and can't be asked about
// now, MTA-STS isn't enough.
func TestDANELately(t *testing.T) {
	w := newWorld(t)
	w.zone("example.net", true, "@ 60 MX 10 mx1", "@ 60 MX 20 mx2", "mx1 60 A 127.0.0.1", "_25._tcp.mx1 60 TLSA 3 1 1 "+digest, "mx2 60 A 127.0.0.1",
		"mta-sts A 127.0.0.1", `_mta-sts TXT "v=STSv1; id=1;"`)
	w.sts.serve("mta-sts.example.net", text(stsText("enforce", 10*day, "*.example.net")))
	if p := w.domain("example.net"); p.Level != DANEOnly {
		t.Fatal(p)
	}
	w.dns.Fault("mx1.example.net", dnstest.ServFail)
	w.clock.add(time.Hour)
	if p, err := w.policies.Lookup(t.Context(), Destination{Domain: "example.net"}); !errors.Is(err, ErrUnsettled) {
		t.Errorf("an hour later: %v, %v", p, err)
	}
	w.clock.add(day)
	if p := w.domain("example.net"); p.Level != Secure {
		t.Errorf("a day later: %v", p)
	}
}

// TestDANEStoreOpen: what DNS tells of some hosts doesn't take the place of what is
// known of all, and counts for later where it is about TLSA records.
func TestDANEStoreOpen(t *testing.T) {
	clock := &clock{now: time.Now()}
	c := &daneCache{now: clock.Now, known: map[danePlace]*daneEntry{}}
	place := danePlace{name: "example.net", port: 25}
	store := func(f daneFinding) *daneFinding { return c.store(place, f, clock.Now().Add(time.Minute)) }
	known := store(daneFinding{state: daneDemanded, usable: true})
	open := daneFinding{state: daneDemanded, open: true, usable: true, why: "SERVFAIL"}
	if got := store(open); got != known {
		t.Errorf("what is known doesn't hold until its end: %+v", got)
	}
	clock.add(time.Hour)
	if got := store(open); !got.open || got.doubt != "" {
		t.Errorf("after it: %+v", got)
	}
	clock.add(daneInDoubt - time.Minute)
	if got := store(daneFinding{state: daneDoubtful}); got.state != daneUnsettled {
		t.Errorf("most of a day later: %+v", got)
	}
}
