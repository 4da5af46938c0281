package tlsreport

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	netmail "net/mail"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// world is what reports live in.
type world struct {
	t        *testing.T
	mu       sync.Mutex
	now      func() time.Time
	settings Settings
	txt      map[string][]string
	noDNS    error
	mails    []mailed
	refuse   error // the mailer's answer
	notes    map[string]Note
	disk     error // what keeping notes comes to
	counts   map[string]int
	client   func(host string, port uint16) *http.Client
	reports  *Reports
}

type mailed struct {
	to      mail.Address
	content []byte
}

const day1 = Day("2026-11-20")

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, txt: map[string][]string{}, notes: map[string]Note{}, counts: map[string]int{},
		now: func() time.Time { return day1.start().Add(12 * time.Hour) },
		settings: Settings{
			Enabled: true, Hostname: "mx1.sender.example", Name: "Sender, Inc.",
			From: mail.Address{Local: "tls", Domain: "sender.example"},
		},
	}
	w.restart()
	return w
}

// restart begins anew with what memory has.
func (w *world) restart() {
	w.t.Helper()
	r, err := New(w.t.Context(), Options{
		Settings: func() Settings { w.mu.Lock(); defer w.mu.Unlock(); return w.settings },
		DNS:      w, Mailer: w, Memory: w, Metrics: w,
		Client: func(host string, port uint16) *http.Client { return w.client(host, port) },
		Log:    slog.New(slog.NewTextHandler(w.t.Output(), nil)),
		Now:    func() time.Time { return w.now() },
		Jitter: func() time.Duration { return 2 * time.Hour },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.reports = r
}

func (w *world) flush() {
	w.t.Helper()
	if err := w.reports.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wants(domain, rua string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.txt["_smtp._tls."+domain] = []string{"v=TLSRPTv1; rua=" + rua}
}

func (w *world) send() int { return w.reports.Send(w.t.Context(), day1) }

func (w *world) TXT(_ context.Context, name string) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.txt[name], w.noDNS
}

func (w *world) Mail(_ context.Context, _, to mail.Address, content []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse == nil {
		w.mails = append(w.mails, mailed{to, content})
	}
	return w.refuse
}

func (w *world) Report(via, result string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[via+" "+result]++
}

func (w *world) Recall(context.Context) ([]Note, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Note
	for _, n := range w.notes {
		if w.now().Before(n.Until) {
			list = append(list, n)
		}
	}
	return list, nil
}

func (w *world) Keep(_ context.Context, n Note) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts["kept"]++
	if w.disk == nil {
		w.notes[n.Name] = n
	}
	return w.disk
}

func (w *world) Forget(_ context.Context, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.notes, name)
	return nil
}

func (w *world) noteNames() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.notes))
}

// sent is how many messages were mailed.
func (w *world) sent() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.mails)
}

func well(domain mail.Domain) Session {
	return Session{
		Domain: domain, Host: "mx." + domain, Local: netip.MustParseAddr("203.0.113.9"), Remote: netip.MustParseAddr("198.51.100.7"),
		Policy: tlspolicy.Policy{Level: tlspolicy.May, Source: tlspolicy.FromDefault},
	}
}

func failed(domain mail.Domain, err error) Session {
	s := well(domain)
	s.Err = err
	return s
}

var errAny = errors.New("something else")

// opened is a report as its receiver takes it out of the mail.
type opened struct {
	header   netmail.Header
	text     string
	filename string
	json     []byte
}

func open(t *testing.T, content []byte) opened {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	o := opened{header: m.Header}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "tlsrpt" {
		t.Fatalf("content type %s %v %v", kind, params, err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	text, err := parts.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	words, err := io.ReadAll(text)
	if err != nil {
		t.Fatal(err)
	}
	o.text = string(words)
	part, err := parts.NextPart()
	if err != nil || part.Header.Get("Content-Type") != "application/tlsrpt+gzip" || part.Header.Get("Content-Transfer-Encoding") != "base64" {
		t.Fatalf("%v, %v", part, err)
	}
	o.filename = part.FileName()
	encoded, err := io.ReadAll(part)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(encoded), "\r\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	o.json = unzip(t, packed)
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("after the report: %v", err)
	}
	return o
}

func unzip(t *testing.T, packed []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
