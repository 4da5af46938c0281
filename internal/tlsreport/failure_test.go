package tlsreport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mjl-/mox/tlsrpt"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// certificate is self-signed, and valid from an hour ago; end is from now.
func certificate(t *testing.T, name string, end time.Duration) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(end), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// shake is what a handshake comes to.
func shake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		if server == nil { // reads on: closed with bytes unread, it would be a reset
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			return
		}
		_ = tls.Server(c, server).Handshake()
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return tls.Client(c, client).Handshake()
}

const mx = "mx.example.net"

// Each handshake is a real one, by the policy's own rules.
func TestHandshakes(t *testing.T) {
	good, roots := certificate(t, mx, time.Hour)
	old, oldRoots := certificate(t, mx, -time.Hour)
	other, otherRoots := certificate(t, "mx.example.com", time.Hour)
	secure := tlspolicy.Policy{
		Level: tlspolicy.Secure, Source: tlspolicy.FromMTASTS, Hosts: []string{mx}, MatchNames: []string{mx},
		Origins: tlspolicy.Origins{MatchNames: tlspolicy.FromMTASTS},
	}
	elsewhere := secure
	elsewhere.Hosts = []string{"mx.example.org"}
	sum := sha256.Sum256(good.Leaf.RawSubjectPublicKeyInfo)
	pinned := tlspolicy.Policy{Level: tlspolicy.DANEOnly, Source: tlspolicy.FromDANE,
		TLSA: []tlspolicy.TLSA{{Usage: 3, Selector: 1, MatchingType: 1, Data: sum[:]}}}
	bare := pinned
	bare.TLSA = nil
	unusable := tlspolicy.Policy{Level: tlspolicy.Encrypt, Source: tlspolicy.FromDANE}
	may := tlspolicy.Policy{Level: tlspolicy.May, Source: tlspolicy.FromDefault}
	for _, c := range []struct {
		name   string
		policy tlspolicy.Policy
		server *tls.Config // nil: closes the connection
		roots  *x509.CertPool
		kind   tlsrpt.PolicyType
		domain string
		result tlsrpt.ResultType // empty: a success
		reason string
	}{
		{"well", secure, serving(good), roots, "sts", "example.net", "", ""},
		{"well by DANE", pinned, serving(good), nil, "tlsa", mx, "", ""},
		{"well at may", may, serving(old), nil, "no-policy-found", "example.net", "", ""},
		{"expired", secure, serving(old), oldRoots, "sts", "example.net", "certificate-expired", ""},
		{"not trusted", secure, serving(good), otherRoots, "sts", "example.net", "certificate-not-trusted", ""},
		{"another name", secure, serving(other), otherRoots, "sts", "example.net", "certificate-host-mismatch", ""},
		{"a host that the policy doesn't have", elsewhere, serving(good), roots, "sts", "example.net", "validation-failure", "mtasts-policy-mx-mismatch"},
		{"other key", pinned, serving(other), nil, "tlsa", mx, "validation-failure", "dane-no-match"},
		{"no records", bare, serving(good), nil, "no-policy-found", "example.net", "dane-required", ""},
		{"unusable records", unusable, serving(good), nil, "tlsa", mx, "tlsa-invalid", "all-unusable-records"},
		{"old versions only", may, &tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, nil,
			"no-policy-found", "example.net", "validation-failure", "tls-remote-alert-70-protocol-version-not-supported"},
		{"closed", may, nil, nil, "no-policy-found", "example.net", "validation-failure", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := c.policy.TLSConfig(mx)
			config.RootCAs = c.roots
			err := shake(t, c.server, config)
			if (err == nil) != (c.result == "" || c.name == "unusable records") {
				t.Fatalf("the handshake: %v", err)
			}
			s := Session{Domain: "example.net", Host: mx, Policy: c.policy, Err: err}
			check(t, s, tlspolicy.STSState{}, c.kind, c.domain, c.result, c.reason)
		})
	}
}

func serving(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }

func check(t *testing.T, s Session, sts tlspolicy.STSState, kind tlsrpt.PolicyType, domain string, result tlsrpt.ResultType, reason string) {
	t.Helper()
	p := s.policy(sts)
	if p.Type != kind || p.Domain != domain {
		t.Errorf("policy %+v, want %s %s", p, kind, domain)
	}
	f, bad := s.failure(p, sts)
	if bad != (result != "") || f.Type != result || f.Reason != reason {
		t.Errorf("failure %+v of %v, want %s %q", f, s.Err, result, reason)
	}
}

