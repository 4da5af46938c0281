//go:build integration

package integration

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestEximIncidentKeyOnlyInPanel: from a local program's submission to Exim to the
// hold, and to arrival once the name servers have the record.
func TestEximIncidentKeyOnlyInPanel(t *testing.T) {
	w := newEximWorld(t, plan{
		ours: []string{"panel.test"},
		publish: func(domain) []string {
			return []string{"@ MX 10 mx1.gate.test.", txt("@", "v=spf1 ip4:192.0.2.1 ~all")}
		},
		panel: complete,
	}, "")
	w.startExim(t, w.relay)
	const from, to = "ann@panel.test", "bob@gmail.com"
	message := compose(from, to, "panel", "Hello.\r\n.\r\nBye.\r\n")
	w.exim.submit(t, from, message)

	held := w.gate.wantHeld(t, []string{to}, "refused", "dkim-only-on-local-dns")
	if id := w.taken(t, to); id != held.ID {
		t.Errorf("Exim was told the id %q, it is held as %s", id, held.ID)
	}
	out, exit := w.gate.verdict(t, "check", "panel.test", "--to", "gmail.com")
	if exit != 1 {
		t.Errorf("check: exit %d, want 1", exit)
	}
	wantMentioned(t, out, "dkim-only-on-local-dns", "ada.ns.cloudflare.com", "5.7.26", "Cloudflare", "mail._domainkey", "v=DKIM1")
	if n := len(w.receiver.arrived(to)); n != 0 {
		t.Fatalf("%d messages left", n)
	}

	w.dns.publish(t, "panel.test", complete(w.domains["panel.test"])...)
	w.wantSigned(t, "panel.test", w.receiver.only(t, to), message)
	w.gate.noneHeld(t)
	out, _ = w.gate.run(t, "quarantine", "log", "--id", held.ID)
	wantMentioned(t, out, "hold ", "release ", "deliver ")
}

// taken waits until Exim's main log says that mailgate took a message for somebody,
// and returns mailgate's id, as docs/exim.md says where to find it.
func (w *eximWorld) taken(t *testing.T, to string) (id string) {
	t.Helper()
	line := w.exim.logged(t, `^.* ([-\w]{16,23}) `+takenLine(to))
	w.exim.logged(t, ` `+line[1]+` Completed$`)
	return line[2]
}

// What Exim's main log says of a recipient: the submatch is mailgate's id, or its
// answer.
func takenLine(to string) string {
	return `=> ` + to + ` R=mailgate T=mailgate_smtp .*C="250 2\.0\.0 taken as (\w+)"`
}

func rejectedLine(to string) string {
	return `\*\* ` + to + ` R=mailgate T=mailgate_smtp .*: SMTP error from remote mail server after .*: (550 5\.7\.26 mailgate: dkim-missing, spf-missing: .*)$`
}

// TestEximDelivers: mail given to Exim by SMTP and by a local program arrives signed,
// and mailgate knows it under the id in Exim's log.
func TestEximDelivers(t *testing.T) {
	w := newEximWorld(t, plan{ours: []string{"good.test"}}, "")
	w.startExim(t, w.relay)
	const from = "ann@good.test"
	message := compose(from, "smtp@gmail.com, cid@other.test", "by SMTP", "Grüße.\r\n..\r\n"+strings.Repeat("A line of text.\r\n", 10_000))
	if err := send(connect(t, w.exim.address, ""), from, []string{"smtp@gmail.com", "cid@other.test"}, message); err != nil {
		t.Fatal(err)
	}
	local := compose(from, "local@gmail.com", "by a program", "Hello.\r\n")
	w.exim.submit(t, from, local)

	ids := map[string]bool{}
	for to, submitted := range map[string][]byte{"smtp@gmail.com": message, "cid@other.test": message, "local@gmail.com": local} {
		m := w.receiver.only(t, to)
		w.wantSigned(t, "good.test", m, submitted)
		if m.from != from || len(m.to) != 1 {
			t.Errorf("envelope <%s> → %v, want <%s> → <%s>", m.from, m.to, from, to)
		}
		id := w.taken(t, to)
		ids[id] = true
		var out string
		eventually(t, id+" to be delivered", func() bool {
			out, _ = w.gate.run(t, "queue", "show", id)
			return strings.Contains(out, "delivered")
		})
		wantMentioned(t, out, to)
	}
	if len(ids) != 3 {
		t.Errorf("ids %v, want one for each message and domain", ids)
	}
	if n := w.exim.queued(t); n != 0 {
		t.Errorf("%d messages in Exim's queue, want none", n)
	}
}

