package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/quarantine"
)

// fakeRotations notes the orders it gets.
type fakeRotations struct {
	got []string
	err error
}

func (f *fakeRotations) note(what string, o RotationOrder, actor string) ([]Rotation, error) {
	f.got = append(f.got, fmt.Sprintf("%s %+v by %s", what, o, actor))
	return []Rotation{{Domain: o.Domain, State: "publishing"}}, f.err
}

func (f *fakeRotations) Rotations(_ context.Context, domain string) ([]Rotation, error) {
	return f.note("list", RotationOrder{Domain: domain}, "")
}

func (f *fakeRotations) Rotate(_ context.Context, o RotationOrder, actor string) ([]Rotation, error) {
	return f.note("rotate", o, actor)
}

func (f *fakeRotations) CancelRotation(_ context.Context, o RotationOrder, actor string) ([]Rotation, error) {
	return f.note("cancel", o, actor)
}

func TestRotationRoutes(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		err                error
		status             int
		want, order        string
	}{
		{"GET", "", "", nil, 200, `{"rotations":[{"domain":""`, "list {Domain: Selector: DryRun:false Again:false} by "},
		{"GET", "?domain=a.example", "", nil, 200, `"domain":"a.example"`, "list {Domain:a.example Selector: DryRun:false Again:false} by "},
		{"GET", "?domian=a.example", "", nil, 400, "unknown query key", ""},
		{"POST", "", `{"domain":"a.example","selector":"mail","dry_run":true}`, nil, 200, `"state":"publishing"`,
			"rotate {Domain:a.example Selector:mail DryRun:true Again:false} by unknown"},
		{"POST", "/cancel", `{"domain":"a.example"}`, nil, 200, `"a.example"`, "cancel {Domain:a.example Selector: DryRun:false Again:false} by unknown"},
		{"POST", "", `{}`, nil, 400, "it names no domain", ""},
		{"POST", "", `{"domain":"a.example","now":true}`, nil, 400, "unknown field", ""},
		{"POST", "/cancel", `{"domain":"a.example"}`, quarantine.ErrConflict, 409, `"kind":"moved"`, "cancel {Domain:a.example Selector: DryRun:false Again:false} by unknown"},
		{"POST", "", `{"domain":"a.example"}`, quarantine.ErrWaiting, 425, `"kind":"waiting"`, "rotate {Domain:a.example Selector: DryRun:false Again:false} by unknown"},
		{"DELETE", "", "", nil, 405, "", ""},
	} {
		f := &fakeRotations{err: c.err}
		server := httptest.NewServer(New(Options{Rotations: f, Registry: prometheus.NewRegistry()}).Handler())
		request, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+"/v1/rotations"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		server.Close()
		if response.StatusCode != c.status || !strings.Contains(string(body), c.want) || strings.Join(f.got, "; ") != c.order {
			t.Errorf("%s %s %s: %d %s, order %q; want %d %s, %q", c.method, c.path, c.body, response.StatusCode, body, f.got, c.status, c.want, c.order)
		}
	}
}
