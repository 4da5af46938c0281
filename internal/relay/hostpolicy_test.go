package relay

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
	"mailgate/internal/tlspolicy"
)

// choosy is a server's TLS that fails with clients that offer what it chokes on.
func choosy(cert *tls.Certificate, chokes func(*tls.ClientHelloInfo) bool) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{*cert}, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if chokes(hello) {
			return nil, errors.New("too much")
		}
		return nil, nil
	}}
}

func onTLS13(hello *tls.ClientHelloInfo) bool {
	return slices.Contains(hello.SupportedVersions, tls.VersionTLS13)
}

func onPostQuantum(hello *tls.ClientHelloInfo) bool {
	return slices.Contains(hello.SupportedCurves, tls.X25519MLKEM768)
}

func onAnything(*tls.ClientHelloInfo) bool { return true }

// Under may, and only there, a handshake is made once more with less, and what worked
// is remembered.
func TestLess(t *testing.T) {
	now := time.Now()
	cert, _ := certificate(t, "mx.dest.example", now.Add(-time.Hour), now.Add(time.Hour))
	for _, c := range []struct {
		name        string
		level       tlspolicy.Level
		chokes      func(*tls.ClientHelloInfo) bool
		tls         string // "no": not delivered
		learned     bool
		connections int
	}{
		{"TLS 1.3, may", tlspolicy.May, onTLS13, "TLSv1.2, not verified", true, 2},
		{"post-quantum, may", tlspolicy.May, onPostQuantum, "TLSv1.2, not verified", true, 2},
		{"anything, may", tlspolicy.May, onAnything, "", false, 3},
		{"nothing, may", tlspolicy.May, func(*tls.ClientHelloInfo) bool { return false }, "TLSv1.3, not verified", false, 1},
		{"TLS 1.3, encrypt", tlspolicy.Encrypt, onTLS13, "no", false, 1},
		{"post-quantum, secure", tlspolicy.Secure, onPostQuantum, "no", false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.hostPolicies["mx.dest.example"] = tlspolicy.Policy{Level: c.level}
			b := &box{cert: cert, tls: choosy(cert, c.chokes)}
			w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, b)
			m := w.queue(nil, "bob@dest.example")
			w.pass()
			if got := w.recipients(m)[0]; c.tls == "no" && got.State != spool.Queued || c.tls != "no" && (got.State != spool.Delivered || got.Delivery.TLS != c.tls) {
				t.Errorf("%s, %+v; want TLS %q", got.State, got.Delivery, c.tls)
			}
			if len(w.learned) == 1 != c.learned || c.learned && (w.learned[0].Host != "mx.dest.example" ||
				w.learned[0].MaxVersion != tlspolicy.TLS12 || w.learned[0].Curves != tlspolicy.Classic || w.learned[0].Why == "") {
				t.Errorf("learned %+v", w.learned)
			}
			if n, _ := b.count(); n != c.connections {
				t.Errorf("%d connections, want %d", n, c.connections)
			}
		})
	}
}

// A server that refuses STARTTLS once, for whatever reason, isn't one whose handshakes
// need less.
func TestRefusedSTARTTLSTeachesNothing(t *testing.T) {
	now := time.Now()
	cert, _ := certificate(t, "mx.dest.example", now.Add(-time.Hour), now.Add(time.Hour))
	w := newWorld(t)
	n := 0
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{cert: cert})
	b.answers(func(line string) string {
		if line == "STARTTLS" {
			if n++; n == 1 {
				return "454 4.7.0 TLS not available due to temporary reason"
			}
		}
		return ""
	})
	m := w.queue(nil, "bob@dest.example")
	w.pass()
	w.want(m, spool.Delivered, "250")
	if n, _ := b.count(); len(w.learned) != 0 || n != 2 {
		t.Errorf("learned %+v; %d connections", w.learned, n)
	}
}

// What is known already isn't tried twice.
func TestLessIsNotRepeated(t *testing.T) {
	o := opening{policy: tlspolicy.Policy{Level: tlspolicy.May, MaxVersion: tlspolicy.TLS12, Curves: tlspolicy.Classic}}
	if _, ok := o.less(); ok {
		t.Error("the same again")
	}
	o.policy = tlspolicy.Policy{Level: tlspolicy.May, MinVersion: tlspolicy.TLS13}
	if _, ok := o.less(); ok {
		t.Error("below the lowest version")
	}
}

