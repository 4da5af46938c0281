package tlsreport

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

func TestByMail(t *testing.T) {
	w := newWorld(t)
	w.wants("example.net", "mailto:tls%2Breports@example.org,mailto:other@example.net?subject=x")
	w.reports.Session(well("example.net"))
	w.reports.Session(failed("example.net", ErrNoSTARTTLS))
	w.reports.Session(well("silent.example")) // which has no record
	if left := w.send(); left != 0 || len(w.mails) != 2 {
		t.Fatalf("%d left, %d messages", left, len(w.mails))
	}
	m := w.mails[0]
	if m.to.String() != "tls+reports@example.org" || w.mails[1].to.String() != "other@example.net" {
		t.Errorf("to %s and %s", m.to, w.mails[1].to)
	}
	o := open(t, m.content)
	for name, want := range map[string]string{
		"From": "<tls@sender.example>", "To": "<tls+reports@example.org>",
		"Subject":           "Report Domain: example.net Submitter: mx1.sender.example Report-ID: <2026-11-20.example.net@mx1.sender.example>",
		"Tls-Report-Domain": "example.net", "Tls-Report-Submitter": "mx1.sender.example", "Mime-Version": "1.0", "Auto-Submitted": "auto-generated",
		"Message-Id": "<2026-11-20.example.net@mx1.sender.example>",
	} {
		if got := o.header.Get(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if _, err := o.header.Date(); err != nil {
		t.Error(err)
	}
	if o.filename != "mx1.sender.example!example.net!1795132800!1795219199.json.gz" {
		t.Errorf("file name %s", o.filename)
	}
	s, err := validate(o.json)
	if err != nil {
		t.Fatal(err)
	}
	p := s.Policies[0]
	if len(s.Policies) != 1 || *p.Summary.Successes != 1 || *p.Summary.Failures != 1 || *p.Details[0].Type != "starttls-not-supported" ||
		p.Details[0].Remote.String() != "198.51.100.7" || s.Range.End.Sub(*s.Range.Start) != 24*time.Hour-time.Second {
		t.Errorf("%s", o.json)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(m.content), "\r\n"), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") || strings.ContainsFunc(line, func(c rune) bool { return c > '~' }) {
			t.Errorf("line %q", line)
		}
	}
}

// site takes reports by HTTPS.
type site struct {
	*httptest.Server
	port   uint16
	answer http.HandlerFunc
	posts  atomic.Int32
	got    []byte
	kind   string
}

const siteName = "reports.example.net"

func (w *world) site(answer http.HandlerFunc) *site {
	w.t.Helper()
	cert, roots := certificate(w.t, siteName, time.Hour)
	s := &site{answer: answer}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		s.posts.Add(1)
		s.got, _ = io.ReadAll(in.Body)
		s.kind = in.Method + " " + in.URL.RequestURI() + " " + in.Header.Get("Content-Type")
		s.answer(out, in)
	}))
	s.TLS = serving(cert)
	s.StartTLS()
	w.t.Cleanup(s.Close)
	s.port = netip.MustParseAddrPort(s.Listener.Addr().String()).Port()
	w.reach(roots, true)
	return s
}

