package main

import (
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"mailgate/internal/dnsview"
)

// What resolvers say of the root tells whether they validate.
func TestUnvalidated(t *testing.T) {
	soa, err := dns.NewRR(". 60 IN SOA a.root-servers.net. nstld.verisign-grs.com. 1 1 1 1 60")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		rcode int
		ad    bool
		want  string // beginning; empty: nothing is said
	}{
		"validates":      {dns.RcodeSuccess, true, ""},
		"doesn't":        {dns.RcodeSuccess, false, "dns.validating: the resolvers don't validate"},
		"doesn't answer": {dns.RcodeServerFailure, false, "dns.validating: DNS doesn't answer"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
				m := new(dns.Msg).SetRcode(q, c.rcode)
				m.RecursionAvailable, m.AuthenticatedData = true, c.ad
				if c.rcode == dns.RcodeSuccess {
					m.Answer = []dns.RR{soa}
				}
				w.WriteMsg(m)
			})}
			go server.ActivateAndServe()
			t.Cleanup(func() { server.Shutdown() })
			r, err := dnsview.New(dnsview.Options{Resolvers: []string{conn.LocalAddr().String()}, Timeout: patientDNS, LookupTime: patientDNS})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(r.Close)
			got := unvalidated(t.Context(), r)
			if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// The log tells of it at the start and after a reload, where dns.validating is set.
func TestWarnsOfResolversThatDontValidate(t *testing.T) {
	s := startRelaySite(t, "")
	warned := func() bool { return strings.Contains(s.log.String(), "msg=\"dns.validating: ") }
	if warned() {
		t.Error("a warning without dns.validating")
	}
	s.reconfigure("[dns]\n", "[dns]\nvalidating = true\n")
	s.await("a warning after a reload", warned)
}
