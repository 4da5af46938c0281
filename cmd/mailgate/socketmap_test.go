package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/dnstest"
	"mailgate/internal/tlspolicy"
	"mailgate/internal/web"
)

// mapSite is a gateway that answers Postfix's questions.
type mapSite struct {
	*relaySite
	address string // of the door
}

// startMapSite starts a site with [socketmap]; more is configuration.
func startMapSite(t *testing.T, more string) *mapSite {
	t.Helper()
	address := loopbackOfOurs()
	return &mapSite{startRelaySite(t, fmt.Sprintf("[socketmap]\nlisten = \"inet:%s\"\n%s", address, more)), address}
}

// ask sends a request on a connection of its own, and returns what is answered up to
// its end.
func (s *mapSite) ask(request, end string) string {
	s.t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(hangGuard))
	if _, err := io.WriteString(c, request); err != nil {
		s.t.Fatal(err)
	}
	var answer []byte
	for b := make([]byte, 1000); !strings.HasSuffix(string(answer), end); {
		n, err := c.Read(b)
		if answer = append(answer, b[:n]...); err != nil {
			s.t.Fatalf("%q is answered %q: %v", request, answer, err)
		}
	}
	return strings.TrimSuffix(string(answer), end)
}

// wantPolicy asks as smtp_tls_policy_maps does.
func (s *mapSite) wantPolicy(nextHop, want string) {
	s.t.Helper()
	key := "mailgate " + nextHop
	_, got, _ := strings.Cut(s.ask(fmt.Sprintf("%d:%s,", len(key), key), ","), ":")
	if got != want {
		s.t.Errorf("the policy for %s is %q, want %q", nextHop, got, want)
	}
}

// action asks as check_policy_service does, of mail for gmail.test.
func (s *mapSite) action(sender, client, user string) string {
	s.t.Helper()
	got := s.ask(fmt.Sprintf("request=smtpd_access_policy\nprotocol_state=RCPT\nsender=%s\nrecipient=bob@gmail.test\nclient_address=%s\nsasl_username=%s\n\n",
		sender, client, user), "\n\n")
	return strings.TrimPrefix(got, "action=")
}

// wantAction wants an answer that begins so.
func (s *mapSite) wantAction(sender, client, user, want string) {
	s.t.Helper()
	if got := s.action(sender, client, user); !strings.HasPrefix(got, want) {
		s.t.Errorf("of %s from %s (%q): %q, want %q", sender, client, user, got, want)
	}
}

const encryptOld = `[[tls]]
destination = "other.test"
level = "encrypt"
max_version = "1.2"
reason = "clashes with TLS 1.3"
`

// Overrides of the configuration and such made at run time are what Postfix hears.
func TestSocketmapOverrides(t *testing.T) {
	s := startMapSite(t, encryptOld)
	s.wantPolicy("other.test", "OK encrypt protocols=>=TLSv1.2:<=TLSv1.2")
	s.wantPolicy("gmail.test", "NOTFOUND ")
	s.wantPolicy("[relay.example]:587", "NOTFOUND ")

	order := web.TLSOrder{Override: tlspolicy.Override{Destination: "gmail.test", Level: tlspolicy.Verify, MatchNames: []string{"mx.gmail.test"}}}
	if err := s.post(t.Context(), "/v1/tls/override", order, &web.TLSChange{}); err != nil {
		t.Fatal(err)
	}
	s.wantPolicy("gmail.test", "OK verify protocols=>=TLSv1.2 match=mx.gmail.test")
	order = web.TLSOrder{Override: tlspolicy.Override{Destination: "gmail.test"}}
	if err := s.post(t.Context(), "/v1/tls/override/remove", order, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	s.wantPolicy("gmail.test", "NOTFOUND ")
}

// A reload changes what is said of overrides and in which Postfix's words, at once;
// the address only at a restart, and that is told.
func TestSocketmapReload(t *testing.T) {
	s := startMapSite(t, encryptOld)
	s.reconfigure("[socketmap]\n", "[socketmap]\npostfix = \"3.5\"\n")
	s.wantPolicy("other.test", "OK encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.3")
	s.reconfigure(`level = "encrypt"`, `level = "verify"`)
	s.wantPolicy("other.test", "OK verify protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.3")

	file := filepath.Join(s.dir, siteFile)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	moved := strings.ReplaceAll(string(text), "inet:"+s.address, "inet:"+loopbackOfOurs())
	if err := os.WriteFile(file, []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	var result web.ReloadResult
	if err := s.post(t.Context(), "/v1/reload", struct{}{}, &result); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(result.Notes, "[socketmap] listen: restart needed") {
		t.Errorf("the reload says %q", result.Notes)
	}
	s.wantPolicy("gmail.test", "NOTFOUND ")
}

// Key only in the panel: refused at RCPT where policy says so, and only what is ours.
func TestSocketmapForetells(t *testing.T) {
	s := startMapSite(t, "[policy]\nrefused = \"reject\"\n")
	const ours, stranger = "127.0.0.1", "192.0.2.77"
	s.wantAction("ann@one.example", ours, "", "550 5.7.26 mailgate: dkim-")
	s.wantAction("ann@one.example", stranger, "ann", "550 5.7.26 mailgate: dkim-")
	s.wantAction("ann@one.example", stranger, "", "DUNNO")
	s.wantAction("ann@foreign.example", ours, "", "DUNNO")
	s.wantAction("", ours, "", "DUNNO")
	key := "preflight ann@one.example bob@gmail.test"
	if got := s.ask(fmt.Sprintf("%d:%s,", len(key), key), ","); !strings.Contains(got, ":OK 550 5.7.26 ") {
		t.Errorf("the map preflight says %q", got)
	}

	s.reconfigure(`refused = "reject"`, `refused = "hold"`)
	s.wantAction("ann@one.example", ours, "", "DUNNO")
	s.reconfigure(`refused = "hold"`, `refused = "reject"`)
	s.wantAction("ann@one.example", ours, "", "550 5.7.26 ")
	s.reconfigure("[socketmap]\n", "[socketmap]\ntrusted = [\"192.0.2.0/24\"]\n")
	s.wantAction("ann@one.example", stranger, "", "550 5.7.26 ")
	s.wantAction("ann@one.example", ours, "", "DUNNO")
	s.reconfigure("trusted = [\"192.0.2.0/24\"]\n", "")
	s.reconfigure("hostname = ", "mode = \"observe\"\nhostname = ")
	s.wantAction("ann@one.example", ours, "", "DUNNO")
}

// Where DNS doesn't tell, mail waits; once the key is published it is let in.
func TestSocketmapForetellsByDNS(t *testing.T) {
	s := startMapSite(t, "[policy]\nrefused = \"reject\"\nunknown = \"defer\"\n")
	faults := func(f dnstest.Fault) {
		for _, name := range []string{"one.example", "mail._domainkey.one.example", "_dmarc.one.example"} {
			s.dns.Fault(name, f)
			s.resolver.Fault(name, f)
		}
	}
	faults(dnstest.ServFail)
	s.wantAction("ann@one.example", "127.0.0.1", "", "DEFER_IF_PERMIT 4.4.3 mailgate is waiting for DNS")
	faults(dnstest.None)
	s.publish()
	s.await("let in", func() bool { return s.action("ann@one.example", "127.0.0.1", "") == "DUNNO" })
}
