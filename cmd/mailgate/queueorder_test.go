package main

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"mailgate/internal/spool"
	"mailgate/internal/web"
)

// What hold and fail say, and the exit code.
func TestQueueOrdersEnd(t *testing.T) {
	second := func(kind web.Kind) func(string, int) (int, web.Problem) {
		return func(id string, _ int) (int, web.Problem) {
			if id == "q0001" {
				return say(kind)
			}
			return 200, web.Problem{}
		}
	}
	for _, tt := range []struct {
		name   string
		review func(string, int) (int, web.Problem)
		args   string
		code   int
		want   string
	}{
		{"held", nil, "hold ALL", 0, "3 messages: 3 held\n"},
		{"given up", nil, "fail ALL", 0, "3 messages: 3 given up\n"},
		{"being delivered", second(web.KindDelivering), "hold ALL", 1, "q0001  stays queued: because\n3 messages: 2 held, 1 stays queued (being delivered right now)\n"},
		{"being delivered, not given up", second(web.KindDelivering), "fail q0000 q0001", 1, "q0001  stays queued: because"},
		{"a fault", second(""), "fail ALL", 1, "q0001  stays queued: failed: because\n3 messages: 2 given up, 1 failed and stays queued\n"},
		{"it left meanwhile", second(web.KindMoved), "hold ALL", 0, "2 held, 1 moved by someone else meanwhile"},
		{"it left meanwhile, and was named", second(web.KindMoved), "hold q0000 q0001", 1, "1 held, 1 moved"},
		{"a dry run", second(web.KindStopped), "hold ALL --dry-run", 0, "3 would be held. Nothing was changed."},
		{"a dry run of fail", second(web.KindStopped), "fail ALL --recipient bob --dry-run", 0, "q0002  would be given up   -> bob@gmail.com (1 of 2 queued)\n"},
		{"as JSON", second(web.KindDelivering), "fail ALL --format json", 1, `{"id":"q0001","result":"delivering","error":"because"}` + "\n"},
		{"the sum as JSON", second(web.KindDelivering), "fail ALL --format json", 1, `"given_up":2,"delivering":1,`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeAPI{held: ids(3), page: 2, group: "queue", review: tt.review}
			if tt.name == "a fault" {
				f.review = func(id string, n int) (int, web.Problem) {
					if id == "q0001" {
						return 500, web.Problem{Error: "because"}
					}
					return 200, web.Problem{}
				}
			}
			code, out, errOut := f.runWith(t, t.Context(), append(strings.Fields(tt.args), "--reason", "x")...)
			if code != tt.code || !strings.Contains(out, tt.want) {
				t.Errorf("exit code %d, want %d with %q:\n%s\n%s", code, tt.code, tt.want, out, errOut)
			}
		})
	}
}

// A release with ALL leaves alone what is held by hand, unless it is asked for by name;
// a discard doesn't.
func TestReleaseAllSparesWhatIsHeldByHand(t *testing.T) {
	for _, tt := range []struct {
		args, to string
		said     bool
	}{
		{"release ALL", "bob@gmail.com", true},
		{"release ALL --held-for by-hand", "bob@gmail.com", false},
		{"release q0000", "", false},
		{"discard ALL", "", false},
	} {
		f := &fakeAPI{held: ids(1), page: 2, reason: spool.ByHand}
		code, _, errOut := f.runWith(t, t.Context(), append(strings.Fields(tt.args), "--reason", "x")...)
		if code != 0 || strings.Join(f.to, ", ") != tt.to || strings.Contains(errOut, "1 recipient is held by hand, left out") != tt.said {
			t.Errorf("%s: exit code %d, ordered for %q\n%s", tt.args, code, f.to, errOut)
		}
	}
}

