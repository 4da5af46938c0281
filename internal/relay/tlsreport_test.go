package relay

import (
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
	"mailgate/internal/tlspolicy"
)

func aReport(m *spool.Message) {
	m.TLSReport, m.Envelope.From = true, mail.Address{}
}

// A report on TLS arrives despite what it tells of, with TLS where that can be had, and
// is in no report itself (RFC 8460, section 3).
func TestTLSReport(t *testing.T) {
	now := time.Now()
	cert, _ := certificate(t, "mx.dest.example", now.Add(-time.Hour), now.Add(time.Hour))
	for _, c := range []struct {
		name   string
		policy tlspolicy.Policy
		failed error // of the look-up
		box    *box
		tls    string
	}{
		{"untrusted certificate", tlspolicy.Policy{Level: tlspolicy.Secure}, nil, &box{cert: cert}, "TLSv1.3, not verified"},
		{"no STARTTLS", tlspolicy.Policy{Level: tlspolicy.Encrypt}, nil, &box{}, ""},
		{"TLS that fails", tlspolicy.Policy{Level: tlspolicy.Encrypt}, nil, &box{cert: cert, tls: choosy(cert, onAnything)}, ""},
		{"less would do", tlspolicy.Policy{Level: tlspolicy.Encrypt}, nil, &box{cert: cert, tls: choosy(cert, onTLS13)}, "TLSv1.2, not verified"},
		{"no TLSA records", tlspolicy.Policy{Level: tlspolicy.DANEOnly}, nil, &box{cert: cert}, "TLSv1.3, not verified"},
		{"a host not in the policy", tlspolicy.Policy{Level: tlspolicy.Secure, Hosts: []string{"mx.else.example"}}, nil, &box{cert: cert}, "TLSv1.3, not verified"},
		{"DNS doesn't tell", tlspolicy.Policy{}, fmt.Errorf("TLSA: SERVFAIL: %w", tlspolicy.ErrUnsettled), &box{cert: cert}, "TLSv1.3, not verified"},
		{"nothing demanded", tlspolicy.Policy{Level: tlspolicy.May}, nil, &box{cert: cert}, "TLSv1.3, not verified"},
		{"no TLS wanted", tlspolicy.Policy{Level: tlspolicy.None}, nil, &box{cert: cert}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.engine(x509.NewCertPool())
			w.policyErr = c.failed
			w.hostPolicies["mx.dest.example"] = c.policy
			w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, c.box)
			m := w.queue(aReport, "bob@dest.example")
			w.pass()
			w.want(m, spool.Delivered, "250")
			if d := w.recipients(m)[0].Delivery; d.TLS != c.tls {
				t.Errorf("TLS %q, want %q", d.TLS, c.tls)
			}
			if len(w.sessions) != 0 || len(w.learned) != 0 {
				t.Errorf("%d sessions for the next report, %d learned", len(w.sessions), len(w.learned))
			}
		})
	}
}

// Other mail never leaves in the session of a report, nor does a report wait behind mail
// whose TLS fails.
func TestTLSReportAlone(t *testing.T) {
	now := time.Now()
	cert, _ := certificate(t, "mx.dest.example", now.Add(-time.Hour), now.Add(time.Hour))
	for _, first := range []bool{true, false} {
		w := newWorld(t)
		w.engine(x509.NewCertPool())
		w.hostPolicies["mx.dest.example"] = tlspolicy.Policy{Level: tlspolicy.Secure}
		b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{cert: cert})
		var mails []*spool.Message
		queue := func(change func(*spool.Message)) *spool.Message {
			w.advance(time.Second)
			return w.queue(change, "bob@dest.example")
		}
		var report *spool.Message
		if first {
			report = queue(aReport)
		}
		mails = append(mails, queue(nil), queue(nil))
		if !first {
			report = queue(aReport)
		}
		w.pass()
		w.want(report, spool.Delivered, "250")
		for _, m := range mails {
			w.want(m, spool.Queued, "")
		}
		if len(b.got()) != 1 {
			t.Errorf("report first %t: %d messages arrived", first, len(b.got()))
		}
		if n := len(w.sessions); n != 1 || w.sessions[0].Err == nil {
			t.Errorf("report first %t: sessions %+v", first, w.sessions)
		}
	}
}

// At level may nothing differs but that the report's session is its own: it isn't one
// that was counted, nor is other mail left uncounted in it.
func TestTLSReportSessionNotShared(t *testing.T) {
	now := time.Now()
	cert, _ := certificate(t, "mx.dest.example", now.Add(-time.Hour), now.Add(time.Hour))
	w := newWorld(t)
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{cert: cert})
	for _, change := range []func(*spool.Message){nil, aReport, nil} {
		w.queue(change, "bob@dest.example")
		w.advance(time.Second)
	}
	w.pass()
	arrived := len(b.got())
	b.mu.Lock()
	defer b.mu.Unlock()
	if arrived != 3 || b.connections != 3 || len(w.sessions) != 2 {
		t.Errorf("%d messages in %d connections, %d counted", arrived, b.connections, len(w.sessions))
	}
}

// A next hop's password and TLS are ours to guard, whatever is sent.
func TestTLSReportByNextHop(t *testing.T) {
	w := newWorld(t)
	b := w.server("smart.example", "smart.example", "203.0.113.9", 10, &box{extensions: []string{"AUTH PLAIN"}})
	w.settings.Routes = []Route{{Destination: "*", Via: "smart.example:587", User: "user", Password: "secret"}}
	m := w.queue(aReport, "bob@dest.example")
	w.pass()
	w.want(m, spool.Queued, "STARTTLS")
	if len(b.got()) != 0 {
		t.Error("it was sent in the clear")
	}
}
