package relay

import (
	"cmp"
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
	"mailgate/internal/tlspolicy"
)

// What a server's TLS is worth, for each level: never less than the policy demands.
func TestTLS(t *testing.T) {
	now := time.Now()
	good, goodRoots := certificate(t, "mx.dest.example", now.Add(-time.Hour), now.Add(time.Hour))
	old, oldRoots := certificate(t, "mx.dest.example", now.Add(-2*time.Hour), now.Add(-time.Hour))
	wrong, wrongRoots := certificate(t, "else.example", now.Add(-time.Hour), now.Add(time.Hour))
	const plain, verified, encrypted, no = "", "TLSv1.3, verified", "TLSv1.3, not verified", "no"
	levels := []tlspolicy.Level{tlspolicy.None, tlspolicy.May, tlspolicy.Encrypt, tlspolicy.Verify, tlspolicy.Secure, tlspolicy.DANE, tlspolicy.DANEOnly}
	for name, c := range map[string]struct {
		box   *box
		roots *x509.CertPool
		want  []string
	}{
		"good":        {&box{cert: good}, goodRoots, []string{plain, encrypted, encrypted, verified, verified, no, no}},
		"self-signed": {&box{cert: good}, nil, []string{plain, encrypted, encrypted, no, no, no, no}},
		"expired":     {&box{cert: old}, oldRoots, []string{plain, encrypted, encrypted, no, no, no, no}},
		"wrong name":  {&box{cert: wrong}, wrongRoots, []string{plain, encrypted, encrypted, no, no, no, no}},
		"stripped":    {&box{}, goodRoots, []string{plain, plain, no, no, no, no, no}},
		"broken": {&box{cert: good, answer: starting(map[string]string{"STARTTLS": "454 4.7.0 not available"})}, goodRoots,
			[]string{plain, plain, no, no, no, no, no}},
		"injected": {&box{cert: good, answer: starting(map[string]string{"STARTTLS": "220 go on\r\n250 and this"})}, goodRoots,
			[]string{plain, plain, no, no, no, no, no}},
	} {
		for i, level := range levels {
			t.Run(name+" "+level.String(), func(t *testing.T) {
				w := newWorld(t)
				w.engine(c.roots)
				if c.roots == nil {
					w.engine(x509.NewCertPool())
				}
				override := tlspolicy.Override{Destination: "dest.example", Level: level, Reason: "test"}
				if level == tlspolicy.Verify || level == tlspolicy.Secure {
					override.MatchNames = []string{"mx.dest.example"}
				}
				w.policies(override)
				b := &box{cert: c.box.cert, answer: c.box.answer}
				w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, b)
				m := w.queue(nil, "bob@dest.example")
				w.pass()
				d := w.recipients(m)[0].Delivery
				if c.want[i] == no {
					w.want(m, spool.Queued, "")
					dane := level == tlspolicy.DANE || level == tlspolicy.DANEOnly
					if len(b.got()) != 0 || d.Answer == "" || dane != strings.Contains(d.Answer, "dns.validating") {
						t.Errorf("%+v; %d messages", d, len(b.got()))
					}
					return
				}
				w.want(m, spool.Delivered, "250")
				if d.TLS != c.want[i] || len(b.got()) != 1 || b.got()[0].tls != (c.want[i] != "") {
					t.Errorf("%q, want %q", d.TLS, c.want[i])
				}
			})
		}
	}
}