// An MTA-STS policy says which hosts may be used: none other gets mail.
func TestAllowedHosts(t *testing.T) {
	now := time.Now()
	cert, roots := certificate(t, "mx2.dest.example", now.Add(-time.Hour), now.Add(time.Hour))
	w := newWorld(t)
	w.engine(roots)
	policy := tlspolicy.Policy{Level: tlspolicy.Secure, Hosts: []string{"mx3.dest.example"}, Source: tlspolicy.FromMTASTS,
		Origins: tlspolicy.Origins{MatchNames: tlspolicy.FromMTASTS}}
	w.hostPolicies["mx1.dest.example"], w.hostPolicies["mx2.dest.example"] = policy, policy
	rogue, ours := &box{cert: cert}, &box{cert: cert}
	w.server("dest.example", "mx1.dest.example", "203.0.113.5", 10, rogue)
	w.server("dest.example", "mx2.dest.example", "203.0.113.6", 20, ours)
	m := w.queue(nil, "bob@dest.example")
	w.pass()
	a, _ := rogue.count()
	b, _ := ours.count()
	if d := w.recipients(m)[0].Delivery; a+b != 0 || !strings.Contains(d.Answer, "doesn't allow its MX host") {
		t.Errorf("%d and %d connections, %+v", a, b, d)
	}
	policy.Hosts = []string{"mx2.dest.example"}
	w.hostPolicies["mx1.dest.example"], w.hostPolicies["mx2.dest.example"] = policy, policy
	w.advance(24 * time.Hour)
	w.pass()
	w.want(m, spool.Delivered, "250")
	a, _ = rogue.count()
	if d := w.recipients(m)[0].Delivery; a != 0 || d.TLS != "TLSv1.3, verified" {
		t.Errorf("%d connections to the other, %+v", a, d)
	}
}

// TLSA records are kept to; while DNS doesn't tell whether there are some, mail waits.
func TestTLSA(t *testing.T) {
	now := time.Now()
	cert, _ := certificate(t, "mx.dest.example", now.Add(-time.Hour), now.Add(time.Hour))
	other, _ := certificate(t, "mx.dest.example", now.Add(-time.Hour), now.Add(time.Hour))
	for _, c := range []struct {
		name string
		tlsa *tls.Certificate
		err  error
		want string // part of the answer
		ok   bool
	}{
		{"matches", cert, nil, "250", true},
		{"doesn't match", other, nil, "TLSA", false},
		{"DNS doesn't tell", nil, fmt.Errorf("TLSA of mx.dest.example: SERVFAIL: %w", tlspolicy.ErrUnsettled), "SERVFAIL", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.policyErr = c.err
			if c.tlsa != nil {
				w.hostPolicies["mx.dest.example"] = tlspolicy.Policy{Level: tlspolicy.DANEOnly, Source: tlspolicy.FromDANE, TLSA: []tlspolicy.TLSA{keyRecord(t, c.tlsa)}}
			}
			b := &box{cert: cert}
			w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, b)
			m := w.queue(nil, "bob@dest.example")
			w.pass()
			r := w.recipients(m)[0]
			if !strings.Contains(r.Delivery.Answer, c.want) || (r.State == spool.Delivered) != c.ok || c.ok && r.Delivery.TLS != "TLSv1.3, verified" {
				t.Errorf("%s, %+v", r.State, r.Delivery)
			}
			if len(b.got()) > 0 != c.ok {
				t.Errorf("%d messages", len(b.got()))
			}
		})
	}
}

// keyRecord is "3 1 1" for a certificate.
func keyRecord(t *testing.T, cert *tls.Certificate) tlspolicy.TLSA {
	t.Helper()
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return tlspolicy.TLSA{Usage: 3, Selector: 1, MatchingType: 1, Data: sum[:]}
}

// Each session's TLS is told of once, as it was with everything.
func TestResults(t *testing.T) {
	now := time.Now()
	cert, roots := certificate(t, "mx.dest.example", now.Add(-time.Hour), now.Add(time.Hour))
	inTesting := tlspolicy.Policy{Level: tlspolicy.May, Testing: true, TestHosts: []string{"mx.dest.example"}}
	elsewhere := inTesting
	elsewhere.TestHosts = []string{"mx.else.example"}
	for _, c := range []struct {
		name   string
		policy tlspolicy.Policy
		box    *box
		want   string // part of the error; "": none
		none   bool   // nothing is told
	}{
		{"well", tlspolicy.Policy{Level: tlspolicy.Encrypt}, &box{cert: cert}, "", false},
		{"with less", tlspolicy.Policy{Level: tlspolicy.May}, &box{cert: cert, tls: choosy(cert, onTLS13)}, "handshake", false},
		{"in the clear", tlspolicy.Policy{Level: tlspolicy.May}, &box{}, "no STARTTLS", false},
		{"testing, well", inTesting, &box{cert: cert}, "", false},
		{"testing, another host", elsewhere, &box{cert: cert}, "mx.dest.example", false},
		{"testing, in the clear", inTesting, &box{}, "not secured", false},
		{"level none", tlspolicy.Policy{Level: tlspolicy.None}, &box{cert: cert}, "", true},
		{"closed at once", tlspolicy.Policy{Level: tlspolicy.May}, &box{answer: starting(map[string]string{"greeting": "close"})}, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.engine(roots)
			w.hostPolicies["mx.dest.example"] = c.policy
			w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, c.box)
			w.queue(nil, "bob@dest.example")
			w.pass()
			if c.none {
				if len(w.sessions) != 0 {
					t.Errorf("%+v", w.sessions)
				}
				return
			}
			if len(w.sessions) != 1 {
				t.Fatalf("%+v", w.sessions)
			}
			s := w.sessions[0]
			if s.Domain != "dest.example" || s.Host != "mx.dest.example" || s.Remote.String() != "203.0.113.5" {
				t.Errorf("%+v", s)
			}
			if (s.Err == nil) != (c.want == "") || s.Err != nil && !strings.Contains(s.Err.Error(), c.want) {
				t.Errorf("error %v, want %q", s.Err, c.want)
			}
		})
	}
}
