package tlsprobe

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/tlspolicy"
)

// spoken are the versions with which a handshake came about.
func spoken(h *Host) string {
	var list []string
	for _, v := range h.Versions {
		if v.Error == "" {
			list = append(list, v.Version.String())
		}
	}
	return strings.Join(list, " ")
}

func TestHost(t *testing.T) {
	ca := newAuthority(t)
	day := time.Now().Add(24 * time.Hour)
	good := ca.sign(t, "mx.example.net", day)
	config := func(c *tls.Config, cert ...tls.Certificate) *tls.Config {
		c.Certificates = append(c.Certificates, cert...)
		return c
	}
	rsaOnly := []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	for _, c := range []struct {
		name     string
		server   server
		policy   tlspolicy.Policy
		versions string
		named    string // beginning
		trusted  string // part
		works    bool
		words    string // part of the suggestion
		override *tlspolicy.Override
	}{
		{name: "all is well", server: server{tls: config(&tls.Config{}, good)}, policy: tlspolicy.Policy{Level: tlspolicy.Verify},
			versions: "1.2 1.3", named: "yes", trusted: "yes", works: true, words: "Nothing needs to be done"},
		{name: "TLS 1.3 only", server: server{tls: config(&tls.Config{MinVersion: tls.VersionTLS13}, good)},
			versions: "1.3", named: "yes", trusted: "yes", works: true, words: "Nothing needs to be done"},
		{name: "TLS 1.0 only", server: server{tls: config(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10, CipherSuites: rsaOnly}, good)},
			policy: tlspolicy.Policy{Level: tlspolicy.Encrypt}, versions: "1.0", named: "yes", trusted: "yes", words: "nothing newer than TLS 1.0",
			override: &tlspolicy.Override{Destination: "example.net", Level: tlspolicy.Encrypt, MinVersion: tlspolicy.TLS10, MaxVersion: tlspolicy.TLS10,
				Ciphers: []string{"TLS_RSA_WITH_AES_128_CBC_SHA"}}},
		{name: "chokes on a long ClientHello", server: server{maxHello: 512, tls: config(&tls.Config{}, good)},
			policy: tlspolicy.Policy{Level: tlspolicy.Encrypt}, versions: "1.2", named: "yes", trusted: "yes", words: "works with less: no post-quantum key share",
			override: &tlspolicy.Override{Destination: "example.net", Level: tlspolicy.Encrypt, Curves: tlspolicy.Classic}},
		{name: "no shared cipher", server: server{tls: config(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: rsaOnly}, good)},
			policy: tlspolicy.Policy{Level: tlspolicy.Encrypt}, versions: "1.2", named: "yes", trusted: "yes", words: "old cipher suites too",
			override: &tlspolicy.Override{Destination: "example.net", Level: tlspolicy.Encrypt, MaxVersion: tlspolicy.TLS12, Curves: tlspolicy.Classic,
				Ciphers: []string{"TLS_RSA_WITH_AES_128_CBC_SHA"}}},
		{name: "self-signed, may", server: server{tls: config(&tls.Config{}, newAuthority(t).sign(t, "mx.example.net", day))},
			versions: "1.2 1.3", named: "yes", trusted: "unknown authority", works: true, words: "Nothing needs to be done"},
		{name: "self-signed, verify", server: server{tls: config(&tls.Config{}, newAuthority(t).sign(t, "mx.example.net", day))},
			policy: tlspolicy.Policy{Level: tlspolicy.Verify}, versions: "1.2 1.3", named: "yes", trusted: "unknown authority", words: "not as the policy verify demands"},
		{name: "expired", server: server{tls: config(&tls.Config{}, ca.sign(t, "mx.example.net", time.Now().Add(-time.Minute)))},
			policy: tlspolicy.Policy{Level: tlspolicy.Verify}, versions: "1.2 1.3", named: "yes", trusted: "expired", words: "has to mend the certificate"},
		{name: "wrong name", server: server{tls: config(&tls.Config{}, ca.sign(t, "other.example.net", day))},
			policy: tlspolicy.Policy{Level: tlspolicy.Verify}, versions: "1.2 1.3", named: "it is for other.example.net", trusted: "yes", words: "not as the policy verify demands"},
		{name: "no STARTTLS, may", works: true, words: "in the clear"},
		{name: "no STARTTLS, encrypt", policy: tlspolicy.Policy{Level: tlspolicy.Encrypt}, words: "strips STARTTLS"},
		{name: "none, and it could", server: server{tls: config(&tls.Config{}, good)}, policy: tlspolicy.Policy{Level: tlspolicy.None},
			versions: "1.2 1.3", named: "yes", trusted: "yes", works: true, words: "isn't needed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.policy.Level == 0 {
				c.policy.Level = tlspolicy.May
			}
			h := Prober{Roots: ca.roots(), Timeout: patience}.Host(t.Context(), Target{Name: "mx.example.net", Address: c.server.start(t), Policy: c.policy})
			if h.Error != "" || h.Greeting != "220 mx.example.net ESMTP old and proven" || h.StartTLS != (c.server.tls != nil) {
				t.Fatalf("error %q, greeting %q, STARTTLS %v", h.Error, h.Greeting, h.StartTLS)
			}
			if got := spoken(h); got != c.versions {
				t.Errorf("versions %q, want %q: %+v", got, c.versions, h.Versions)
			}
			if h.Named != c.named || !strings.Contains(h.Trusted, c.trusted) {
				t.Errorf("named %q, trusted %q", h.Named, h.Trusted)
			}
			if h.Works() != c.works {
				t.Errorf("works: %v", h.Works())
			}
			s := Suggest("example.net", []*Host{h})
			if !strings.Contains(s.Words, c.words) || !sameOverride(s.Override, c.override) {
				t.Errorf("suggestion %q, %+v", s.Words, s.Override)
			}
		})
	}
}

