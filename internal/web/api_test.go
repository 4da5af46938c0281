package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/notice"
	"mailgate/internal/preflight"
	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
	"mailgate/internal/store"
)

// site is an API on a Unix socket over a real store.
type site struct {
	store  *store.Store
	redeem func(context.Context, string) (string, bool, error)
	client *http.Client
	refuse bool // what the judge says
	reload error
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{}
	var err error
	if s.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "m.db"), store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	q := quarantine.New(s.store, quarantine.Options{
		Judge: func() quarantine.Judge { return s }, Injector: s, Policy: func() quarantine.Policy { return quarantine.Policy{AutoRelease: true} },
		Publish: func(context.Context, *preflight.Report) []notice.Record {
			return []notice.Record{{At: "Cloudflare", Type: "TXT"}}
		},
	})
	s.redeem = q.Redeem
	api := New(Options{
		Quarantine: q,
		Registry:   prometheus.NewRegistry(),
		Status:     func() Status { return Status{Version: "1", Mode: "enforce"} },
		Reload:     func(context.Context) ([]string, error) { return []string{"note"}, s.reload },
	})
	s.serve(t, api)
	return s
}

func (s *site) serve(t *testing.T, api *API) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- api.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	s.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
}

func (s *site) Judge(_ context.Context, _ mail.Domain, _ mail.Address, to []mail.Address) gate.Verdict {
	v := gate.Verdict{Report: &preflight.Report{From: "example.com"}}
	for _, a := range to {
		r := gate.Recipient{Address: a, Disposition: gate.Pass}
		if s.refuse {
			r = gate.Recipient{Address: a, Disposition: gate.Hold, Cause: gate.CauseRefused}
		}
		v.Recipients = append(v.Recipients, r)
	}
	return v
}

func (s *site) JudgeAfresh(ctx context.Context, from mail.Domain, sender mail.Address, to []mail.Address) gate.Verdict {
	return s.Judge(ctx, from, sender, to)
}

func (s *site) Inject(ctx context.Context, _ *spool.Message, to []mail.Address, token string, _ io.Reader) ([]spool.Handover, error) {
	if _, ok, err := s.redeem(ctx, token); err != nil || !ok {
		return nil, fmt.Errorf("redeemed %v: %w", ok, err)
	}
	var list []spool.Handover
	for _, a := range to {
		list = append(list, spool.Handover{Recipient: a, Answer: "queued as 1"})
	}
	return list, nil
}