// reach makes the client that reports are posted with, which is tlspolicy's.
func (w *world) reach(roots *x509.CertPool, private bool) {
	p, err := tlspolicy.New(w.t.Context(), tlspolicy.Options{
		View:  func() tlspolicy.View { return tlspolicy.View{DNS: dns{"A " + siteName: "127.0.0.1"}} },
		Roots: roots, Private: func() bool { return private },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(p.Close)
	w.client = p.HTTPClient
}

func (s *site) uri() string {
	return "https://" + siteName + ":" + strconv.Itoa(int(s.port)) + "/v1/tls?for=me"
}

func TestByHTTPS(t *testing.T) {
	w := newWorld(t)
	s := w.site(func(out http.ResponseWriter, _ *http.Request) { out.WriteHeader(http.StatusCreated) })
	w.wants("example.net", s.uri())
	w.reports.Session(well("example.net"))
	if left := w.send(); left != 0 || s.posts.Load() != 1 || w.counts["https sent"] != 1 {
		t.Fatalf("%d left, %d posts, %v", left, s.posts.Load(), w.counts)
	}
	if s.kind != "POST /v1/tls?for=me application/tlsrpt+gzip" {
		t.Error(s.kind)
	}
	if _, err := validate(unzip(t, s.got)); err != nil {
		t.Error(err)
	}
}

// What isn't taken is tried again, and sent once.
func TestRefused(t *testing.T) {
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	t.Cleanup(other.Close)
	_, strange := certificate(t, siteName, time.Hour)
	taken := func(http.ResponseWriter, *http.Request) {}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		before func(*world, *site)
		posts  int32 // at the server, in the first try
	}{
		{"an error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, nil, 1},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, nil, 1},
		{"a certificate that isn't trusted", taken, func(w *world, _ *site) { w.reach(strange, true) }, 0},
		{"a private address", taken, func(w *world, _ *site) { w.reach(nil, false) }, 0},
		{"no mark on disk", taken, func(w *world, _ *site) { w.disk = errors.New("disk full") }, 0},
		{"DNS doesn't tell", taken, func(w *world, _ *site) { w.noDNS = errors.New("SERVFAIL") }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			s := w.site(c.answer)
			right := w.client
			w.wants("example.net", s.uri())
			w.reports.Session(well("example.net"))
			w.flush()
			if c.before != nil {
				c.before(w, s)
			}
			if left := w.send(); left != 1 || s.posts.Load() != c.posts {
				t.Fatalf("%d left, %d posts", left, s.posts.Load())
			}
			if n := w.counts["https failed"]; n != 1 && w.noDNS == nil {
				t.Errorf("counted %v", w.counts)
			}
			w.client, w.disk, w.noDNS, s.answer = right, nil, nil, taken
			w.restart()
			if left := w.send(); left != 0 || s.posts.Load() != c.posts+1 {
				t.Errorf("then %d left, %d posts", left, s.posts.Load())
			}
			if left := w.send(); left != 0 || s.posts.Load() != c.posts+1 {
				t.Errorf("it is sent twice: %d posts", s.posts.Load())
			}
		})
	}
}

// One of two ways works: only the other is tried again.
func TestOneOfTwo(t *testing.T) {
	w := newWorld(t)
	s := w.site(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	w.wants("example.net", "mailto:a@example.net,"+s.uri())
	w.reports.Session(well("example.net"))
	w.flush()
	for range 2 {
		if left := w.send(); left != 1 {
			t.Fatalf("%d left", left)
		}
		w.restart()
	}
	if w.sent() != 1 || s.posts.Load() != 2 {
		t.Errorf("%d messages, %d posts", w.sent(), s.posts.Load())
	}
	w.refuse = errAny
	w.reports.Session(well("example.com"))
	w.wants("example.com", "mailto:b@example.com")
	if left := w.send(); left != 2 {
		t.Errorf("a message that can't be queued: %d left", left)
	}
}

// The process ends while a report is on its way: it is not sent again.
func TestCrash(t *testing.T) {
	w := newWorld(t)
	w.wants("example.net", "mailto:a@example.net")
	w.reports.Session(well("example.net"))
	w.flush()
	crash := errors.New("crash")
	func() {
		defer func() {
			if recover() != crash {
				t.Error("no crash")
			}
		}()
		l, err := newLetter(w.reports.settings(), day1, "example.net", w.reports.counted(day1, "example.net"))
		if err != nil {
			t.Fatal(err)
		}
		targets, err := w.reports.targets(t.Context(), "example.net")
		if err != nil {
			t.Fatal(err)
		}
		w.reports.o.Mailer = crashing{crash}
		w.reports.sendTo(t.Context(), l, targets[0])
	}()
	w.restart()
	if left := w.send(); left != 0 || w.sent() != 0 {
		t.Errorf("%d left, %d messages", left, w.sent())
	}
}

type crashing struct{ with error }

func (c crashing) Mail(context.Context, mail.Address, mail.Address, []byte) error { panic(c.with) }

func TestRecords(t *testing.T) {
	for _, c := range []struct {
		texts string // split at |
		want  string
		bad   bool
	}{
		{"", "", false},
		{"v=spf1 -all", "", false},
		{"v=TLSRPTv1;rua=mailto:a@example.net", "mailto:a@example.net", false},
		{"v=TLSRPTv1; rua=mailto:a@example.net;|v=spf1 -all", "mailto:a@example.net", false},
		{"v=TLSRPTv1; rua=mailto:a@example.net|v=TLSRPTv1; rua=mailto:b@example.net", "", true},
		{"v=TLSRPTv1; ruf=mailto:a@example.net", "", true},
		{"v=TLSRPTv1; rua=ftp://example.net/,mailto:a@example.net", "mailto:a@example.net", false},
		{"v=TLSRPTv1; rua=http://example.net/", "", true},
		{"v=TLSRPTv1; rua=https://user:password@example.net/", "", true},
		{"v=TLSRPTv1; rua=https://example.net:0/", "", true},
		{"v=TLSRPTv1; rua=mailto:postmaster", "", true},
		{"v=TLSRPTv1; rua=mailto:a@example.net%0d%0aBcc%3a%20b@example.net", "", true},
		{"v=TLSRPTv1; rua=mailto:%C3%BC@example.net", "", true},
		{"v=TLSRPTv1; rua=mailto:1@a.example,mailto:2@a.example,mailto:3@a.example,mailto:4@a.example,mailto:5@a.example,mailto:6@a.example",
			"mailto:1@a.example mailto:2@a.example mailto:3@a.example mailto:4@a.example mailto:5@a.example", false},
	} {
		list, err := readRecords(strings.Split(c.texts, "|"))
		var got []string
		for _, one := range list {
			got = append(got, one.uri)
		}
		if strings.Join(got, " ") != c.want || (err != nil) != c.bad {
			t.Errorf("%s: %v, %v", c.texts, got, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("v=TLSRPTv1; rua=mailto:a@example.net,https://example.net:444/x")
	f.Add("v=TLSRPTv1; rua=mailto:%22a%0d%22@example.net; x=y")
	f.Fuzz(func(t *testing.T, text string) {
		list, _ := readRecords([]string{text})
		for _, one := range list {
			if (one.url == nil) == (one.mail.Domain == "") || strings.ContainsAny(one.mail.String(), "\r\n") || one.url != nil && one.port == 0 {
				t.Errorf("%+v", one)
			}
		}
	})
}