func sameOverride(a, b *tlspolicy.Override) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Destination == b.Destination && a.Level == b.Level && a.MinVersion == b.MinVersion && a.MaxVersion == b.MaxVersion &&
		a.Curves == b.Curves && slices.Equal(a.Ciphers, b.Ciphers)
}

// What the domain demands is held against what the host shows, record by record.
func TestDemands(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.sign(t, "mx.example.net", time.Now().Add(time.Hour))
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	secure := server{tls: &tls.Config{Certificates: []tls.Certificate{cert}}}
	dane := tlspolicy.Policy{Level: tlspolicy.DANEOnly, Source: tlspolicy.FromDANE, TLSA: []tlspolicy.TLSA{
		{Usage: 3, Selector: 1, MatchingType: 1, Data: make([]byte, 32)}, {Usage: 3, Selector: 1, MatchingType: 1, Data: sum[:]},
	}}
	enforce := func(mx string) tlspolicy.Policy {
		return tlspolicy.Policy{Level: tlspolicy.Secure, Source: tlspolicy.FromMTASTS, Hosts: []string{mx}, Origins: tlspolicy.Origins{MatchNames: tlspolicy.FromMTASTS}}
	}
	testing := tlspolicy.Policy{Level: tlspolicy.May, Testing: true, TestHosts: []string{"mx.example.net"}}
	for _, c := range []struct {
		name   string
		server server
		policy tlspolicy.Policy
		fits   string
		sts    string // mode and part of the problem
	}{
		{"TLSA", secure, dane, "[false true]", ""},
		{"TLSA, stripped", server{}, dane, "[false false]", ""},
		{"enforce", secure, enforce("mx.example.net"), "[]", "enforce "},
		{"enforce, another host", secure, enforce("mx2.example.net"), "[]", "enforce not in the MTA-STS policy"},
		{"enforce, stripped", server{}, enforce("mx.example.net"), "[]", "enforce not secured"},
		{"testing", secure, testing, "[]", "testing "},
		{"nothing", secure, tlspolicy.Policy{Level: tlspolicy.May}, "[]", ""},
	} {
		h := Prober{Roots: ca.roots(), Timeout: patience}.Host(t.Context(), Target{Name: "mx.example.net", Address: c.server.start(t), Policy: c.policy})
		fits := []bool{}
		for _, r := range h.TLSA {
			fits = append(fits, r.Fits)
		}
		if got := fmt.Sprint(fits); got != c.fits {
			t.Errorf("%s: fits %s, want %s", c.name, got, c.fits)
		}
		mode, problem, _ := strings.Cut(c.sts, " ")
		if (h.STS == nil) != (mode == "") || h.STS != nil && (h.STS.Mode != mode || (h.STS.Problem == "") != (problem == "") || !strings.Contains(h.STS.Problem, problem)) {
			t.Errorf("%s: %+v, want %q", c.name, h.STS, c.sts)
		}
	}
}

