package tlspolicy

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"mailgate/internal/dnstest"
	"mailgate/internal/mail"
)

// TestSTSFetchRefused: what a fetch must not take, and that the domain then counts
// as one without a policy.
func TestSTSFetchRefused(t *testing.T) {
	good := stsText("enforce", day, "mx1.example.net")
	plain := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/plain") }
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		prepare func(*world)
		fault   string
	}{
		"redirect": {answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://mta-sts.example.net/elsewhere", http.StatusMovedPermanently)
		}, fault: "redirects are not followed"},
		"not found":    {fault: "404"},
		"other status": {answer: func(w http.ResponseWriter, _ *http.Request) { plain(w); w.WriteHeader(203); fmt.Fprint(w, good) }, fault: "203"},
		"too long":     {answer: text(good + strings.Repeat("x: "+strings.Repeat("y", 100)+"\n", 700)), fault: "longer than 64 KiB"},
		"HTML": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, good)
		}, fault: "media type"},
		"no type": {answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			fmt.Fprint(w, good)
		}, fault: "media type"},
		"no policy":       {answer: text("<html>"), fault: "policy"},
		"no mx":           {answer: text("version: STSv1\nmode: enforce\nmax_age: 86400\n"), fault: "mx"},
		"no mode":         {answer: text("version: STSv1\nmax_age: 86400\nmx: a.example\n"), fault: "mode"},
		"mode unknown":    {answer: text(stsText("report", day, "a.example")), fault: "policy"},
		"max_age":         {answer: text("version: STSv1\nmode: enforce\nmax_age: soon\nmx: a.example\n"), fault: "policy"},
		"private address": {answer: text(good), prepare: func(w *world) { w.private.Store(false) }, fault: "127.0.0.1, which is not of the Internet"},
		"certificate of another name": {answer: text(good), prepare: func(w *world) {
			w.zone("example.com", false, "mta-sts A 127.0.0.1", "_mta-sts TXT \"v=STSv1; id=1\"")
		}, fault: "certificate is valid for"},
		"unknown authority": {answer: text(good), prepare: func(w *world) {
			w.sts.ca = newAuthority(t)
			w.start()
		}, fault: "unknown authority"},
		"no HTTPS": {answer: text(good), prepare: func(w *world) {
			l := plainServer(w.t, text(good))
			w.sts.port = l
			w.start()
		}, fault: "HTTP response to HTTPS client"},
		"no address": {prepare: func(w *world) {
			w.zone("example.net", false, "_mta-sts TXT \"v=STSv1; id=1\"")
		}, fault: "has no address"},
		"DNS fault": {prepare: func(w *world) { w.dns.Fault("mta-sts.example.net", dnstest.ServFail) }, fault: "SERVFAIL"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.stsZone("1")
			domain := mail.Domain("example.net")
			if name == "certificate of another name" {
				domain = "example.com"
			}
			if c.answer != nil {
				w.sts.serve("mta-sts."+string(domain), c.answer)
			}
			if c.prepare != nil {
				c.prepare(w)
			}
			if p := w.domain(domain); p.Level != May || p.Testing {
				t.Errorf("policy %v", p)
			}
			state, _ := w.policies.STS(domain)
			if !strings.Contains(state.Error, c.fault) || state.Mode != "" {
				t.Errorf("state %+v, want %q", state, c.fault)
			}
		})
	}
}

// plainServer speaks HTTP without TLS and returns its port.
func plainServer(t *testing.T, answer http.HandlerFunc) uint16 {
	t.Helper()
	s := http.Server{Handler: answer}
	l := listen(t)
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

func TestOutside(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true,
		"127.0.0.1": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "224.0.0.1": false, "255.255.255.255": false, "198.18.0.1": false,
		"::1": false, "::": false, "::127.0.0.1": false, "fe80::1": false, "fd00::1": false, "fec0::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false,
	} {
		if outside(netip.MustParseAddr(text)) != want {
			t.Errorf("%s: outside is %v", text, !want)
		}
	}
}
