package relay

import (
	"testing"

	"mailgate/internal/spool"
	"mailgate/internal/tlspolicy"
)

// hop puts a box where all mail goes, nil: none.
func (w *world) hop(b *box) *box {
	w.settings.NextHop = Route{Via: "hop.example:25"}
	w.hosts["hop.example"] = append(w.hosts["hop.example"], addr("203.0.113.7"))
	if b != nil {
		w.boxes[addr("203.0.113.7")] = startBox(w.t, b)
	}
	return b
}

// The domains behind a next hop share connections, save where a policy of theirs
// demands more than the connection has.
func TestSharedByPolicy(t *testing.T) {
	w := newWorld(t)
	w.policies(tlspolicy.Override{Destination: "bank.example", Level: tlspolicy.Encrypt, Reason: "x"})
	b := w.hop(&box{})
	for _, to := range []string{"ann@other.example", "bob@third.example"} {
		m := w.queue(nil, to)
		w.pass()
		w.want(m, spool.Delivered, "250")
	}
	if n, _ := b.count(); n != 1 {
		t.Errorf("%d connections for domains with the same policy", n)
	}
	m := w.queue(nil, "bob@bank.example")
	w.pass()
	w.want(m, spool.Queued, "policy encrypt")
	if n := len(b.got()); n != 2 {
		t.Errorf("%d messages left in the clear, want 2", n)
	}
}

// A policy, or a way, that changes while a connection is in use holds from the next
// message on.
func TestPolicyChangesMeanwhile(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"level": func(w *world) {
			w.policies(tlspolicy.Override{Destination: "dest.example", Level: tlspolicy.Secure, Reason: "x"})
		},
		"DNS doesn't tell": func(w *world) { w.policyErr = tlspolicy.ErrUnsettled },
		"hosts": func(w *world) {
			w.hostPolicies["mx.dest.example"] = tlspolicy.Policy{Level: tlspolicy.May, Hosts: []string{"else.dest.example"}}
		},
		"route": func(w *world) {
			w.settings.Routes = []Route{{Destination: "dest.example", Via: "gone.example:25"}}
		},
		"route's level": func(w *world) {
			w.settings.Routes = []Route{{Destination: "dest.example", TLS: tlspolicy.Encrypt}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
			first := w.queue(nil, "bob@dest.example")
			w.pass() // the connection is kept
			w.want(first, spool.Delivered, "250")
			change(w)
			m := w.queue(nil, "bob@dest.example")
			w.pass()
			w.want(m, spool.Queued, "")
			if n := len(b.got()); n != 1 {
				t.Errorf("%d messages left by the old policy", n-1)
			}
		})
	}
}

// Within a run too: the worker has the connection in its hands.
func TestOverrideInTheMiddle(t *testing.T) {
	w := newWorld(t)
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	for range 3 {
		w.queue(nil, "bob@dest.example")
	}
	b.answers(func(line string) string {
		if line == "." {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.hostPolicies["mx.dest.example"] = tlspolicy.Policy{Level: tlspolicy.Encrypt}
		}
		return ""
	})
	w.pass()
	if n := len(b.got()); n != 1 {
		t.Errorf("%d messages left by the old policy", n-1)
	}
}

// What is of no matter to a connection doesn't end it; what is, does.
func TestSecureAlike(t *testing.T) {
	base := tlspolicy.Policy{Level: tlspolicy.DANE, TLSA: []tlspolicy.TLSA{{Usage: 3, Data: []byte{1}}}}
	same := base
	same.Source, same.Reason, same.Testing = tlspolicy.FromOverride, "x", true
	same.TLSA = []tlspolicy.TLSA{{Usage: 3, Data: []byte{1}}}
	if !secureAlike(base, same) {
		t.Error("not alike")
	}
	for name, change := range map[string]func(*tlspolicy.Policy){
		"level":   func(p *tlspolicy.Policy) { p.Level = tlspolicy.DANEOnly },
		"TLSA":    func(p *tlspolicy.Policy) { p.TLSA = []tlspolicy.TLSA{{Usage: 3, Data: []byte{2}}} },
		"minimum": func(p *tlspolicy.Policy) { p.MinVersion = tlspolicy.TLS12 },
		"maximum": func(p *tlspolicy.Policy) { p.MaxVersion = tlspolicy.TLS12 },
		"ciphers": func(p *tlspolicy.Policy) { p.Ciphers = []string{"x"} },
		"curves":  func(p *tlspolicy.Policy) { p.Curves = tlspolicy.Classic },
		"SNI":     func(p *tlspolicy.Policy) { p.ServerName = "x" },
		"names":   func(p *tlspolicy.Policy) { p.MatchNames = []string{"x"} },
		"hosts":   func(p *tlspolicy.Policy) { p.Hosts = []string{"x"} },
	} {
		p := base
		if change(&p); secureAlike(base, p) {
			t.Errorf("%s is of no matter", name)
		}
	}
}