// Held by hand, a message stays through re-checks and a start until a reviewer
// releases it; given up, its sender gets a report with the reason.
func TestQueueHoldAndFail(t *testing.T) {
	s := startRelaySite(t, routeToBusy(t, "far.test"))
	s.publish()
	for _, subject := range []string{"first", "second", "third"} {
		s.mustSend(subject, "bob@far.test")
		s.await(subject+" waits for another try", func() bool { return s.waits(subject) })
	}
	first, second := s.message("first").ID, s.message("second").ID
	say := func(want string, args ...string) {
		t.Helper()
		if text, err := s.run(args...); err != nil || !strings.Contains(text, want) {
			t.Errorf("%v: %v\n%s\nwant %s", args, err, text, want)
		}
	}
	say(first+"  held\n", "queue", "hold", strings.ToUpper(first), "--reason", "is this spam?")
	say("by-hand", "quarantine", "list", "--held-for", "by-hand")
	say("held by hand", "quarantine", "list", "--held-for", "by-hand")
	say("1 by hand", "quarantine", "list")
	say("1 recipient is held by hand: not checked", "quarantine", "recheck")
	say(": is this spam?", "quarantine", "show", first)
	say("queue fail "+first, "quarantine", "show", first)
	say("requeue  bob@far.test", "quarantine", "log", "--id", first)
	s.stopGateway()
	s.startGateway()
	say("1 recipient is held by hand", "quarantine", "recheck")
	if r := s.message("first").Recipients[0]; r.State != spool.Held || r.Reason != spool.ByHand || r.Now != "by-hand" {
		t.Errorf("%+v", r)
	}
	if text, err := s.run("queue", "hold", first, "--reason", "again"); exitCode(err) != exitFail || !strings.Contains(text+err.Error(), "is not") && !strings.Contains(err.Error(), "no recipient of "+first+" is in the relay's queue: <bob@far.test> is held") {
		t.Errorf("%q, %v", text, err)
	}
	say("queued for delivery", "quarantine", "release", first, "--reason", "it is not")
	s.await("first waits for another try", func() bool { return s.waits("first") })

	say(second+"  would be given up  ann@one.example -> bob@far.test\n", "queue", "fail", second, "--dry-run")
	say(second+"  given up; the report goes to <ann@one.example>\n", "queue", "fail", second, "--reason", "far.test has closed")
	report := s.awaitArrival()
	for _, want := range []string{"gave it up, saying: far.test has closed", "Action: failed", "Final-Recipient: rfc822; bob@far.test", "Content-Type: text/rfc822-headers"} {
		if !strings.Contains(strings.ReplaceAll(report.content, "\r\n", " "), want) {
			t.Errorf("no %q in\n%s", want, report.content)
		}
	}
	if report.to[0] != "ann@one.example" || s.message("second").Recipients[0].State != spool.Bounced {
		t.Errorf("%v, %+v", report.to, s.message("second"))
	}
	text, err := s.run("queue", "fail", "ALL", "--recipient", "@far.test", "--reason", "all of it", "--format", "json")
	var one outcome
	if err != nil || json.Unmarshal([]byte(strings.SplitN(text, "\n", 2)[0]), &one) != nil || one.Result != resultGivenUp || one.ReportTo != "ann@one.example" || !strings.Contains(text, `"given_up":2`) {
		t.Errorf("%v\n%s", err, text)
	}
	s.awaitArrival()
	s.awaitArrival()
	s.await("an empty queue", func() bool { text, err := s.run("queue", "list"); return err == nil && text == "nothing is queued\n" })
}

// A reader of RET=FULL: who asked for the whole message gets it with the report.
func TestRelayReturnsTheWhole(t *testing.T) {
	s := startRelaySite(t, "")
	s.publish()
	for ret, want := range map[string]string{"FULL": "Content-Type: message/rfc822\r\n\r\n", "HDRS": "Content-Type: text/rfc822-headers\r\n\r\n"} {
		s.sendReturning(ret, "lost "+ret, "bob@nomail.test")
		report := s.awaitArrival()
		_, part, found := strings.Cut(report.content, want)
		if !found || strings.Contains(part, "How are you?") != (ret == "FULL") || !strings.Contains(part, "Subject: lost "+ret) {
			t.Errorf("RET=%s:\n%s", ret, report.content)
		}
	}
}

// waits reports whether the relay leaves a message in peace for a while: it was tried, or
// its destination is paused.
func (s *relaySite) waits(subject string) bool {
	s.t.Helper()
	var m web.QueueMessage
	if err := s.get(s.t.Context(), "/v1/queue/messages/"+s.message(subject).ID, nil, &m); err != nil {
		s.t.Fatal(err)
	}
	return time.Until(m.Recipients[0].Next) > 10*time.Second
}

// sendReturning sends with RET (RFC 3461 section 4.3).
func (s *relaySite) sendReturning(ret, subject, to string) {
	s.t.Helper()
	c, err := smtp.Dial(s.relay)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if err := errors.Join(c.Mail("ann@one.example", &smtp.MailOptions{Return: smtp.DSNReturn(ret)}), c.Rcpt(to, nil)); err != nil {
		s.t.Fatal(err)
	}
	data, err := c.Data()
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = io.WriteString(data, letterOf(subject))
	if err = errors.Join(err, data.Close()); err != nil {
		s.t.Fatal(err)
	}
}
