//go:build integration

package integration

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// policyHost is the HTTPS server of all MTA-STS policies.
type policyHost struct {
	server *http.Server

	mu       sync.Mutex
	policies map[string]string // text by domain
	asked    map[string]int
}

// policyAt is where it listens.
func policyAt() string { return address(0, 44) }

// startPolicyHost starts it, with a certificate for each domain.
func startPolicyHost(t *testing.T, ca *authority, policies map[string]string) *policyHost {
	t.Helper()
	h := &policyHost{policies: policies, asked: map[string]int{}}
	config := &tls.Config{}
	for domain := range policies {
		config.Certificates = append(config.Certificates, ca.sign(t, "mta-sts."+domain, time.Hour))
	}
	l, err := tls.Listen("tcp", policyAt()+":443", config)
	if err != nil {
		t.Fatal(err)
	}
	h.server = &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.server.Serve(l)
	}()
	t.Cleanup(func() {
		h.server.Close()
		<-done
	})
	return h
}

// ServeHTTP implements http.Handler.
func (h *policyHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	domain := r.Host[len("mta-sts."):]
	if r.URL.Path != "/.well-known/mta-sts.txt" || h.policies[domain] == "" {
		http.NotFound(w, r)
		return
	}
	h.asked[domain]++
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprint(w, h.policies[domain])
}

// times is how often a domain's policy was fetched.
func (h *policyHost) times(domain string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked[domain]
}

func stsText(mode, mx string) string {
	return fmt.Sprintf("version: STSv1\r\nmode: %s\r\nmx: %s\r\nmax_age: 86400\r\n", mode, mx)
}

// stsRecords are those of a domain with such a policy.
func stsRecords(id string) []string {
	return []string{txt("_mta-sts", "v=STSv1; id="+id), "mta-sts A " + policyAt()}
}

// stsWorld has destinations with policies; none of their zones is signed.
func stsWorld(t *testing.T) (*tlsWorld, map[string]string) {
	t.Helper()
	w := newTLSWorld(t)
	policies := map[string]string{}
	add := func(name, mode, mx string, config *tls.Config) {
		w.destination(t, name, config, stsRecords("1")...)
		w.unsigned = append(w.unsigned, name+".test")
		policies[name+".test"] = stsText(mode, mx)
	}
	good := func(name string) *tls.Config { return shows(w.ca.sign(t, name, time.Hour)) }
	add("enforced", "enforce", "mx.enforced.test", good("mx.enforced.test"))
	add("wrongname", "enforce", "*.wrongname.test", good("mx.elsewhere.test"))
	add("stripped", "enforce", "mx.stripped.test", nil)
	add("notlisted", "enforce", "mx2.notlisted.test", good("mx.notlisted.test"))
	add("testing", "testing", "mx2.testing.test", shows(selfSigned(t, "mx.testing.test")))
	return w, policies
}

// TestMTASTS: a policy in mode enforce holds, whatever fails; over a restart, and
// while its server is away; a new id brings the new policy.
func TestMTASTS(t *testing.T) {
	w, policies := stsWorld(t)
	h := startPolicyHost(t, w.ca, policies)
	w.start(t)
	names := []string{"enforced", "wrongname", "stripped", "notlisted", "testing"}
	for _, name := range names { // until it is known, a policy holds nothing back
		eventually(t, "the policy of "+name, func() bool { return w.policy(t, name).STS.ID == "1" })
	}
	for _, name := range names {
		w.submit(t, name)
	}
	w.arrives(t, "enforced", "TLSv1.3, verified")
	w.waits(t, "wrongname", "policy secure", "certificate is for mx.elsewhere.test")
	w.waits(t, "stripped", "policy secure", "the server offers no STARTTLS")
	w.waits(t, "notlisted", "MTA-STS policy of notlisted.test doesn't allow its MX host mx.notlisted.test")
	w.arrives(t, "testing", "TLSv1.3, not verified")
	if p := w.policy(t, "testing"); p.InForce.Level != "may" || !p.InForce.Testing || p.STS.Mode != "testing" {
		t.Errorf("policy of testing.test: %+v", p)
	}

	h.server.Close()
	w.restart(t)
	if p := w.policy(t, "enforced"); p.InForce.Level != "secure" || p.STS.ID != "1" {
		t.Errorf("after a restart, the policy's server being away: %+v", p)
	}
	w.gate.run(t, "queue", "flush")
	w.waits(t, "wrongname")

	// A new id, whose policy can't be fetched, doesn't end the old one.
	w.dns.publish(t, "enforced.test", append(w.zones["enforced.test"][:2:2], stsRecords("2")...))
	w.dns.has(t, "_mta-sts.enforced.test", "v=STSv1; id=2")
	w.restart(t)
	eventually(t, "the new id to be seen", func() bool { return w.policy(t, "enforced").STS.Error != "" })
	if p := w.policy(t, "enforced"); p.InForce.Level != "secure" || p.STS.ID != "1" {
		t.Errorf("with a new id, the policy's server being away: %+v", p)
	}
	policies["enforced.test"] = stsText("testing", "mx.enforced.test")
	h = startPolicyHost(t, w.ca, policies)
	w.restart(t)
	eventually(t, "the new policy", func() bool { return w.policy(t, "enforced").STS.ID == "2" })
	if p := w.policy(t, "enforced"); p.InForce.Level != "may" || h.times("enforced.test") != 1 || h.times("wrongname.test") != 0 {
		t.Errorf("with a new id: %+v; fetched %d times, that of wrongname.test %d times", p, h.times("enforced.test"), h.times("wrongname.test"))
	}
}