// A route's level holds where no override does, and never undercuts one. A password
// isn't sent in the clear.
func TestRouteLevel(t *testing.T) {
	away, here := addr("203.0.113.9"), addr("127.0.0.1")
	byDefault := func(l tlspolicy.Level) tlspolicy.Policy {
		return tlspolicy.Policy{Level: l, Source: tlspolicy.FromDefault}
	}
	override := func(l tlspolicy.Level) tlspolicy.Policy {
		return tlspolicy.Policy{Level: l, Source: tlspolicy.FromOverride}
	}
	for _, c := range []struct {
		route  Route
		policy tlspolicy.Policy
		at     netip.Addr
		want   tlspolicy.Level
	}{
		{Route{}, byDefault(tlspolicy.May), away, tlspolicy.May},
		{Route{TLS: tlspolicy.None}, byDefault(tlspolicy.May), away, tlspolicy.None},
		{Route{TLS: tlspolicy.None}, override(tlspolicy.Encrypt), away, tlspolicy.Encrypt},
		{Route{TLS: tlspolicy.Secure}, override(tlspolicy.Encrypt), away, tlspolicy.Secure},
		{Route{User: "u"}, byDefault(tlspolicy.May), away, tlspolicy.Verify},
		{Route{User: "u"}, override(tlspolicy.Encrypt), away, tlspolicy.Verify},
		{Route{User: "u"}, override(tlspolicy.Secure), away, tlspolicy.Secure},
		{Route{User: "u"}, override(tlspolicy.DANE), away, tlspolicy.DANE},
		{Route{TLS: tlspolicy.Verify}, override(tlspolicy.DANE), away, tlspolicy.DANE},
		{Route{TLS: tlspolicy.DANEOnly}, override(tlspolicy.DANE), away, tlspolicy.DANEOnly},
		{Route{TLS: tlspolicy.Verify}, override(tlspolicy.DANEOnly), away, tlspolicy.DANEOnly},
		{Route{User: "u", TLS: tlspolicy.Encrypt}, override(tlspolicy.DANE), away, tlspolicy.DANE},
		{Route{User: "u"}, override(tlspolicy.DANEOnly), away, tlspolicy.DANEOnly},
		{Route{User: "u", TLS: tlspolicy.Encrypt}, byDefault(tlspolicy.May), away, tlspolicy.Encrypt},
		{Route{User: "u", TLS: tlspolicy.May}, override(tlspolicy.None), away, tlspolicy.Encrypt},
		{Route{User: "u", TLS: tlspolicy.None}, byDefault(tlspolicy.May), away, tlspolicy.Encrypt},
		{Route{User: "u"}, byDefault(tlspolicy.May), here, tlspolicy.May},
		{Route{User: "u", TLS: tlspolicy.Verify}, byDefault(tlspolicy.May), away, tlspolicy.Verify},
	} {
		c.route.Via = "smart.example:587"
		got := c.route.secured(c.policy, c.at)
		if got.Level != c.want {
			t.Errorf("%+v with %+v: %s, want %s", c.route, c.policy, got.Level, c.want)
		}
		if got.Level == tlspolicy.Secure && strings.Join(got.MatchNames, "") != "smart.example" {
			t.Errorf("names %v", got.MatchNames)
		}
	}
}

