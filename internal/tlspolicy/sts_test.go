package tlspolicy

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"mailgate/internal/dnstest"
	"mailgate/internal/mail"
)

const day = 24 * time.Hour

// stsZone is a domain with an MTA-STS record.
func (w *world) stsZone(id string) {
	w.t.Helper()
	w.zone("example.net", false, "@ MX 10 mx1", "mx1 A 127.0.0.1", "mta-sts A 127.0.0.1",
		fmt.Sprintf("_mta-sts 60 TXT \"v=STSv1; id=%s;\"", id))
}

func TestSTSModes(t *testing.T) {
	for mode, want := range map[string]Policy{
		"enforce": {Level: Secure, Source: FromMTASTS, Hosts: []string{"mx1.example.net", "*.in.example.net"},
			MatchNames: []string{"mx1.example.net", ".in.example.net"}},
		"testing": {Level: May, Source: FromDefault, Testing: true, TestHosts: []string{"mx1.example.net", "*.in.example.net"}},
		"none":    {Level: May, Source: FromDefault},
	} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			w.stsZone("1")
			w.sts.serve("mta-sts.example.net", text(stsText(mode, 7*day, "MX1.example.net", "*.in.example.net")))
			p := w.domain("example.net")
			if p.Level != want.Level || p.Source != want.Source || p.Testing != want.Testing ||
				!slices.Equal(p.Hosts, want.Hosts) || !slices.Equal(p.MatchNames, want.MatchNames) || !slices.Equal(p.TestHosts, want.TestHosts) {
				t.Errorf("%+v, want %+v", p, want)
			}
			state, ok := w.policies.STS("example.net")
			if !ok || state.Mode != mode || state.ID != "1" || state.Error != "" || !state.Expires.Equal(w.clock.Now().Add(7*day)) {
				t.Errorf("state %+v", state)
			}
			if p := w.lookup(Destination{Domain: "example.net", NextHop: "[relay.example]:587"}); p.Level != May {
				t.Errorf("by way of a next hop: %v", p)
			}
			for range 10 {
				w.domain("example.net")
			}
			if n := w.sts.count(); n != 1 {
				t.Errorf("fetched %d times", n)
			}
			v := *w.view.Load()
			v.STS = false
			w.view.Store(&v)
			if p := w.domain("example.net"); p.Level != May || p.Testing {
				t.Errorf("MTA-STS switched off: %v", p)
			}
		})
	}
}

func TestSTSRecord(t *testing.T) {
	for name, lines := range map[string][]string{
		"none":       nil,
		"two":        {`_mta-sts TXT "v=STSv1; id=1"`, `_mta-sts TXT "v=STSv1; id=2"`},
		"no id":      {`_mta-sts TXT "v=STSv1;"`},
		"bad id":     {`_mta-sts TXT "v=STSv1; id=a-b"`},
		"other text": {`_mta-sts TXT "hello"`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.zone("example.net", false, append(lines, "mta-sts A 127.0.0.1")...)
			w.sts.serve("mta-sts.example.net", text(stsText("enforce", day, "mx1.example.net")))
			if p := w.domain("example.net"); p.Level != May || w.sts.count() != 0 {
				t.Errorf("policy %v, fetched %d times", p, w.sts.count())
			}
		})
	}
	w := newWorld(t)
	w.zone("example.net", false, `_mta-sts CNAME sts.example.org.`, "mta-sts CNAME sts.example.org.")
	w.zone("example.org", false, `sts TXT "other" `, `sts TXT "v=STSv1" "; id=1;"`, "sts A 127.0.0.1")
	w.sts.serve("mta-sts.example.net", text(stsText("enforce", day, "mx1.example.net")))
	if p := w.domain("example.net"); p.Level != Secure {
		t.Errorf("by CNAME, as hosters do it: %v", p)
	}
}