// dns is what resolvers say; what isn't there doesn't exist, "!" is a SERVFAIL.
type dns map[string]string

func (d dns) Recursive(_ context.Context, name, qtype string) dnsview.Answer {
	a := dnsview.Answer{Name: name, Type: qtype, Status: dnsview.NoData, Authentic: true, Expires: time.Now().Add(time.Hour)}
	switch text := d[qtype+" "+strings.TrimSuffix(name, ".")]; text {
	case "":
	case "!":
		a.Status = dnsview.Unknown
	default:
		a.Status, a.Records = dnsview.Found, []dnsview.Record{{Text: text}}
	}
	return a
}

func policies(t *testing.T, o tlspolicy.Options, d dns) *tlspolicy.Policies {
	t.Helper()
	o.View = func() tlspolicy.View { return tlspolicy.View{DNS: d, Validating: true, STS: true} }
	o.Private = func() bool { return true }
	o.LookupTime = time.Hour // however slow the machine is
	p, err := tlspolicy.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// Whether there are TLSA records can't be told.
func TestUnsettled(t *testing.T) {
	p := policies(t, tlspolicy.Options{}, dns{
		"MX example.net": mx, "A " + mx: "198.51.100.7", "TLSA _25._tcp." + mx: "!",
	})
	policy, err := p.Lookup(t.Context(), tlspolicy.Destination{Domain: "example.net", Host: mx})
	if err == nil {
		t.Fatalf("%+v", policy)
	}
	check(t, Session{Domain: "example.net", Host: mx, Policy: policy, Err: err}, tlspolicy.STSState{}, "tlsa", mx, "dnssec-invalid", "")
}

// The domain has an MTA-STS record, and its policy can't be had.
func TestNoSTSPolicy(t *testing.T) {
	cert, roots := certificate(t, "mta-sts.example.net", time.Hour)
	_, strange := certificate(t, "mta-sts.example.net", time.Hour)
	for _, c := range []struct {
		name   string
		answer string // with 200; empty: 404
		roots  *x509.CertPool
		result tlsrpt.ResultType
		reason string
	}{
		{"not found", "", roots, "sts-policy-fetch-error", ""},
		{"no policy", "version: STSv1\nmode: maybe\n", roots, "sts-policy-invalid", ""},
		{"not trusted", "version: STSv1\nmode: none\nmax_age: 86400\n", strange, "sts-webpki-invalid", "certificate-not-trusted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.answer == "" {
					http.NotFound(w, r)
					return
				}
				w.Header().Set("Content-Type", "text/plain")
				fmt.Fprint(w, c.answer)
			}))
			server.TLS = serving(cert)
			server.StartTLS()
			t.Cleanup(server.Close)
			port := netip.MustParseAddrPort(server.Listener.Addr().String()).Port()
			p := policies(t, tlspolicy.Options{Roots: c.roots, Port: port}, dns{
				"MX example.net": mx, "TXT _mta-sts.example.net": "v=STSv1; id=1", "A mta-sts.example.net": "127.0.0.1",
			})
			policy, err := p.Lookup(t.Context(), tlspolicy.Destination{Domain: "example.net", Host: mx})
			if err != nil {
				t.Fatal(err)
			}
			sts, _ := p.STS("example.net")
			check(t, Session{Domain: "example.net", Host: mx, Policy: policy}, sts, "sts", "example.net", c.result, c.reason)
		})
	}
}