func TestAuth(t *testing.T) {
	now := time.Now()
	cert, roots := certificate(t, "smart.example", now.Add(-time.Hour), now.Add(time.Hour))
	expired, expiredRoots := certificate(t, "smart.example", now.Add(-2*time.Hour), now.Add(-time.Hour))
	named, namedRoots := certificate(t, "else.example", now.Add(-time.Hour), now.Add(time.Hour))
	none := x509.NewCertPool()
	extensions := []string{"STARTTLS", "8BITMIME", "AUTH LOGIN PLAIN"}
	const mend = `; no password is sent to it. Have it show a certificate for smart.example that this machine trusts, or set tls = "encrypt" in the [[route]]`
	for name, c := range map[string]struct {
		box   *box
		roots *x509.CertPool
		via   string // empty: smart.example:587
		tls   tlspolicy.Level
		auth  bool   // is the password sent?
		fails string // in the answer; empty: it is delivered
	}{
		"trusted":               {box: &box{cert: cert}, roots: roots, auth: true},
		"trusted, implicit":     {box: &box{cert: cert, implicit: true}, roots: roots, via: "smart.example:465", auth: true},
		"refused":               {box: &box{cert: cert, answer: starting(map[string]string{"AUTH": "535 5.7.8 no"})}, roots: roots, auth: true, fails: "5.7.8 no"},
		"self-signed":           {box: &box{cert: cert}, roots: none, fails: "signed by unknown authority" + mend},
		"self-signed, implicit": {box: &box{cert: cert, implicit: true}, roots: none, via: "smart.example:465", fails: "signed by unknown authority" + mend},
		"expired":               {box: &box{cert: expired}, roots: expiredRoots, fails: "expired"},
		"another name":          {box: &box{cert: named}, roots: namedRoots, fails: "certificate is for else.example, not for smart.example" + mend},
		"by address":            {box: &box{cert: cert}, roots: roots, via: "203.0.113.9:587", fails: "not for 203.0.113.9"},
		"encrypt is enough":     {box: &box{cert: named}, roots: none, tls: tlspolicy.Encrypt, auth: true},
		"may isn't":             {box: &box{answer: starting(map[string]string{"STARTTLS": "502 5.5.1 no"})}, tls: tlspolicy.May, fails: "502"},
		"no TLS":                {box: &box{answer: starting(map[string]string{"STARTTLS": "502 5.5.1 no"})}, roots: roots, fails: "502"},
		"secure":                {box: &box{cert: named}, roots: namedRoots, tls: tlspolicy.Secure, fails: "not for smart.example"},
		"on this machine":       {box: &box{}, via: "127.0.0.1:587", auth: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.engine(c.roots)
			b := c.box
			b.extensions = extensions
			startBox(t, b)
			w.hosts["smart.example"] = []netip.Addr{addr("203.0.113.9")}
			w.boxes[addr("203.0.113.9")], w.boxes[addr("127.0.0.1")] = b, b
			w.settings.Routes = []Route{{Destination: "*", Via: cmp.Or(c.via, "smart.example:587"), User: "user", Password: "secret", TLS: c.tls}}
			m := w.queue(nil, "bob@dest.example")
			w.pass()
			if c.fails == "" {
				w.want(m, spool.Delivered, "250")
			} else {
				w.want(m, spool.Queued, c.fails)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			sent := slices.ContainsFunc(b.lines, func(line string) bool { return strings.HasPrefix(line, "AUTH") })
			if sent != c.auth {
				t.Errorf("password sent: %t, want %t", sent, c.auth)
			}
			if sent && c.fails == "" && !slices.Contains(b.lines, "AUTH PLAIN AHVzZXIAc2VjcmV0") {
				t.Errorf("what was said: %q", b.lines)
			}
		})
	}
}

// A connection for which an encrypted channel was enough isn't used for a route that
// wants more.
func TestRoutesDontShareLess(t *testing.T) {
	less := Route{Via: "smart.example:587", User: "u", TLS: tlspolicy.Encrypt}
	more := Route{Via: "SMART.example:587", User: "u"}
	if less.key("a.example") == more.key("a.example") {
		t.Error("one connection for both")
	}
	if more.key("a.example") != more.key("b.example") {
		t.Error("two connections to one server")
	}
}

// A password goes to a smart host that DANE demands to be proved by its TLSA records,
// if these prove it, whatever authorities say.
func TestPasswordWithDANE(t *testing.T) {
	now := time.Now()
	cert, trusted := certificate(t, "smart.example", now.Add(-time.Hour), now.Add(time.Hour))
	other, _ := certificate(t, "smart.example", now.Add(-time.Hour), now.Add(time.Hour))
	for name, c := range map[string]struct {
		tlsa  tlspolicy.TLSA
		roots *x509.CertPool
		want  spool.State
	}{
		"TLSA of another key":     {keyRecord(t, other), trusted, spool.Queued},
		"TLSA fits, no authority": {keyRecord(t, cert), x509.NewCertPool(), spool.Delivered},
	} {
		w := newWorld(t)
		w.engine(c.roots)
		w.hostPolicies["smart.example"] = tlspolicy.Policy{Level: tlspolicy.DANE, Source: tlspolicy.FromDANE, TLSA: []tlspolicy.TLSA{c.tlsa}}
		w.hosts["smart.example"] = []netip.Addr{addr("203.0.113.9")}
		b := startBox(t, &box{cert: cert, extensions: []string{"STARTTLS", "8BITMIME", "AUTH PLAIN"}})
		w.boxes[addr("203.0.113.9")] = b
		w.settings.Routes = []Route{{Destination: "*", Via: "smart.example:587", User: "user", Password: "secret"}}
		m := w.queue(nil, "bob@dest.example")
		w.pass()
		w.want(m, c.want, "")
		b.change(func() {
			if slices.ContainsFunc(b.lines, func(line string) bool { return strings.HasPrefix(line, "AUTH") }) != (c.want == spool.Delivered) {
				t.Errorf("%s: %q", name, b.lines)
			}
		})
	}
}