// TestSTSLife follows a policy: a new id, failures, its end, a restart.
func TestSTSLife(t *testing.T) {
	w := newWorld(t)
	w.stsZone("1")
	w.sts.serve("mta-sts.example.net", text(stsText("enforce", 10*day, "one.example.net")))
	hosts := func(want string) {
		t.Helper()
		p := w.domain("example.net")
		w.settle("example.net")
		p = w.domain("example.net")
		if got := strings.Join(p.Hosts, " "); got != want {
			t.Fatalf("hosts %q, want %q: %v", got, want, p)
		}
	}
	hosts("one.example.net")

	w.sts.serve("mta-sts.example.net", text(stsText("enforce", 10*day, "two.example.net")))
	w.clock.add(2 * time.Minute)
	hosts("one.example.net") // the id is the same
	w.stsZone("2")
	hosts("one.example.net") // DNS's answer holds yet
	w.clock.add(2 * time.Minute)
	hosts("two.example.net")

	// A new id whose policy can't be fetched: the old one holds, and is tried again
	// after five minutes, not before.
	w.sts.serve("mta-sts.example.net", nil)
	w.stsZone("3")
	w.clock.add(2 * time.Minute)
	hosts("two.example.net")
	asked := w.sts.count()
	w.clock.add(4 * time.Minute)
	hosts("two.example.net")
	if w.sts.count() != asked {
		t.Error("tried again before the pause was over")
	}
	w.clock.add(2 * time.Minute)
	hosts("two.example.net")
	if w.sts.count() != asked+1 {
		t.Errorf("tried %d times after the pause", w.sts.count()-asked)
	}
	if state, _ := w.policies.STS("example.net"); !strings.Contains(state.Error, "404") || state.Mode != "enforce" {
		t.Errorf("state %+v", state)
	}

	// The record and DNS itself may fail: until its end the policy holds, also after
	// a restart.
	w.dns.Fault("_mta-sts.example.net", dnstest.ServFail)
	w.clock.add(2 * time.Hour)
	hosts("two.example.net")
	w.dns.Fault("_mta-sts.example.net", dnstest.NXDomain)
	w.clock.add(2 * time.Hour)
	hosts("two.example.net")
	w.start()
	if p := w.domain("example.net"); p.Level != Secure {
		t.Fatalf("after a restart: %v", p)
	}
	w.settle("example.net")
	w.clock.add(9*day + 19*time.Hour)
	hosts("two.example.net")
	w.clock.add(2 * time.Hour)
	hosts("")
	if p := w.domain("example.net"); p.Level != May {
		t.Errorf("after its end: %v", p)
	}
}

// TestSTSRefresh: policies nobody asks for are fetched again before their end.
func TestSTSRefresh(t *testing.T) {
	w := newWorld(t)
	w.stsZone("1")
	w.sts.serve("mta-sts.example.net", text(stsText("enforce", 10*day, "mx1.example.net")))
	w.domain("example.net")
	turns := func(d time.Duration) {
		for range int(d / time.Hour) {
			w.clock.add(time.Hour)
			w.policies.refresh(t.Context())
		}
	}
	turns(6 * day)
	if n := w.sts.count(); n != 1 {
		t.Fatalf("fetched %d times while it was fresh", n)
	}
	turns(2 * day)
	state, _ := w.policies.STS("example.net")
	if n := w.sts.count(); n != 2 || state.Expires.Before(w.clock.Now().Add(8*day)) {
		t.Fatalf("fetched %d times, until %s", n, state.Expires)
	}
	w.sts.serve("mta-sts.example.net", nil)
	turns(8*day + 12*time.Hour)
	if p := w.domain("example.net"); p.Level != Secure || w.log.count("can't be fetched") < 3 {
		t.Errorf("while its server fails: %v", p)
	}
	turns(day)
	if state, _ := w.policies.STS("example.net"); state.Mode != "" || w.domain("example.net").Level != May {
		t.Errorf("it outlived its end: %+v", state)
	}
	w.sts.serve("mta-sts.example.net", text(stsText("enforce", 10*day, "mx1.example.net")))
	w.clock.add(2 * time.Hour)
	if p := w.domain("example.net"); p.Level != May && p.Level != Secure {
		t.Error(p)
	}
	w.settle("example.net")
	if p := w.domain("example.net"); p.Level != Secure {
		t.Errorf("its server is back: %v", p)
	}
}

