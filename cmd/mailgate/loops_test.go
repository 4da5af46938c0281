package main

import (
	"strings"
	"testing"

	"mailgate/internal/config"
	"mailgate/internal/mail"
)

// Where mail for one's own domain would come back, a warning says which lines mend it,
// at the start and after a reload.
func TestWarnsOfLoops(t *testing.T) {
	s := startRelaySite(t, "[queue]\nmax_age = \"5d\"\n")
	s.stopGateway()
	zone := "@ NS ada.ns.cloudflare.com.\n@ MX 10 mx\nmx A 203.0.113.9\n"
	if err := s.dns.SetZone("one.example", zone); err != nil {
		t.Fatal(err)
	}
	warnings := func() int { return strings.Count(s.log.String(), "reports to this domain can't be delivered") }
	s.startGateway()
	s.reconfigure(`egress = ["127.0.0.1"]`, `egress = ["127.0.0.1", "203.0.113.9"]`)
	s.await("a warning after a reload", func() bool { return warnings() > 0 })
	s.stopGateway()
	before := warnings() // the start's own look may have come after the reload
	s.startGateway()
	s.await("a warning at the start", func() bool { return warnings() == before+1 })
	if want := `domain=one.example host=mx.one.example lines="[[route]]   destination = 'one.example'   via = 'SERVER:25'"`; !strings.Contains(s.log.String(), want) {
		t.Errorf("the log lacks %s:\n%s", want, s.log.String())
	}
	s.reconfigure("[queue]", "[[route]]\ndestination = 'one.example'\nvia = '127.0.0.1:1'\n[queue]")
	s.stopGateway()
	s.startGateway()
	if n := warnings() - before - 1; n != 0 {
		t.Errorf("%d more warnings with a route", n)
	}
}

func TestReportDomains(t *testing.T) {
	cfg := &config.Config{
		Domains: []config.Domain{{Name: "a.example"}, {Name: "b.example", Wildcard: true}, {Name: "a.example"}},
		Hold:    config.Hold{Postmaster: mail.Address{Local: "root", Domain: "c.example"}},
	}
	if got := reportDomains(cfg); got != nil {
		t.Errorf("without a relay: %v", got)
	}
	cfg.Relay.Listeners = []config.RelayListener{{}}
	if got := reportDomains(cfg); len(got) != 2 || got[0] != "a.example" || got[1] != "c.example" {
		t.Errorf("%v", got)
	}
}