func TestOtherResults(t *testing.T) {
	tested := tlspolicy.Policy{Level: tlspolicy.May, Source: tlspolicy.FromDefault, Testing: true, TestHosts: []string{mx}}
	both := tested
	both.Level, both.Source, both.TLSA = tlspolicy.DANEOnly, tlspolicy.FromDANE, []tlspolicy.TLSA{{Usage: 3, Selector: 1, MatchingType: 1, Data: make([]byte, 32)}}
	for _, c := range []struct {
		name   string
		policy tlspolicy.Policy
		err    error
		heard  tlsrpt.FailureDetails
		kind   tlsrpt.PolicyType
		domain string
		result tlsrpt.ResultType
		reason string
	}{
		{"no STARTTLS", tlspolicy.Policy{Level: tlspolicy.May}, ErrNoSTARTTLS, tlsrpt.FailureDetails{}, "no-policy-found", "example.net", "starttls-not-supported", ""},
		{"STARTTLS refused", tlspolicy.Policy{Level: tlspolicy.May}, errAny, tlsrpt.FailureDetails{ResultType: tlsrpt.ResultSTARTTLSNotSupported, FailureReasonCode: "smtp-starttls-reply-code-454"},
			"no-policy-found", "example.net", "starttls-not-supported", "smtp-starttls-reply-code-454"},
		{"testing, in the clear", tested, tlspolicy.ErrNoTLS, tlsrpt.FailureDetails{}, "sts", "example.net", "starttls-not-supported", ""},
		{"DANE and testing: well", both, nil, tlsrpt.FailureDetails{}, "tlsa", mx, "", ""},
		{"DANE and testing: the test", both, tlspolicy.ErrName, tlsrpt.FailureDetails{}, "sts", "example.net", "certificate-host-mismatch", ""},
		{"DANE and testing: DANE", both, tlspolicy.ErrTLSAMismatch, tlsrpt.FailureDetails{}, "tlsa", mx, "validation-failure", "dane-no-match"},
		{"something else", tlspolicy.Policy{Level: tlspolicy.May}, errAny, tlsrpt.FailureDetails{}, "no-policy-found", "example.net", "validation-failure", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			check(t, Session{Domain: "example.net", Host: mx, Policy: c.policy, Err: c.err, Heard: c.heard}, tlspolicy.STSState{}, c.kind, c.domain, c.result, c.reason)
		})
	}
}

func TestPolicyStrings(t *testing.T) {
	s := well("example.net")
	s.Policy = tlspolicy.Policy{Level: tlspolicy.DANEOnly, Source: tlspolicy.FromDANE, TLSA: []tlspolicy.TLSA{
		{Usage: 3, Selector: 1, MatchingType: 1, Data: []byte{0x1f, 0x85}}, {Usage: 2, Selector: 0, MatchingType: 1, Data: []byte{0xab}},
	}}
	if p := s.policy(tlspolicy.STSState{}); !slices.Equal(p.String, []string{"2 0 1 ab", "3 1 1 1f85"}) {
		t.Errorf("%q", p.String)
	}
	s.Policy.ServerName, s.Policy.Origins.ServerName = "base.example.net", tlspolicy.FromDANE
	if p := s.policy(tlspolicy.STSState{}); p.Domain != "base.example.net" {
		t.Errorf("the TLSA base domain: %+v", p)
	}
	s.Policy = tlspolicy.Policy{Level: tlspolicy.Secure, Source: tlspolicy.FromMTASTS, Hosts: []string{"*.example.net"}}
	p := s.policy(tlspolicy.STSState{Text: "version: STSv1\r\n\r\nmode: enforce\nmx: *.example.net"})
	if !slices.Equal(p.String, []string{"version: STSv1", "mode: enforce", "mx: *.example.net"}) || !slices.Equal(p.MX, []string{"*.example.net"}) {
		t.Errorf("%+v", p)
	}
}

// What our own setting did isn't the domain's.
func TestNotCounted(t *testing.T) {
	w := newWorld(t)
	override := well("example.net")
	override.Policy = tlspolicy.Policy{Level: tlspolicy.Encrypt, Source: tlspolicy.FromOverride, Destination: "example.net"}
	versions := failed("example.net", errAny)
	versions.Policy.Destination = ".net"
	route := well("example.net")
	route.Policy.Source = tlspolicy.FromRoute
	for _, s := range []Session{override, versions, route} {
		w.reports.Session(s)
	}
	w.settings.Enabled = false
	w.reports.Session(well("example.net"))
	if list := w.reports.domains(day1); len(list) != 0 {
		t.Errorf("%v", list)
	}
	w.settings.Enabled = true
	override.Err = tlspolicy.ErrTLSA
	w.reports.Session(override)
	if list := w.reports.domains(day1); !slices.Equal(list, []mail.Domain{"example.net"}) {
		t.Errorf("DANE that we want and there is none: %v", list)
	}
}
