package publish

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"mailgate/internal/dnsview"
)

func TestSecretIsNeverTold(t *testing.T) {
	a := Account{Provider: Cloudflare, Secret: NewSecret(" " + secretText + "\n")}
	if a.Secret.text() != secretText {
		t.Errorf("the secret is %q", a.Secret.text())
	}
	h := mustOpen(t, a)
	var told bytes.Buffer
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&told, nil)), slog.New(slog.NewJSONHandler(&told, nil))} {
		log.Info("account", "account", a, "secret", a.Secret, "host", h, "hosts", []any{h, *h}, "pointer", &a)
	}
	for _, v := range []any{a, &a, a.Secret, &a.Secret, h, *h, []Account{a}, map[string]any{"a": a, "h": h}, struct{ h *Host }{h}, struct{ a Account }{a}} {
		fmt.Fprintf(&told, "%v %+v %#v %s %q %x %d\n", v, v, v, v, v, v, v)
	}
	js, err := json.Marshal(struct {
		Account Account
		Host    any
	}{Account{Provider: a.Provider, Secret: a.Secret}, nil})
	if err != nil {
		t.Fatal(err)
	}
	told.Write(js)
	for _, s := range []string{secretText, fmt.Sprintf("%x", secretText), fmt.Sprint([]byte(secretText))} {
		if strings.Contains(told.String(), s) {
			t.Errorf("%q is in\n%s", s, told.String())
		}
	}
	if !strings.Contains(told.String(), "(secret)") {
		t.Error("nothing says that there is a secret")
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		a    Account
		says string
	}{
		{Account{}, "no DNS host"},
		{Account{Provider: Cloudflare}, "no secret"},
		{Account{Provider: Aliyun, Secret: NewSecret("x")}, "id of the access key"},
		{Account{Provider: Aliyun, KeyID: "x"}, "no secret"},
		{Account{Provider: Route53, KeyID: "x"}, "neither"},
		{Account{Provider: Route53, Secret: NewSecret("x")}, "neither"},
		{Account{Provider: RFC2136, Secret: NewSecret("eA==")}, "primary server"},
		{Account{Provider: RFC2136, Server: "192.0.2.1:53", KeyName: "k"}, "no secret"},
		{Account{Provider: RFC2136, Server: "192.0.2.1:53", KeyName: "k", Secret: NewSecret("not base64!")}, "base64"},
	} {
		_, err := Open(c.a)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "not base64!") {
			t.Errorf("%+v: %v, want %q", c.a, err, c.says)
		}
	}
}

func TestPlanKeepsToItsZone(t *testing.T) {
	h := mustOpen(t, Account{Provider: Cloudflare, Zone: "Example.com", Secret: NewSecret("x"), Transport: unreachable{t}})
	_, err := h.Plan(t.Context(), "example.net", []Want{{Name: "example.net", Type: "TXT", Value: "x"}})
	if err == nil || !strings.Contains(err.Error(), "example.com only") {
		t.Error(err)
	}
}

// unreachable fails a test that asks anybody.
type unreachable struct{ t *testing.T }

func (u unreachable) RoundTrip(req *http.Request) (*http.Response, error) {
	u.t.Errorf("asked %s", req.URL)
	return nil, http.ErrServerClosed
}

// Texts come back from each spelling as they went in.
func FuzzSpelling(f *testing.F) {
	for _, s := range []string{"", "v=spf1 -all", `a"b\c`, "\x00\xff é", strings.Repeat("x", 256), `" "`, `\123`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := awsText(awsQuoted(s)); got != s {
			t.Errorf("Route 53: %q became %q", s, got)
		}
		_ = dnsview.Unescape(s)
		_ = joined(s)
		if strings.ContainsFunc(s, unprintable) {
			return
		}
		if got, ok := unquoteAll(spelled(s)); !ok || got != s {
			t.Errorf("Cloudflare: %q became %q, %v", s, got, ok)
		}
	})
}
