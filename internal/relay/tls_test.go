package relay

import (
	"crypto/x509"
	"net/netip"
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
					if len(b.got()) != 0 || d.Answer == "" || dane != strings.Contains(d.Answer, "can't check TLSA records") {
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
		{Route{User: "u"}, byDefault(tlspolicy.May), away, tlspolicy.Encrypt},
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
	cert, _ := certificate(t, "smart.example", now.Add(-time.Hour), now.Add(time.Hour))
	for name, c := range map[string]struct {
		box  *box
		want spool.State
	}{
		"PLAIN":   {&box{cert: cert, extensions: []string{"STARTTLS", "8BITMIME", "AUTH LOGIN PLAIN"}, answer: starting(map[string]string{"AUTH PLAIN AHVzZXIAc2VjcmV0": "235 2.7.0 ok"})}, spool.Delivered},
		"refused": {&box{cert: cert, extensions: []string{"STARTTLS", "8BITMIME", "AUTH PLAIN"}, answer: starting(map[string]string{"AUTH": "535 5.7.8 no"})}, spool.Queued},
		"no TLS":  {&box{extensions: []string{"8BITMIME", "AUTH PLAIN"}, answer: starting(map[string]string{"STARTTLS": "502 5.5.1 no"})}, spool.Queued},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.boxes[addr("203.0.113.9")] = startBox(t, c.box)
			w.settings.Routes = []Route{{Destination: "*", Via: "203.0.113.9:587", User: "user", Password: "secret"}}
			m := w.queue(nil, "bob@dest.example")
			w.pass()
			w.want(m, c.want, "")
			for _, line := range c.box.lines {
				if name == "no TLS" && strings.HasPrefix(line, "AUTH") {
					t.Error("the password went out in the clear")
				}
			}
		})
	}
}
