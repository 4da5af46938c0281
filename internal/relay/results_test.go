package relay

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mjl-/mox/tlsrpt"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// What failed can be told from the words: the cause itself, or what mox's client makes
// of it.
func TestResultCauses(t *testing.T) {
	now := time.Now()
	cert, roots := certificate(t, "mx.dest.example", now.Add(-time.Hour), now.Add(time.Hour))
	named, namedRoots := certificate(t, "else.example", now.Add(-time.Hour), now.Add(time.Hour))
	self, _ := certificate(t, "mx.dest.example", now.Add(-time.Hour), now.Add(time.Hour))
	verify := tlspolicy.Policy{Level: tlspolicy.Verify}
	enforced := tlspolicy.Policy{Level: tlspolicy.Secure, Hosts: []string{"mx.else.example"}}
	tested := tlspolicy.Policy{Level: tlspolicy.May, Testing: true, TestHosts: []string{"mx.else.example"}}
	unsettled := fmt.Errorf("TLSA: SERVFAIL: %w", tlspolicy.ErrUnsettled)
	for _, c := range []struct {
		name   string
		policy tlspolicy.Policy
		failed error // of the look-up
		box    *box
		err    error // in the chain; nil: any
		heard  tlsrpt.ResultType
		reason string
	}{
		{"another name", verify, nil, &box{cert: named}, tlspolicy.ErrName, tlsrpt.ResultValidationFailure, ""},
		{"self-signed", verify, nil, &box{cert: self}, nil, tlsrpt.ResultCertificateNotTrusted, ""},
		{"chokes on TLS 1.3", tlspolicy.Policy{Level: tlspolicy.Encrypt}, nil, &box{cert: cert, tls: choosy(cert, onTLS13)}, nil, tlsrpt.ResultValidationFailure, "tls-remote-alert-80-internal-error"},
		{"another host", enforced, nil, &box{cert: cert}, tlspolicy.ErrHost, "", ""},
		{"no TLSA records", tlspolicy.Policy{Level: tlspolicy.DANEOnly}, nil, &box{cert: cert}, tlspolicy.ErrTLSA, "", ""},
		{"DNS doesn't tell", tlspolicy.Policy{}, unsettled, &box{cert: cert}, tlspolicy.ErrUnsettled, "", ""},
		{"in testing mode the handshake's own failure", tested, nil, &box{cert: cert, tls: choosy(cert, onTLS13)}, nil, tlsrpt.ResultValidationFailure, "tls-remote-alert-80-internal-error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			trusted := roots
			if c.box.cert == named {
				trusted = namedRoots
			}
			w.engine(trusted)
			w.policyErr = c.failed
			w.hostPolicies["mx.dest.example"] = c.policy
			w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, c.box)
			w.queue(nil, "bob@dest.example")
			w.pass()
			if len(w.sessions) != 1 {
				t.Fatalf("%+v", w.sessions)
			}
			s := w.sessions[0]
			if s.Err == nil || c.err != nil && !errors.Is(s.Err, c.err) || s.Host != mail.Domain("mx.dest.example") || s.Domain != "dest.example" {
				t.Errorf("%+v", s)
			}
			if s.Heard.ResultType != c.heard || s.Heard.FailureReasonCode != c.reason {
				t.Errorf("heard %+v", s.Heard)
			}
		})
	}
}