// The suggested override is one that makes the connection work.
func TestSuggestionWorks(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.sign(t, "mx.example.net", time.Now().Add(time.Hour))
	at := server{maxHello: 512, tls: &tls.Config{Certificates: []tls.Certificate{cert}}}.start(t)
	target := Target{Name: "mx.example.net", Address: at, Policy: tlspolicy.Policy{Level: tlspolicy.Encrypt}}
	p := Prober{Roots: ca.roots(), Timeout: patience}
	before := p.Host(t.Context(), target)
	s := Suggest("example.net", []*Host{before})
	if before.Works() || s.Override == nil {
		t.Fatalf("before: works %v, %+v", before.Works(), s)
	}
	table, err := tlspolicy.NewTable([]tlspolicy.Override{*s.Override}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if target.Policy, err = table.Lookup(t.Context(), tlspolicy.Destination{Domain: "example.net"}); err != nil {
		t.Fatal(err)
	}
	if after := p.Host(t.Context(), target); !after.Works() {
		t.Errorf("after: %+v", after.ByPolicy)
	}
}

// Where an override asks for more than the server can do, its administrator isn't the
// one to blame.
func TestSuggestionOfAnOverride(t *testing.T) {
	for _, c := range []struct {
		name      string
		policy    tlspolicy.Policy
		want, not string
	}{
		{"a version", tlspolicy.Policy{Level: tlspolicy.Encrypt, MinVersion: tlspolicy.TLS13, Source: tlspolicy.FromOverride, Destination: "example.net",
			Origins: tlspolicy.Origins{Versions: tlspolicy.FromOverride}}, "with the override for example.net: change it, remove it", "has to mend"},
		{"a version over MTA-STS", tlspolicy.Policy{Level: tlspolicy.Secure, MinVersion: tlspolicy.TLS13, Source: tlspolicy.FromMTASTS, Destination: ".net",
			Origins: tlspolicy.Origins{Versions: tlspolicy.FromOverride}}, "with the override for .net", "has to mend"},
		{"MTA-STS, raised over the override", tlspolicy.Policy{Level: tlspolicy.Secure, Source: tlspolicy.FromMTASTS, Destination: "example.net"},
			"has to mend the certificate", "the override"},
		{"DANE", tlspolicy.Policy{Level: tlspolicy.DANEOnly, Source: tlspolicy.FromDANE}, "has to mend the certificate", "the override"},
	} {
		h := &Host{Name: "mx.example.net", Policy: c.policy, StartTLS: true, Plain: &Handshake{}, ByPolicy: &Handshake{Error: "protocol version not supported"}}
		if s := Suggest("example.net", []*Host{h}); !strings.Contains(s.Words, c.want) || strings.Contains(s.Words, c.not) || s.Override != nil {
			t.Errorf("%s: %q", c.name, s.Words)
		}
	}
}

// At port 465 TLS comes first.
func TestImplicit(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.sign(t, "mx.example.net", time.Now().Add(time.Hour))
	at := server{implicit: true, tls: &tls.Config{Certificates: []tls.Certificate{cert}}}.start(t)
	p := Prober{Roots: ca.roots(), Timeout: patience, Dial: func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
		return inAnyTime(ctx, at)
	}}
	target := Target{Name: "mx.example.net", Address: netip.AddrPortFrom(at.Addr(), submissionsPort), Policy: tlspolicy.Policy{Level: tlspolicy.Verify}}
	if h := p.Host(t.Context(), target); !h.StartTLS || !h.Works() || h.Greeting != "" || spoken(h) != "1.2 1.3" {
		t.Errorf("%+v", h)
	}
	target.Address = at
	p.Timeout = 200 * time.Millisecond
	if h := p.Host(t.Context(), target); !strings.Contains(h.Error, "greeting") {
		t.Errorf("at another port: %q", h.Error)
	}
}