// TestSTSWithoutRecord: who keeps the record from us doesn't end a policy whose server
// answers. Where that fails, too, it isn't silent.
func TestSTSWithoutRecord(t *testing.T) {
	for _, fault := range []dnstest.Fault{dnstest.ServFail, dnstest.NXDomain} {
		w := newWorld(t)
		w.stsZone("1")
		w.sts.serve("mta-sts.example.net", text(stsText("enforce", 10*day, "mx1.example.net")))
		turns := func(days int, want Level) {
			t.Helper()
			for range days * 12 {
				w.clock.add(2 * time.Hour)
				w.policies.refresh(t.Context())
				w.domain("example.net")
				w.settle("example.net")
			}
			if p := w.domain("example.net"); p.Level != want {
				t.Fatalf("%v after %d days, want %s", p, days, want)
			}
		}
		w.domain("example.net")
		w.dns.Fault("_mta-sts.example.net", fault)
		turns(11, Secure)
		if n := w.sts.count(); n != 2 || w.log.count("record can't be had") != 1 {
			t.Errorf("fetched %d times, warned %d times", n, w.log.count("record can't be had"))
		}
		if state, _ := w.policies.STS("example.net"); state.Error == "" || state.ID != "1" {
			t.Errorf("state %+v", state)
		}
		w.sts.serve("mta-sts.example.net", nil)
		turns(11, May)
		if n := w.log.count("ended and could not be refreshed"); n != 1 || w.log.count("can't be fetched") == 0 {
			t.Errorf("its end was told %d times", n)
		}
	}
}

// TestSTSSingleFlight: of many who ask for a domain nothing is known of, one
// fetches; and nobody waits for a slow server for longer than a look-up may take.
func TestSTSSingleFlight(t *testing.T) {
	w := newWorld(t)
	w.stsZone("1")
	begun, release := make(chan bool, 100), make(chan bool)
	w.sts.serve("mta-sts.example.net", func(rw http.ResponseWriter, r *http.Request) {
		begun <- true
		<-release
		text(stsText("enforce", day, "mx1.example.net"))(rw, r)
	})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if p := w.domain("example.net"); p.Level != Secure {
				t.Errorf("policy %v", p)
			}
		})
	}
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if p, err := w.policies.Lookup(ctx, Destination{Domain: "example.net"}); err != nil && !errors.Is(err, ErrUnsettled) || p.Level > May {
		t.Errorf("one who can't wait: %v, %v", p, err)
	}
	if w.policies.sts.entry("example.net") != nil {
		t.Error("one who can't wait decides for all")
	}
	close(release)
	all.Wait()
	if n := w.sts.count(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

// TestSTSPatience: a server that is too slow for a look-up is not waited for again
// while its check goes on.
func TestSTSPatience(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCold)
	if p := w.policies.sts.wait(ctx, "example.net", nil); p != nil {
		t.Errorf("policy %v", p)
	}
	if p, known := w.policies.sts.warm("example.net", w.view.Load().DNS, w.clock.Now()); p != nil || !known {
		t.Errorf("policy %v, known %v", p, known)
	}
}

// TestSTSRetry: a failure is tried again after its pause, however long DNS's answer
// holds.
func TestSTSRetry(t *testing.T) {
	w := newWorld(t)
	w.zone("example.net", false, "mta-sts A 127.0.0.1", `_mta-sts 3600 TXT "v=STSv1; id=1"`)
	if p := w.domain("example.net"); p.Level != May {
		t.Fatal(p)
	}
	asked := make(chan bool, 1)
	w.sts.serve("mta-sts.example.net", func(rw http.ResponseWriter, r *http.Request) {
		asked <- true
		text(stsText("enforce", day, "mx1.example.net"))(rw, r)
	})
	w.clock.add(4 * time.Minute)
	w.domain("example.net")
	w.clock.add(2 * time.Minute)
	if n := w.sts.count(); n != 1 {
		t.Errorf("tried %d times in the pause", n)
	}
	w.domain("example.net")
	select {
	case <-asked:
	case <-time.After(anyTime):
		t.Fatal("not tried again")
	}
	w.settle("example.net")
	if p := w.domain("example.net"); p.Level != Secure {
		t.Errorf("after the pause: %v", p)
	}
}

