package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"mailgate/internal/quarantine"
	"mailgate/internal/relay"
)

// fakeQueue notes the orders it gets.
type fakeQueue struct {
	Queue
	got []string
	err error
}

func (q *fakeQueue) note(what string, o QueueOrder) {
	q.got = append(q.got, fmt.Sprintf("%s %s %v: %s", what, o.ID, o.Recipients, o.Reason))
	if o.Actor == "" {
		q.got = append(q.got, "nobody")
	}
}

func (q *fakeQueue) Hold(_ context.Context, o QueueOrder) (QueueHeld, error) {
	q.note("hold", o)
	return QueueHeld{ID: o.ID, Recipients: []string{"bob@gmail.com"}}, q.err
}

func (q *fakeQueue) GiveUp(_ context.Context, o QueueOrder) (QueueGivenUp, error) {
	q.note("fail", o)
	return QueueGivenUp{ID: o.ID, Recipients: []string{"bob@gmail.com"}, ReportTo: "ann@example.com"}, q.err
}

func TestQueueOrders(t *testing.T) {
	for _, c := range []struct {
		path, body string
		err        error
		status     int
		want       string // of the answer
		order      string
	}{
		{"q7f3a/hold", `{"reason":"spam?"}`, nil, 200, `{"id":"q7f3a","recipients":["bob@gmail.com"]}`, "hold q7f3a []: spam?"},
		{"Q7F3A/fail", `{"reason":"gone","recipients":["bob@gmail.com"]}`, nil, 200, `"report_to":"ann@example.com"`, "fail q7f3a [bob@gmail.com]: gone"},
		{"q7f3a/hold", `{"reason":" "}`, nil, 400, `"kind":"request"`, ""},
		{"q7f3a/fail", `{}`, nil, 400, "reason: say why", ""},
		{"q7f3a/fail", `{"reason":"` + strings.Repeat("x", 501) + `"}`, nil, 400, "longer than 500", ""},
		{"q7f3a/hold", `{"reason":"x","anyway":true}`, nil, 400, "for a release", ""},
		{"q7f3a/hold", `{"reason":"x","force":true}`, nil, 400, "unknown field", ""},
		{"q7f3a/hold?all=1", `{"reason":"x"}`, nil, 400, "unknown query key", ""},
		{"q7f3a/hold", `{"reason":"x"}`, fmt.Errorf("hold: %w", relay.ErrDelivering), 409, `"kind":"delivering"`, "hold q7f3a []: x"},
		{"q7f3a/fail", `{"reason":"x"}`, quarantine.ErrConflict, 409, `"kind":"moved"`, "fail q7f3a []: x"},
		{"q7f3a/fail", `{"reason":"x"}`, quarantine.ErrNotFound, 404, `"kind":"not_found"`, "fail q7f3a []: x"},
		{"q7f3a/fail", `{"reason":"x"}`, errors.New("no room"), 500, "no room", "fail q7f3a []: x"},
	} {
		q := &fakeQueue{err: c.err}
		s := &site{}
		s.serve(t, New(Options{Queue: q, Registry: prometheus.NewRegistry()}))
		r, err := s.client.Post("http://mailgate/v1/queue/messages/"+c.path, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if got := strings.Join(q.got, ", "); r.StatusCode != c.status || !strings.Contains(string(answer), c.want) || got != c.order {
			t.Errorf("%s %s: %d %s\nordered %q, want %q", c.path, c.body, r.StatusCode, answer, got, c.order)
		}
		if r, err := s.client.Get("http://mailgate/v1/queue/messages/" + c.path); err != nil || r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %v", c.path, err)
		}
	}
}
