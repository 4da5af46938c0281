//go:build integration

package integration

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// dsn is a delivery status notification as python3's email package reads it.
type dsn struct {
	Type, Report string
	Header       map[string]string
	Parts        []string
	Text         string
	Message      map[string]string
	Recipients   []map[string]string
	Original     map[string]string
	Defects      []string
}

func readDSN(t *testing.T, message []byte) dsn {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "../../internal/notice/testdata/parse.py")
	cmd.Stdin = bytes.NewReader(message)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("parse.py: %v\n%s\n%s", err, stderr.Bytes(), message)
	}
	var d dsn
	if err := json.Unmarshal(out, &d); err != nil {
		t.Fatalf("parse.py said %q: %v", out, err)
	}
	return d
}

// noticeWorld is one in which bad.test's mail would be refused, that of a null
// sender too, and mailgate can sign what it writes itself.
func noticeWorld(t *testing.T, hold string) *world {
	return newWorld(t, plan{
		ours: []string{"bad.test", "mx1.gate.test"},
		publish: func(d domain) []string {
			if d.name == "bad.test" {
				return append(unauthenticated(d), txt("_dmarc", "v=DMARC1; p=reject"))
			}
			return append(d.records(), "@ A 203.0.113.9", txt("@", "v=spf1 a -all"))
		},
		extra: hold,
	})
}

// change replaces a line of the configuration while mailgate runs.
func (w *world) change(t *testing.T, old, line string) {
	t.Helper()
	config, err := os.ReadFile(w.gate.config)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(config), old) {
		t.Fatalf("no %q in\n%s", old, config)
	}
	writeFile(t, w.gate.config, strings.Replace(string(config), old, line, 1), 0o600)
	if out, exit := w.gate.command(t, "reload", "--config", w.gate.config); exit != 0 || strings.Contains(out, "restart") {
		t.Fatalf("reload: exit %d\n%s", exit, out)
	}
}

// wantNotice checks that a message is from mailgate itself, by the null sender,
// signed, and without a trace of the release token.
func (w *world) wantNotice(t *testing.T, m receipt) {
	t.Helper()
	if m.from != "" {
		t.Errorf("a notice from <%s>, want the null sender", m.from)
	}
	if bytes.Contains(bytes.ToLower(m.raw), []byte("x-mailgate-release")) {
		t.Errorf("the token is in the notice\n%s", m.raw)
	}
	var signed []string
	for _, s := range verify(t, w.dns.resolver, m.raw) {
		if !s.OK || s.Domain != "mx1.gate.test" {
			t.Errorf("signature %+v", s)
		}
		signed = append(signed, s.Selector)
	}
	slices.Sort(signed)
	if !slices.Equal(signed, []string{"mail", "mail-e"}) {
		t.Errorf("signed by %v", signed)
	}
}

// wantDSN checks the fields of a report.
func wantDSN(t *testing.T, m receipt, action, status, recipient, subject string) {
	t.Helper()
	d := readDSN(t, m.raw)
	if d.Type != "multipart/report" || d.Report != "delivery-status" || len(d.Defects) > 0 || d.Header["Auto-Submitted"] != "auto-replied" {
		t.Errorf("%+v", d)
	}
	if len(d.Recipients) != 1 {
		t.Fatalf("recipients %v", d.Recipients)
	}
	r := d.Recipients[0]
	if r["Action"] != action || r["Status"] != status || r["Final-Recipient"] != "rfc822; "+recipient || !strings.HasPrefix(r["Diagnostic-Code"], "x-mailgate; ") {
		t.Errorf("%s report: %v", action, r)
	}
	if d.Message["Reporting-MTA"] != "dns; mx1.gate.test" || d.Original["Subject"] != subject {
		t.Errorf("of the message: %v; original header: %v", d.Message, d.Original)
	}
	wantMentioned(t, d.Text, "dkim-missing", "mail._domainkey", "v=DKIM1")
}