func (s *site) hold(t *testing.T) string {
	t.Helper()
	bob := mail.Address{Local: "bob", Domain: "gmail.com"}
	m := &spool.Message{
		Source: "milter", From: mail.Address{Local: "ann", Domain: "example.com"}, Subject: "<script>",
		Envelope:   mail.Envelope{To: []mail.Address{bob}},
		Recipients: []spool.Recipient{{Address: bob, State: spool.Held, Reason: spool.Refused}},
		Evidence:   []byte(`{"from":"example.com"}`),
	}
	if err := s.store.Take(t.Context(), m, strings.NewReader("original")); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// holdForTwo holds a message to Bob, whom Gmail would refuse, and Carol, who waits.
func (s *site) holdForTwo(t *testing.T) string {
	t.Helper()
	bob, carol := mail.Address{Local: "bob", Domain: "gmail.com"}, mail.Address{Local: "carol", Domain: "yahoo.com"}
	m := &spool.Message{
		Source: "milter", From: mail.Address{Local: "ann", Domain: "example.com"},
		Envelope: mail.Envelope{To: []mail.Address{bob, carol}},
		Recipients: []spool.Recipient{
			{Address: bob, State: spool.Held, Reason: spool.Refused, Provider: "google", Codes: []string{"dkim-missing"}},
			{Address: carol, State: spool.Held, Reason: spool.Waiting, Provider: "yahoo", Codes: []string{"dns-unreachable"}},
		},
	}
	if err := s.store.Take(t.Context(), m, strings.NewReader("original")); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// TestListMarksSelectedRecipients: programs that act on what a filter about
// recipients selects are told whom it means.
func TestListMarksSelectedRecipients(t *testing.T) {
	s := newSite(t)
	s.holdForTwo(t)
	for query, want := range map[string]string{
		"": "bob carol", "domain=example.com": "bob carol", "state=all": "bob carol",
		"recipient=CAROL": "carol", "recipient=@gmail": "bob",
		"provider=google": "bob", "provider=yahoo": "carol",
		"code=dkim": "bob", "code=dns-unreachable": "carol",
		"reason=refused": "bob", "reason=waiting": "carol",
	} {
		_, body := s.call(t, "GET", "/v1/quarantine?"+query, "")
		var page struct {
			Messages []struct {
				Recipients []struct {
					Address  string
					Selected bool
					Now      string
				}
			}
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Messages) != 1 {
			t.Fatalf("%s: %v %s", query, err, body)
		}
		var got []string
		for i, r := range page.Messages[0].Recipients {
			if r.Selected {
				local, _, _ := strings.Cut(r.Address, "@")
				got = append(got, local)
			}
			if now := []string{"refuse", "unknown"}[i]; r.Now != now {
				t.Errorf("%s: %s would %q now, want %q", query, r.Address, r.Now, now)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s selects %v, want %s", query, got, want)
		}
	}
}

// call returns status and body.
func (s *site) call(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://mailgate"+path, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

func TestAnswers(t *testing.T) {
	s := newSite(t)
	id := s.hold(t)
	tests := []struct {
		method, path, body string
		status             int
		want               string // part of the answer
	}{
		{"GET", "/v1/status", "", 200, `"held":1`},
		{"GET", "/v1/quarantine", "", 200, `"id":"` + id + `"`},
		{"GET", "/v1/quarantine?state=delivered", "", 200, `"messages":[]`},
		{"GET", "/v1/quarantine?state=lost", "", 400, "lost"},
		{"GET", "/v1/quarantine?limit=0", "", 400, "limit"},
		{"GET", "/v1/quarantine?limit=x", "", 400, "limit"},
		{"GET", "/v1/quarantine?limit=1001", "", 400, "1 to 1000"},
		{"GET", "/v1/quarantine?since=today", "", 400, "since"},
		{"GET", "/v1/quarantine?domian=example.com", "", 400, `unknown query key \"domian\": there are state, reason, domain`},
		{"GET", "/v1/quarantine?domain=a.example&domain=b.example", "", 400, "2 times"},
		{"GET", "/v1/quarantine?state=held&state=queued", "", 200, `"id":"` + id + `"`},
		{"GET", "/v1/quarantine?sort=oldest&text=SCRIPT&recipient=bob@&sender=ann&domain=example.com&reason=refused", "", 200, `"id":"` + id + `"`},
		{"GET", "/v1/quarantine?text=other", "", 200, `"messages":[]`},
		{"GET", "/v1/quarantine?sort=smallest", "", 400, "newest, oldest or largest"},
		{"GET", "/v1/quarantine?%zz", "", 400, "error"},
		{"GET", "/v1/quarantine/" + id + "?full=1", "", 400, "there are none here"},
		{"GET", "/v1/log", "", 200, `"action":"hold"`},
		{"GET", "/v1/log?id=" + id + "&oldest=true&action=hold&recipient=bob&limit=1&after=0", "", 200, `"n":1`},
		{"GET", "/v1/log?actor=nobody", "", 200, `"entries":[]`},
		{"GET", "/v1/log?until=2001-01-01T00:00:00Z", "", 200, `"entries":[]`},
		{"GET", "/v1/log?since=2001-01-01T00:00:00Z", "", 200, `"n":1`},
		{"GET", "/v1/log?until=today", "", 400, "until"},
		{"GET", "/v1/log?since=2001-01-02T00:00:00Z&until=2001-01-01T00:00:00Z", "", 400, "not before until"},
		{"GET", "/v1/log?oldest=maybe", "", 400, "true or false"},
		{"GET", "/v1/log?after=-1", "", 400, "after"},
		{"GET", "/v1/log?action=drink", "", 400, "there are hold, queue, release"},
		{"GET", "/v1/log?sort=oldest", "", 400, "there are id, recipient, action"},
		{"GET", "/v1/log/verify", "", 200, `"right":true`},
		{"GET", "/v1/log/verify?against=1:00", "", 400, "1234:"},
		{"GET", "/v1/log/verify?against=9:" + strings.Repeat("0", 64), "", 200, `"right":false`},
		{"GET", "/v1/quarantine/" + id, "", 200, `"publish":[{"at":"Cloudflare"`},
		{"GET", "/v1/quarantine/" + id + "/raw", "", 200, "original"},
		{"GET", "/v1/quarantine/" + strings.ToUpper(id), "", 200, `"id":"` + id + `"`},
		{"GET", "/v1/quarantine/" + strings.ToUpper(id) + "/raw", "", 200, "original"},
		{"GET", "/v1/log?id=" + strings.ToUpper(id), "", 200, `"n":1`},
		{"GET", "/v1/quarantine?after=" + strings.ToUpper(id), "", 200, `"messages":[]`},
		{"POST", "/v1/recheck", `{"ids":["ZZZZZ"]}`, 404, "message zzzzz"},
		{"GET", "/v1/quarantine?code=DKIM-Missing", "", 200, `"messages":[]`},
		{"GET", "/v1/quarantine?provider=hotmail", "", 400, "it is google, microsoft, yahoo, apple, qq, other or unknown"},
		{"GET", "/v1/quarantine/none/raw", "", 404, "original of message none: not found"},
		{"POST", "/v1/quarantine/" + id + "/discard", `{"reason":"` + strings.Repeat("ü", 501) + `"}`, 400, "longer than 500 characters"},
		{"GET", "/v1/quarantine/none", "", 404, "not found"},
		{"GET", "/v1/quarantine/none/raw", "", 404, "not found"},
		{"GET", "/v1/quarantine/..%2f..%2fetc", "", 404, "not found"},
		{"POST", "/v1/quarantine/none/release", `{"reason":"x"}`, 404, "not found"},
		{"POST", "/v1/quarantine/" + id + "/discard", `{}`, 400, "reason"},
		{"POST", "/v1/quarantine/" + id + "/discard", `{"raeson":"x"}`, 400, "unknown field"},
		{"POST", "/v1/quarantine/" + id + "/release", `not JSON`, 400, "error"},
		{"POST", "/v1/quarantine/" + id + "/release", `{"reason":"x","recipients":["a b"]}`, 400, "recipient"},
		{"POST", "/v1/quarantine/" + id + "/release", `{"reason":"x"}{}`, 400, "after the object"},
		{"POST", "/v1/quarantine/" + id + "/release?anyway=true", `{"reason":"x"}`, 400, "unknown query key"},
		{"GET", "/v1/quarantine/" + id + "/release", "", 405, ""},
		{"POST", "/v1/recheck", `{"idz":["x"]}`, 400, "unknown field"},
		{"POST", "/v1/reload", "{}", 200, "note"},
		{"GET", "/metrics", "", 200, ""},
		{"GET", "/debug/pprof/cmdline", "", 200, ""},
	}
	for _, tt := range tests {
		status, body := s.call(t, tt.method, tt.path, tt.body)
		if status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s: %d %s; want %d with %q", tt.method, tt.path, status, body, tt.status, tt.want)
		}
	}
}

func TestReleaseNamesTheUser(t *testing.T) {
	s := newSite(t)
	id := s.hold(t)
	s.refuse = true
	if status, body := s.call(t, "POST", "/v1/quarantine/"+id+"/release", `{"reason":"x"}`); status != 412 {
		t.Errorf("would be refused: %d %s", status, body)
	}
	s.refuse = false
	if status, body := s.call(t, "POST", "/v1/quarantine/"+id+"/release", `{"reason":"x"}`); status != 200 || !strings.Contains(body, "queued as 1") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := s.call(t, "POST", "/v1/quarantine/"+id+"/release", `{"reason":"x"}`); status != 409 {
		t.Errorf("a second release: %d", status)
	}
	var d quarantine.Detail
	_, body := s.call(t, "GET", "/v1/quarantine/"+id, "")
	if err := json.Unmarshal([]byte(body), &d); err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if last := d.Log[len(d.Log)-1]; last.Actor != me.Username || last.Action != spool.ActionDeliver {
		t.Errorf("log %+v, want it done by %s", last, me.Username)
	}
}

// TestRecheckTellsItsResultLast: JSON lines, and the last one is the result.
func TestRecheckTellsItsResultLast(t *testing.T) {
	s := newSite(t)
	s.hold(t)
	status, body := s.call(t, "POST", "/v1/recheck", "")
	lines := strings.Split(strings.TrimSpace(body), "\n")
	var last RecheckLine
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	if last.Result == nil || last.Result.Recipients != 1 || last.Result.Released != 1 {
		t.Errorf("%d %s", status, body)
	}
}

func TestPacedSaysHowLongToWait(t *testing.T) {
	w := httptest.NewRecorder()
	(&API{}).fail(w, fmt.Errorf("release q7f3a: %w", &quarantine.PaceError{Wait: 1200 * time.Millisecond}))
	if w.Code != 429 || w.Header().Get("Retry-After") != "2" || !strings.Contains(w.Body.String(), `"kind":"paced","retry_after":1.2`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// TestKinds: programs tell refusals apart by one word.
func TestKinds(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		kind   Kind
	}{
		{quarantine.ErrNotFound, 404, KindNotFound}, {quarantine.ErrConflict, 409, KindMoved},
		{quarantine.ErrWouldBeRefused, 412, KindRefused}, {quarantine.ErrForeign, 412, KindForeign},
		{quarantine.ErrWaiting, 425, KindWaiting}, {quarantine.ErrNotTaken, 502, KindNotTaken},
		{quarantine.ErrStopping, 503, KindStopped}, {errors.New("odd"), 500, ""},
	} {
		status, problem := problemOf(fmt.Errorf("release: %w", tt.err))
		if status != tt.status || problem.Kind != tt.kind {
			t.Errorf("%v: %d %q, want %d %q", tt.err, status, problem.Kind, tt.status, tt.kind)
		}
	}
}

func TestStoppedStoreIsUnavailable(t *testing.T) {
	s := newSite(t)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	if status, body := s.call(t, "GET", "/v1/quarantine", ""); status != 503 {
		t.Errorf("%d %s", status, body)
	}
}

func TestReloadRefused(t *testing.T) {
	s := newSite(t)
	s.reload = errors.New("mailgate.toml:3:1: modus: unknown key")
	if status, body := s.call(t, "POST", "/v1/reload", "{}"); status != 422 || !strings.Contains(body, "3:1") {
		t.Errorf("%d %s", status, body)
	}
}