func TestDANEBeforeSTS(t *testing.T) {
	w := newWorld(t)
	w.zone("example.net", true, "@ MX 10 mx1", "@ MX 20 bare", "mx1 A 127.0.0.1", "bare A 127.0.0.1", "mta-sts A 127.0.0.1",
		"_25._tcp.mx1 TLSA 3 1 1 "+digest, `_mta-sts TXT "v=STSv1; id=1"`, "odd MX 10 oddmx", "oddmx A 127.0.0.1",
		"_25._tcp.oddmx TLSA 1 1 1 "+digest)
	w.sts.serve("mta-sts.example.net", text(stsText("enforce", day, "bare.example.net")))
	for _, c := range []struct {
		host   mail.Domain
		level  Level
		source Source
	}{
		{"mx1.example.net", DANEOnly, FromDANE},
		{"bare.example.net", Secure, FromMTASTS},
		{"oddmx.example.net", Secure, FromMTASTS}, // records that authenticate nobody
		{"", DANEOnly, FromDANE},                  // not dane, by which Postfix would give mail to the other host in the clear
	} {
		p := w.lookup(Destination{Domain: "example.net", Host: c.host})
		if p.Level != c.level || p.Source != c.source {
			t.Errorf("%q: %v, want %s from %s", c.host, p, c.level, c.source)
		}
	}
	w.dns.Fault("_25._tcp.mx1.example.net", dnstest.Bogus)
	w.clock.add(time.Hour)
	if p, err := w.policies.Lookup(t.Context(), Destination{Domain: "example.net", Host: "mx1.example.net"}); !errors.Is(err, ErrUnsettled) {
		t.Errorf("MTA-STS must not stand in for DANE that fails: %v, %v", p, err)
	}
}

func TestSTSHandshake(t *testing.T) {
	w := newWorld(t)
	w.stsZone("1")
	w.sts.serve("mta-sts.example.net", text(stsText("enforce", day, "*.example.net")))
	p := w.domain("example.net")
	w.sts.serve("mta-sts.example.org", text(stsText("testing", day, "*.example.net")))
	w.zone("example.org", false, "mta-sts A 127.0.0.1", `_mta-sts TXT "v=STSv1; id=1"`)
	testing := w.domain("example.org")
	ca := newAuthority(t)
	for _, c := range []struct {
		host, cert string
		want       error
	}{
		{"mx1.example.net", "mx1.example.net", nil},
		{"mx1.example.net", "*.example.net", nil},
		{"mx1.example.net", "mx2.example.net", ErrName},
		{"mx1.in.example.net", "mx1.in.example.net", ErrHost},
		{"mx.example.com", "mx.example.com", ErrHost},
	} {
		server := oldGateway{cert: ca.leaf(t, c.cert)}.serve(t)
		config := p.TLSConfig(c.host)
		config.RootCAs = ca.pool
		if _, err := exchange(t, server, config); !errors.Is(err, c.want) {
			t.Errorf("%s with the certificate of %s: %v", c.host, c.cert, err)
		}
		state, err := exchange(t, server, testing.TLSConfig(c.host))
		if err != nil {
			t.Fatalf("testing mode: %v", err)
		}
		if err := testing.Tested(mail.Domain(c.host), &state, ca.pool); !errors.Is(err, c.want) {
			t.Errorf("%s with the certificate of %s, testing mode: %v", c.host, c.cert, err)
		}
	}
	if err := testing.Tested("mx1.example.net", (*tls.ConnectionState)(nil), nil); !errors.Is(err, ErrNoTLS) {
		t.Errorf("in the clear: %v", err)
	}
	if err := p.Tested("mx.example.com", nil, nil); err != nil {
		t.Errorf("not in testing mode: %v", err)
	}
}

func FuzzSTS(f *testing.F) {
	f.Add(stsText("enforce", day, "mx1.example.net", "*.example.net"))
	f.Add("version: STSv1\nmode: testing\nmx: a\nmax_age: 9999999999\n")
	f.Add("version: STSv1\nmode: none\nmax_age: 0")
	f.Add("mx: *.xn--bcher-kva.example\nversion: STSv1\r\nmode: enforce\nmax_age: 1 \nx: \xff\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseSTS(text)
		if err != nil {
			return
		}
		policy := p.policy()
		if policy.Level == 0 || policy.Level == Secure && len(policy.Hosts) == 0 {
			t.Errorf("%q gives %+v", text, policy)
		}
		for _, name := range policy.MatchNames {
			if strings.ContainsAny(name, " \t\r\n:,={}\"") {
				t.Errorf("%q gives the name %q", text, name)
			}
		}
		if p.maxAge < 0 || p.maxAge > maxSTSAge {
			t.Errorf("%q holds for %s", text, p.maxAge)
		}
		data, err := json.Marshal(stsNote{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		again, err := readSTSNote(data)
		if utf8.ValidString(text) && (err != nil || again.mode != p.mode || !slices.Equal(again.mx, p.mx)) {
			t.Errorf("%q isn't remembered: %v", text, err)
		}
	})
}
