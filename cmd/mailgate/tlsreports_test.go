package main

import (
	"compress/gzip"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mjl-/mox/tlsrpt"

	"mailgate/internal/config"
	"mailgate/internal/mail"
	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
	"mailgate/internal/tlsreport"
)

const reportsOn = "[tls_reports]\nenabled = true\nfrom = \"tls@one.example\"\nname = \"Site\"\n"

// sendReports is the daily run, for the days that the test has seen.
func (s *relaySite) sendReports(began time.Time) int {
	left := s.gateway.reports.Send(s.t.Context(), tlsreport.DayOf(began))
	if today := tlsreport.DayOf(time.Now()); today != tlsreport.DayOf(began) {
		left += s.gateway.reports.Send(s.t.Context(), today)
	}
	return left
}

// A domain with a rua is told, signed and once, how TLS with it went, also when the
// gateway was started anew since.
func TestTLSReport(t *testing.T) {
	began := time.Now()
	s := startRelaySite(t, reportsOn)
	s.publish()
	if err := s.dns.SetZone("asks.test", "@ MX 10 mx\nmx A 127.0.0.1\n_smtp._tls TXT \"v=TLSRPTv1; rua=mailto:tls-reports@asks.test\"\n"); err != nil {
		t.Fatal(err)
	}
	s.mustSend("first", "carol@asks.test")
	s.mustSend("second", "carol@other.test") // which asks for no report
	s.awaitArrival()
	s.awaitArrival()
	s.stopGateway()
	s.startGateway()

	s.reconfigure("tls@one.example", "tls@nokey.example")
	if left := s.sendReports(began); left != 1 {
		t.Errorf("without a key: %d left", left)
	}
	s.reconfigure("tls@nokey.example", "tls@one.example")
	if left := s.sendReports(began); left != 0 {
		t.Errorf("%d left", left)
	}
	a := s.awaitArrival()
	if len(a.to) != 1 || a.to[0] != "tls-reports@asks.test" || a.dkim != "pass" || strings.Contains(a.content, " l=") {
		t.Errorf("to %v, DKIM %s\n%s", a.to, a.dkim, a.content)
	}
	r := readTLSReport(t, a.content)
	if r.OrganizationName != "Site" || r.ContactInfo != "tls@one.example" || len(r.Policies) != 1 {
		t.Fatalf("%+v", r)
	}
	p := r.Policies[0]
	if p.Policy.Type != tlsrpt.NoPolicyFound || p.Policy.Domain != "asks.test" || p.Summary.TotalFailureSessionCount != 1 || len(p.FailureDetails) != 1 {
		t.Fatalf("%+v", p)
	}
	if d := p.FailureDetails[0]; d.ResultType != tlsrpt.ResultSTARTTLSNotSupported || d.ReceivingMXHostname != "mx.asks.test" ||
		d.SendingMTAIP != "127.0.0.1" || d.ReceivingIP != "127.0.0.1" || d.FailedSessionCount != 1 {
		t.Errorf("%+v", d)
	}

	s.await("the report is delivered", func() bool { return s.reportsIn("delivered") == 1 })
	if n := s.counted(); n != 0 {
		t.Errorf("its own session is counted: %d notes", n)
	}
	s.stopGateway()
	s.startGateway()
	if left := s.sendReports(began); left != 0 || s.reportsIn("all") != 1 {
		t.Errorf("again: %d left, %d reports", left, s.reportsIn("all"))
	}
}

// counted is in how many notes sessions are counted of the domain that asks for reports.
func (s *relaySite) counted() int {
	s.t.Helper()
	if err := s.gateway.reports.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	notes, err := s.gateway.store.Notes(s.t.Context(), reportNotes)
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for _, note := range notes {
		if strings.Contains(note.Name, " count ") && strings.Contains(string(note.Data), "asks.test") {
			n++
		}
	}
	return n
}

// reportsIn counts TLS reports in custody by state.
func (s *relaySite) reportsIn(state string) int {
	s.t.Helper()
	var page quarantine.Page
	if err := s.get(s.t.Context(), "/v1/quarantine", url.Values{"text": {"Submitter"}, "state": {state}}, &page); err != nil {
		s.t.Fatal(err)
	}
	return len(page.Messages)
}

// readTLSReport reads a message as its receiver does.
func readTLSReport(t *testing.T, content string) tlsrpt.Report {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "tlsrpt" {
		t.Fatalf("%s %v, %v", kind, params, err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if part.Header.Get("Content-Type") != "application/tlsrpt+gzip" {
			continue
		}
		parsed, err := tlsrpt.Parse(gunzipped(t, base64.NewDecoder(base64.StdEncoding, part)))
		if err != nil {
			t.Fatal(err)
		}
		return parsed.Convert()
	}
}

func gunzipped(t *testing.T, r io.Reader) io.Reader {
	t.Helper()
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// While reports are off, nothing is collected.
func TestTLSReportsOff(t *testing.T) {
	s := startRelaySite(t, "")
	s.publish()
	s.mustSend("first", "carol@other.test")
	s.awaitArrival()
	s.stopGateway()
	s.startGateway()
	notes, err := s.gateway.store.Notes(t.Context(), reportNotes)
	if err != nil || len(notes) != 0 {
		t.Errorf("%v, %v", notes, err)
	}
}

// Where Postfix delivers, nothing is seen of TLS.
func TestTLSReportsWarning(t *testing.T) {
	for text, want := range map[string]bool{
		"[milter]\nlisten = \"inet:127.0.0.1:8891\"\n": true,
		"[relay]\nlisten = \"127.0.0.1:2525\"\n":       false,
	} {
		cfg, err := config.Parse([]byte("hostname = \"mx1.site.test\"\n"+reportsOn+text), "mailgate.toml")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(warnings(cfg), "\n"), "[tls_reports]"); got != want {
			t.Errorf("%s: %q", text, warnings(cfg))
		}
	}
}

func TestSeenAs(t *testing.T) {
	egress := []netip.Addr{netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("2001:db8::9")}
	for _, c := range []struct{ local, remote, want string }{
		{"203.0.113.10", "198.51.100.1", "203.0.113.10"},
		{"10.0.0.1", "198.51.100.1", "203.0.113.9"},
		{"", "198.51.100.1", "203.0.113.9"},
		{"", "::ffff:198.51.100.1", "203.0.113.9"},
		{"fd00::1", "2001:db8:1::1", "2001:db8::9"},
		{"", "", ""},
	} {
		local, _ := netip.ParseAddr(c.local)
		remote, _ := netip.ParseAddr(c.remote)
		want, _ := netip.ParseAddr(c.want)
		if got := seenAs(local, remote, egress); got != want {
			t.Errorf("%s to %s: seen as %s, want %s", c.local, c.remote, got, want)
		}
	}
}

// Without a relay, reports leave through Postfix, signed by our own milter.
func TestTLSReportViaMTA(t *testing.T) {
	s, err := startSite(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	from, to := mail.Address{Local: "tls", Domain: "one.example"}, mail.Address{Local: "bob", Domain: "gmail.test"}
	content := "From: <tls@one.example>\r\nTo: <bob@gmail.test>\r\nSubject: Report Domain: gmail.test\r\n\r\nA report.\r\n"
	if err := (reportMailer{s.gateway}).Mail(t.Context(), from, to, []byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := s.waitDelivered(1); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	got := string(s.delivered[0].Content)
	if !strings.HasPrefix(got, "DKIM-Signature:") || !strings.Contains(got, "d=one.example") || strings.Contains(got, spool.TokenHeader) {
		t.Errorf("%s", got)
	}
}
