package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"encoding/json"
)

const secretText = "s3cr3t/of+the account=="

const foreign = "google-site-verification=abc"

// dkimRecord is about as long as one of RSA 2048.
var dkimRecord = "v=DKIM1; k=rsa; p=" + strings.Repeat("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", 12)

// towards sends every request to a test's server, whatever host it is for.
type towards struct{ to *url.URL }

func (t towards) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Host = req.URL.Host
	req.URL.Scheme, req.URL.Host = t.to.Scheme, t.to.Host
	return http.DefaultTransport.RoundTrip(req)
}

func serve(t *testing.T, handler http.Handler) http.RoundTripper {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return towards{to}
}

// api is what the tests of the three interfaces share: what is at the host, as it spells it.
type api interface {
	http.Handler
	put(name, text string)      // one more TXT record, or "CNAME target"
	texts(name string) []string // as the host spells them, sorted
	steps() []string            // what changed anything, since the last time
	fail(status int, code string)
}

func mustOpen(t *testing.T, a Account) *Host {
	t.Helper()
	h, err := Open(a)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%q, want\n%q", what, got, want)
	}
}

// publishes goes through what every host must be able to do. spell says how the host
// spells a text, replaced is the step that puts a new value in an old one's place.
func publishes(t *testing.T, h *Host, host api, spell func(string) string, replaced string) {
	t.Helper()
	ctx := context.Background()
	const oldSPF, newSPF = "v=spf1 mx -all", "v=spf1 mx ip4:192.0.2.1 -all"
	for i := range 25 { // more than a page
		host.put(fmt.Sprintf("h%d.example.com", i), "x")
	}
	host.put("xmail._domainkey.example.com", "v=DKIM1; p=another's")
	host.put("example.com", spell(foreign))
	host.put("example.com", spell(oldSPF))
	wants := []Want{
		{Name: "mail._domainkey.example.com", Type: "TXT", Value: dkimRecord},
		{Name: "example.com", Type: "TXT", Value: newSPF, Replaces: []string{oldSPF}},
	}
	plan, err := h.Plan(ctx, "example.com", wants)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "Plan writes", host.steps(), nil)
	if err := h.Apply(ctx, plan); err != nil {
		t.Fatal(err)
	}
	equal(t, "DKIM", host.texts("mail._domainkey.example.com"), []string{spell(dkimRecord)})
	equal(t, "apex", host.texts("example.com"), []string{spell(foreign), spell(newSPF)})
	if steps := host.steps(); len(steps) != 2 || steps[1] != replaced {
		t.Errorf("steps %q: want the SPF record replaced by %q", steps, replaced)
	}
	if plan, err = h.Plan(ctx, "example.com", wants); err != nil || !plan.Empty() {
		t.Errorf("once more: %+v, %v", plan, err)
	}
	plan, err = h.Plan(ctx, "example.com", []Want{{Name: "mail._domainkey.example.com", Type: "TXT", Value: "v=DKIM1; p=", Replaces: []string{dkimRecord}}})
	if err == nil {
		err = h.Apply(ctx, plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "revoked", host.texts("mail._domainkey.example.com"), []string{spell("v=DKIM1; p=")})
	for _, gone := range []Want{
		{Name: "mail._domainkey.example.com", Type: "TXT", Replaces: []string{"v=DKIM1; p="}},
		{Name: "example.com", Type: "TXT", Replaces: []string{newSPF}},
	} {
		plan, err = h.Plan(ctx, "example.com", []Want{gone})
		if err == nil {
			err = h.Apply(ctx, plan)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, long := range []Want{
		{Name: "long._domainkey.example.com", Type: "TXT", Value: dkimRecord},
		{Name: "long._domainkey.example.com", Type: "TXT", Replaces: []string{dkimRecord}},
	} {
		plan, err = h.Plan(ctx, "example.com", []Want{long})
		if err == nil {
			err = h.Apply(ctx, plan)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "a long one, taken away", host.texts("long._domainkey.example.com"), nil)
	equal(t, "taken away", host.texts("mail._domainkey.example.com"), nil)
	equal(t, "apex without SPF", host.texts("example.com"), []string{spell(foreign)})
	equal(t, "a name like it", host.texts("xmail._domainkey.example.com"), []string{"v=DKIM1; p=another's"})
}

// several takes two SPF records for one, without a moment with none.
func several(t *testing.T, h *Host, host api, spell func(string) string) {
	t.Helper()
	ctx := context.Background()
	host.put("two.example.com", spell("v=spf1 a -all"))
	host.put("two.example.com", spell("v=spf1 mx -all"))
	plan, err := h.Plan(ctx, "example.com", []Want{{Name: "two.example.com", Type: "TXT", Value: "v=spf1 a mx -all", Replaces: []string{"v=spf1 a -all", "v=spf1 mx -all"}}})
	if err == nil {
		err = h.Apply(ctx, plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "merged", host.texts("two.example.com"), []string{spell("v=spf1 a mx -all")})
}

// refuses goes through what no host must do.
func refuses(t *testing.T, h *Host, host api, spell func(string) string) {
	t.Helper()
	ctx := context.Background()
	host.put("alias._domainkey.example.com", "CNAME key.example.net")
	host.put("spf.example.com", spell("v=spf1 mx -all"))
	host.steps()
	for _, c := range []struct {
		name string
		zone string
		want Want
		err  error
	}{
		{"an alias", "example.com", Want{Name: "alias._domainkey.example.com", Type: "TXT", Value: "v=DKIM1; p=x"}, ErrCannot},
		{"a second SPF record", "example.com", Want{Name: "spf.example.com", Type: "TXT", Value: "v=spf1 a -all", Replaces: []string{"v=spf1 old -all"}}, ErrChanged},
		{"another's zone", "example.org", Want{Name: "example.org", Type: "TXT", Value: "x"}, ErrZone},
		{"a name outside", "example.com", Want{Name: "notexample.com", Type: "TXT", Value: "x"}, ErrZone},
		{"another type", "example.com", Want{Name: "example.com", Type: "MX", Value: "x"}, ErrCannot},
		{"a line break", "example.com", Want{Name: "example.com", Type: "TXT", Value: "x\ny"}, ErrCannot},
	} {
		if _, err := h.Plan(ctx, c.zone, []Want{c.want}); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
	plan, err := h.Plan(ctx, "example.com", []Want{{Name: "spf.example.com", Type: "TXT", Value: "v=spf1 a -all", Replaces: []string{"v=spf1 mx -all"}}})
	if err != nil {
		t.Fatal(err)
	}
	host.put("spf.example.com", spell("another=1"))
	if err := h.Apply(ctx, plan); !errors.Is(err, ErrChanged) {
		t.Errorf("changed meanwhile: %v", err)
	}
	equal(t, "written", host.steps(), nil)
}

// fails sees what each refusal of the host is taken for, and that nothing tells the
// secret.
func fails(t *testing.T, h *Host, host api, cases []failure) {
	t.Helper()
	var told strings.Builder
	log := slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{Level: slog.LevelDebug}))
	old := slog.Default()
	slog.SetDefault(log)
	t.Cleanup(func() { slog.SetDefault(old) })
	for _, c := range cases {
		host.fail(c.status, c.code)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		_, err := h.Plan(ctx, "example.com", []Want{{Name: "example.com", Type: "TXT", Value: "x"}})
		cancel()
		host.fail(0, "")
		if err == nil || c.err != nil && !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%d %s: %v, want %v that says %q", c.status, c.code, err, c.err, c.says)
		}
		log.Debug("plan", "err", err, "host", h)
		js, _ := json.Marshal(map[string]any{"err": fmt.Sprint(err), "host": h})
		fmt.Fprintf(&told, "%v %+v %#v %s %s", err, h, h, js, fmt.Sprintf("%+v", []any{h, *h}))
	}
	if strings.Contains(told.String(), secretText) || strings.Contains(told.String(), url.QueryEscape(secretText)) {
		t.Errorf("the secret is told:\n%s", told.String())
	}
}

type failure struct {
	status int
	code   string
	err    error
	says   string
}