// TestEximRejected: with policy.refused = "reject" Exim is told in the session, and
// returns the message to its sender at once.
func TestEximRejected(t *testing.T) {
	w := newEximWorld(t, plan{
		ours: []string{"bad.test", "mx1.gate.test"},
		publish: func(d domain) []string {
			if d.name == "bad.test" {
				return []string{"@ MX 5 mx.other.test."}
			}
			return append(d.records(), "@ A 203.0.113.9", txt("@", "v=spf1 a -all"))
		},
		extra: "[policy]\nrefused = \"reject\"\n",
	}, "")
	w.startExim(t, w.relay)
	const from, to = "ann@bad.test", "bob@gmail.com"
	w.exim.submit(t, from, compose(from, to, "rejected", "Hello.\r\n"))

	line := w.exim.logged(t, rejectedLine(to))
	wantMentioned(t, line[1], "mail._domainkey.bad.test", "203.0.113.9")
	bounce := w.receiver.only(t, from)
	if bounce.from != "" {
		t.Errorf("the bounce is from <%s>, want the null sender", bounce.from)
	}
	wantMentioned(t, string(bounce.raw), "From: Mail Delivery System <Mailer-Daemon@mx1.gate.test>", to, "550 5.7.26", "dkim-missing", "Subject: rejected")
	for _, s := range verify(t, w.dns.resolver, bounce.raw) {
		if !s.OK || s.Domain != "mx1.gate.test" {
			t.Errorf("signature of the bounce: %+v", s)
		}
	}
	if bytes.Count(bounce.raw, []byte("DKIM-Signature:")) != 2 {
		t.Errorf("the bounce is not signed by both keys\n%s", bounce.raw)
	}
	if n := len(w.receiver.arrived(to)); n != 0 {
		t.Errorf("%d messages left", n)
	}
	w.gate.noneHeld(t)
	if n := w.exim.queued(t); n != 0 {
		t.Errorf("%d messages in Exim's queue, want none", n)
	}
}

// TestEximWithoutMailgate: mailgate is killed while a message comes in, and stays
// away. Exim keeps all mail, and delivers it when mailgate is back: each message
// once, and signed.
func TestEximWithoutMailgate(t *testing.T) {
	w := newEximWorld(t, plan{ours: []string{"good.test"}}, "")
	trap := newSnare(t, w.relay, 256<<10, func() { w.gate.kill() })
	w.startExim(t, trap.address)
	const from = "ann@good.test"
	sent := map[string][]byte{}
	submit := func(to, body string) {
		sent[to] = compose(from, to, to, body)
		w.exim.submit(t, from, sent[to])
	}
	submit("large@gmail.com", strings.Repeat("Some line of some message.\r\n", 20_000))
	eventually(t, "mailgate to be killed", trap.sprung)
	for i := range 3 {
		submit(fmt.Sprintf("b%d@gmail.com", i), "Hello.\r\n")
	}
	for to := range sent {
		w.exim.logged(t, ` == `+to+` R=mailgate T=mailgate_smtp defer `)
		if n := len(w.receiver.arrived(to)); n != 0 {
			t.Errorf("%d messages for %s left past mailgate", n, to)
		}
	}
	if n := w.exim.queued(t); n != len(sent) {
		t.Errorf("%d messages in Exim's queue, want %d", n, len(sent))
	}

	w.serve(t)
	for to, message := range sent {
		w.wantSigned(t, "good.test", w.receiver.only(t, to), message)
		w.taken(t, to)
	}
	eventually(t, "Exim's queue to be empty", func() bool { return w.exim.queued(t) == 0 })
	if strings.Contains(w.exim.log("main"), " ** ") {
		t.Error("Exim gave something up")
	}
	for to := range sent {
		w.receiver.only(t, to)
	}
}