// TestNotices: a sender is told that a message is late, and gets it back in the
// end; what has no sender goes to the postmaster. Nothing goes round in circles.
func TestNotices(t *testing.T) {
	w := noticeWorld(t, "notify_after = \"\"\nmax_age = \"0\"\npostmaster = \"\"\ndigest = \"2s\"\n")
	const from, to, postmaster = "ann@bad.test", "bob@gmail.com", "postmaster@gate.test"
	w.change(t, `postmaster = ""`, `postmaster = "`+postmaster+`"`) // from now on there is a digest
	w.submit(t, from, []string{to}, compose(from, to, "quarterly figures", "Hello.\r\n"))

	w.gate.wantHeld(t, []string{to}, "refused", "dkim-missing")
	w.change(t, `notify_after = ""`, `notify_after = "1s"`)
	late := w.receiver.wait(t, from)
	w.wantNotice(t, late)
	wantDSN(t, late, "delayed", "4.7.0", to, "quarterly figures")
	w.gate.onlyHeld(t)

	digest := w.receiver.wait(t, postmaster)
	w.wantNotice(t, digest)
	wantMentioned(t, string(digest.raw), "newly held", "bad.test", "dkim-missing", "mail._domainkey", "quarantine list --domain bad.test")

	// A bounce of somebody else's, and a message whose sender takes no mail.
	w.submit(t, "", []string{to}, compose(from, to, "a bounce", "Not delivered.\r\n"))
	w.receiver.refuse("gone@bad.test")
	w.submit(t, "gone@bad.test", []string{to}, compose("gone@bad.test", to, "from nowhere", "Hello.\r\n"))
	eventually(t, "three messages in quarantine", func() bool {
		all := w.gate.held(t)
		return len(all) == 3 && !slices.ContainsFunc(all, func(m heldMessage) bool { return !m.is([]string{to}, "refused", []string{"dkim-missing"}) })
	})

	w.change(t, `max_age = "0"`, `max_age = "1s"`)
	w.gate.noneHeld(t)
	eventually(t, "the return", func() bool { return len(w.receiver.arrived(from)) == 2 })
	returned := w.receiver.arrived(from)[1]
	w.wantNotice(t, returned)
	wantDSN(t, returned, "failed", "5.7.26", to, "quarterly figures")

	orphan := func() []receipt {
		return slices.DeleteFunc(w.receiver.arrived(postmaster), func(m receipt) bool {
			return !bytes.Contains(m.raw, []byte("multipart/report"))
		})
	}
	eventually(t, "the report on the bounce", func() bool { return len(orphan()) == 1 })
	w.wantNotice(t, orphan()[0])
	wantDSN(t, orphan()[0], "failed", "5.7.26", to, "a bounce")

	// Postfix drops the notices it can't deliver: they come from the null sender.
	eventually(t, "Postfix to give up the notices for gone@bad.test", func() bool {
		log, err := os.ReadFile(w.postfix.mailLog)
		return err == nil && strings.Count(string(log), "to=<gone@bad.test>") >= 1 && strings.Contains(string(log), "status=bounced") && w.postfix.empty(t)
	})
	w.gate.noneHeld(t)
	if n := len(w.receiver.arrived(to)); n != 0 {
		t.Errorf("%d messages left that would be refused", n)
	}
	if n := len(w.receiver.arrived("MAILER-DAEMON@mx1.gate.test")); n != 0 {
		t.Errorf("%d bounces of notices", n)
	}
	if n, m := len(w.receiver.arrived(from)), len(orphan()); n != 2 || m != 1 {
		t.Errorf("%d notices to the sender, %d reports to the postmaster", n, m)
	}
	log, _ := w.gate.run(t, "quarantine", "list", "--state", "bounced", "--format", "json")
	if n := strings.Count(log, `"state": "bounced"`); n != 3 {
		t.Errorf("%d recipients bounced, want 3\n%s", n, log)
	}
}

// empty reports whether nothing is in Postfix's queue.
func (p *postfix) empty(t *testing.T) bool {
	t.Helper()
	out, err := exec.Command("postqueue", "-c", p.dir+"/etc", "-j").Output()
	if err != nil {
		t.Fatalf("postqueue: %v", err)
	}
	return len(bytes.TrimSpace(out)) == 0
}
