package main

import (
	"bytes"
	"encoding/json"
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

// What can't be delivered shows in the queue with the last answer, and a retry has it
// tried at once.
func TestQueueCommands(t *testing.T) {
	s := startRelaySite(t, "[[route]]\ndestination = \"far.test\"\nvia = \"127.0.0.1:1\"\n")
	s.publish()
	if text, err := s.run("queue", "list"); err != nil || text != "nothing is queued\n" {
		t.Errorf("empty: %q, %v", text, err)
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
		{[]string{"queue", "list"}, "refused"},
		{[]string{"queue", "list", "far.test"}, id},
		{[]string{"queue", "list", "far.test", "--format", "json"}, `"tries": 1`},
		{[]string{"queue", "show", id}, "<bob@far.test>  queued after 1 try, next in "},
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