func TestTranscript(t *testing.T) {
	cert := newAuthority(t).sign(t, "mx.example.net", time.Now().Add(time.Hour))
	for _, c := range []struct {
		name   string
		server server
		want   string
	}{
		{"reset", server{maxHello: 512, tls: &tls.Config{Certificates: []tls.Certificate{cert}}}, "-> ClientHello, N bytes|<- the connection was reset"},
		{"alert", server{tls: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}},
			"-> ClientHello, N bytes|<- alert protocol_version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := Prober{Timeout: patience}.Host(t.Context(), Target{Name: "mx.example.net", Address: c.server.start(t), Policy: tlspolicy.Policy{Level: tlspolicy.May}})
			if h.Plain.OK() || len(h.Plain.Transcript) < 2 {
				t.Fatalf("plain: %+v", h.Plain)
			}
			lines := h.Plain.Transcript[:2]
			words := strings.Fields(lines[0])
			words[2] = "N"
			if got := strings.Join(words, " ") + "|" + lines[1]; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestNoConversation(t *testing.T) {
	cert := newAuthority(t).sign(t, "mx.example.net", time.Now().Add(time.Hour))
	closed := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 1)
	for _, c := range []struct {
		name   string
		at     netip.AddrPort
		prober Prober
		want   string
	}{
		{"nobody there", closed, Prober{Timeout: patience}, "connect: "},
		{"nothing said", server{silent: true}.start(t), Prober{Timeout: 200 * time.Millisecond, Dial: inAnyTime}, "greeting: "},
		{"injection", server{injects: true, tls: &tls.Config{Certificates: []tls.Certificate{cert}}}.start(t), Prober{Timeout: patience}, "injecting answers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := c.prober.Host(t.Context(), Target{Name: "mx.example.net", Address: c.at, Policy: tlspolicy.Policy{Level: tlspolicy.May}})
			if !strings.Contains(h.Error, c.want) || h.Works() {
				t.Errorf("error %q, works %v", h.Error, h.Works())
			}
			if s := Suggest("example.net", []*Host{h}); s.Override != nil || !strings.Contains(s.Words, "nothing is known") {
				t.Errorf("suggestion %+v", s)
			}
		})
	}
}

// A server that limits connections ends some before TLS: what the others found holds.
func TestRateLimited(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.sign(t, "mx.example.net", time.Now().Add(time.Hour))
	at := server{tls: &tls.Config{Certificates: []tls.Certificate{cert}}}.start(t)
	full := server{full: true}.start(t)
	for _, c := range []struct {
		taken    int // connections
		known    bool
		works    bool
		versions string
		words    string
	}{
		{taken: 0, words: "nothing is known"},
		{taken: 1, words: "isn't known whether it works as the policy verify demands"},
		{taken: 2, known: true, works: true, words: "Nothing needs to be done"},
		{taken: 5, known: true, works: true, versions: "1.2", words: "Nothing needs to be done"},
		{taken: 6, known: true, works: true, versions: "1.2 1.3", words: "Nothing needs to be done"},
	} {
		made := 0
		p := Prober{Roots: ca.roots(), Timeout: patience, Dial: func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
			to := at
			if made++; made > c.taken {
				to = full
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp", to.String())
		}}
		h := p.Host(t.Context(), Target{Name: "mx.example.net", Address: at, Policy: tlspolicy.Policy{Level: tlspolicy.Verify}})
		if (h.Error != "") != (c.taken == 0) || h.Plain.OK() != (c.taken > 0) || h.Known() != c.known || h.Works() != c.works || spoken(h) != c.versions {
			t.Errorf("%d taken: error %q, plain %+v, known %v, works %v, versions %q", c.taken, h.Error, h.Plain, h.Known(), h.Works(), spoken(h))
		}
		if c.taken > 0 && (!h.StartTLS || h.Named != "yes" || !strings.HasPrefix(h.Greeting, "220 ")) {
			t.Errorf("%d taken: %+v", c.taken, h)
		}
		if s := Suggest("example.net", []*Host{h}); s.Override != nil || !strings.Contains(s.Words, c.words) {
			t.Errorf("%d taken: suggestion %+v", c.taken, s)
		}
	}
}

// Records are told apart however they are cut.
func TestRecordsCut(t *testing.T) {
	stream := []byte("\x16\x03\x01\x00\x04\x01\x00\x00\x00" + "\x14\x03\x03\x00\x01\x01" + "\x16\x03\x03\x00\x02ab" + "\x15\x03\x03\x00\x02\x02\x28" + "\x16\x03\x01\x00\x00")
	want := "ClientHello, 4 bytes|ChangeCipherSpec|encrypted, 2 bytes|alert handshake_failure|encrypted, 0 bytes"
	for size := 1; size <= len(stream); size++ {
		var r records
		var got []string
		for part := range slices.Chunk(stream, size) {
			got = append(got, r.add(part)...)
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("cut at %d: %q, want %q", size, s, want)
		}
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\x04\x01\x00\x00\x00"), 1)
	f.Add([]byte("220 mx.example.net\r\n"), 3)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		if size < 1 {
			return
		}
		var whole, cut records
		want := whole.add(stream)
		var got []string
		for part := range slices.Chunk(stream, size) {
			got = append(got, cut.add(part)...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("cut at %d: %q, whole: %q", size, got, want)
		}
	})
}
