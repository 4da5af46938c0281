package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"mailgate/internal/relay"
	"mailgate/internal/web"
)

// run gives a command of the running gateway's user, and returns what it prints.
func (s *relaySite) run(args ...string) (string, error) {
	s.t.Helper()
	var out bytes.Buffer
	root := newRoot(&app{})
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append(args, "--socket", s.client.socket))
	err := root.ExecuteContext(s.t.Context())
	return out.String(), err
}

// routeToBusy is the configuration of a route to a receiver that takes nothing now, and
// isn't tried a second time before the test has ended.
func routeToBusy(t *testing.T, destination string) string {
	t.Helper()
	address, close, err := startBusy()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close() })
	return fmt.Sprintf("[queue]\nretry_first = \"4h\"\n[[route]]\ndestination = %q\nvia = %q\n", destination, address)
}

// What can't be delivered shows in the queue with the last answer, and a retry has it
// tried at once.
func TestQueueCommands(t *testing.T) {
	s := startRelaySite(t, routeToBusy(t, "far.test"))
	s.publish()
	if text, err := s.run("queue", "list"); err != nil || text != "nothing is queued\n" {
		t.Errorf("empty: %q, %v", text, err)
	}
	if text, err := s.run("queue", "flush"); err != nil || text != "nothing is queued\n" {
		t.Errorf("flush: %q, %v", text, err)
	}
	if text, err := s.run("queue", "list", "--limit", "-1"); err == nil || exitCode(err) != exitUsage {
		t.Errorf("less than nothing: %q, %v", text, err)
	}
	s.mustSend("far", "bob@far.test")
	id := s.message("far").ID
	tries := func() int {
		var m web.QueueMessage
		text, err := s.run("queue", "show", id, "--format", "json")
		if err != nil || json.Unmarshal([]byte(text), &m) != nil || len(m.Recipients) != 1 {
			t.Fatalf("show: %q, %v", text, err)
		}
		return m.Recipients[0].Tries
	}
	s.await("the first try", func() bool { return tries() == 1 })
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"queue", "list"}, "far.test"},
		{[]string{"queue", "list"}, "try again later"},
		{[]string{"queue", "list", "far.test"}, id},
		{[]string{"queue", "list", "far.test"}, "  1      none  "},
		{[]string{"queue", "list", "far.test", "--limit", "0"}, id},
		{[]string{"queue", "list", "--limit", "0"}, "far.test"},
		{[]string{"queue", "list", "far.test", "--format", "json"}, `"tries": 1`},
		{[]string{"queue", "list", "far.test", "--format", "json"}, `"tried": "2`},
		{[]string{"queue", "show", id}, "<bob@far.test>  queued after 1 try, the last "},
		{[]string{"queue", "show", id}, " ago, next in "},
		{[]string{"queue", "retry", "far.test"}, "1 recipient is tried now"},
	} {
		if text, err := s.run(c.args...); err != nil || !strings.Contains(text, c.want) {
			t.Errorf("%v: %v\n%s\nwant %s", c.args, err, text, c.want)
		}
	}
	s.await("the second try", func() bool { return tries() == 2 })
	if text, err := s.run("queue", "retry", id); err != nil {
		t.Errorf("%q, %v", text, err)
	}
	s.await("the third try", func() bool { return tries() == 3 })
	if text, err := s.run("queue", "flush"); err != nil {
		t.Errorf("%q, %v", text, err)
	}
	for _, args := range [][]string{{"queue", "retry", "b.test"}, {"queue", "show", "zzzzz"}, {"queue", "retry", "zzzzz"}} {
		if _, err := s.run(args...); err == nil || exitCode(err) != exitFail {
			t.Errorf("%v: %v", args, err)
		}
	}
	if _, err := s.run("queue", "list", "a b.test"); err == nil || exitCode(err) != exitUsage {
		t.Errorf("no domain: %v", err)
	}
	var p relay.Predictions
	if text, err := s.run("queue", "predictions", "--format", "json"); err != nil || json.Unmarshal([]byte(text), &p) != nil || p.Latest == nil {
		t.Errorf("predictions: %q, %v", text, err)
	}
	if text, err := s.run("queue", "predictions"); err != nil || !strings.Contains(text, "0 agreed, 0 missed") {
		t.Errorf("predictions: %q, %v", text, err)
	}
}

// A list for a destination has what is queued for that domain, however it is written,
// and nothing else: neither that of a longer one, nor its share of the limit.
func TestQueueListOfADestination(t *testing.T) {
	s := startRelaySite(t, routeToBusy(t, "*"))
	s.publish()
	queued := map[string]string{}
	for _, to := range []string{"bob@far.test", "bob@xn--bcher-kva.test", "bob@far.testing"} {
		s.mustSend(to, to)
		queued[to] = s.message(to).ID
	}
	for _, c := range []struct{ typed, want string }{
		{"far.test", "bob@far.test"},
		{"FAR.Test.", "bob@far.test"},
		{"bücher.test", "bob@xn--bcher-kva.test"},
		{"xn--bcher-kva.test", "bob@xn--bcher-kva.test"},
		{"far.testing", "bob@far.testing"},
	} {
		text, err := s.run("queue", "list", c.typed, "--limit", "1")
		if err != nil || strings.Count(text, "\n") != 2 || !strings.Contains(text, queued[c.want]) {
			t.Errorf("%s: %v\n%s", c.typed, err, text)
		}
	}
	for _, typed := range []string{"ar.test", "test", "far.tes"} {
		if text, err := s.run("queue", "list", typed); err != nil || text != "nothing is queued there\n" {
			t.Errorf("%s: %q, %v", typed, text, err)
		}
	}
	var older struct{ Messages []web.QueueMessage }
	if err := s.get(t.Context(), "/v1/queue/messages", map[string][]string{"after": {queued["bob@far.testing"]}}, &older); err != nil || len(older.Messages) != 2 {
		t.Errorf("after: %+v, %v", older, err)
	}
	var none struct{ Messages []web.QueueMessage }
	if err := s.get(t.Context(), "/v1/queue/messages", map[string][]string{"destination": {"far.tes"}}, &none); err != nil || len(none.Messages) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}
