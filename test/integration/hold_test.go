//go:build integration

package integration

import (
	"slices"
	"strings"
	"testing"
)

// TestHoldAndRelease: what Gmail would refuse is held, and leaves by itself, signed
// afresh and once, when the zone is mended.
func TestHoldAndRelease(t *testing.T) {
	w := newWorld(t, plan{ours: []string{"bad.test"}, publish: unauthenticated})
	const from, to = "ann@bad.test", "bob@gmail.com"
	message := compose(from, to, "held", "Hello.\r\n.\r\n8bit: ü\r\n")
	w.submit(t, from, []string{to}, message)
	w.gate.wantHeld(t, []string{to}, "refused", "dkim-missing", "spf-missing")
	if n := len(w.receiver.arrived(to)); n != 0 {
		t.Fatalf("%d messages left", n)
	}

	w.dns.publish(t, "bad.test", complete(w.domains["bad.test"])...)
	m := w.receiver.wait(t, to)
	w.gate.noneHeld(t)
	w.wantSigned(t, "bad.test", m, message)
	if m.from != from || !slices.Equal(m.to, []string{to}) {
		t.Errorf("envelope <%s> → %v, want <%s> → <%s>", m.from, m.to, from, to)
	}

	later := compose(from, "later@gmail.com", "later", "Hello.\r\n")
	w.submit(t, from, []string{"later@gmail.com"}, later)
	w.wantSigned(t, "bad.test", w.receiver.only(t, "later@gmail.com"), later)
	w.receiver.only(t, to)
}

// TestPartialHold: the copy for Gmail is held, the other one leaves now.
func TestPartialHold(t *testing.T) {
	w := newWorld(t, plan{ours: []string{"bad.test"}, publish: unauthenticated})
	const from, google, other = "ann@bad.test", "bob@gmail.com", "cid@other.test"
	message := compose(from, google+", "+other, "partly", "Hello.\r\n")
	w.submit(t, from, []string{google, other}, message)

	now := w.receiver.only(t, other)
	wantOriginal(t, now, message, 2)
	if !slices.Equal(now.to, []string{other}) {
		t.Errorf("left now for %v, want only %s", now.to, other)
	}
	w.gate.wantHeld(t, []string{google}, "refused")

	w.dns.publish(t, "bad.test", complete(w.domains["bad.test"])...)
	w.wantSigned(t, "bad.test", w.receiver.only(t, google), message)
	w.gate.noneHeld(t)
	if n := len(w.receiver.arrived(other)); n != 1 {
		t.Errorf("%s got %d copies, want 1", other, n)
	}
}

// TestReview: with the automatic release off, a reviewer discards one message and
// releases the other when the record is published.
func TestReview(t *testing.T) {
	w := newWorld(t, plan{ours: []string{"bad.test"}, publish: unauthenticated, extra: "auto_release = false\n"})
	const from, spam, to = "ann@bad.test", "spam@gmail.com", "bob@gmail.com"
	w.submit(t, from, []string{spam}, compose(from, spam, "to discard", "Hello.\r\n"))
	id := w.gate.wantHeld(t, []string{spam}, "refused").ID
	eventually(t, "quarantine show to predict 5.7.26", func() bool {
		out, _ := w.gate.run(t, "quarantine", "show", id)
		return strings.Contains(out, "5.7.26")
	})
	if out, exit := w.gate.run(t, "quarantine", "discard", id, "--reason", "compromised account"); exit != 0 {
		t.Fatalf("discard: exit %d\n%s", exit, out)
	}
	w.gate.noneHeld(t)

	message := compose(from, to, "to release", "Hello.\r\n")
	w.submit(t, from, []string{to}, message)
	id = w.gate.onlyHeld(t).ID
	w.dns.publish(t, "bad.test", complete(w.domains["bad.test"])...)
	if out, exit := w.gate.run(t, "quarantine", "release", id, "--reason", "record published"); exit != 0 {
		t.Fatalf("release: exit %d\n%s", exit, out)
	}
	w.wantSigned(t, "bad.test", w.receiver.only(t, to), message)
	w.gate.noneHeld(t)
	if n := len(w.receiver.arrived(spam)); n != 0 {
		t.Errorf("%d discarded messages left", n)
	}
}

// TestReleaseWithoutMilter: where released mail would go past the milter, it stays;
// nothing leaves unsigned, and the command says why.
func TestReleaseWithoutMilter(t *testing.T) {
	w := newWorld(t, plan{ours: []string{"bad.test"}, publish: unauthenticated, via: withoutMilter(), extra: "auto_release = false\n"})
	const from, to = "ann@bad.test", "bob@gmail.com"
	w.submit(t, from, []string{to}, compose(from, to, "held", "Hello.\r\n"))
	id := w.gate.onlyHeld(t).ID
	w.dns.publish(t, "bad.test", complete(w.domains["bad.test"])...)
	out, exit := w.gate.command(t, "quarantine", "release", id, "--reason", "record published",
		"--config", w.gate.config, "--format", "json")
	if exit != 1 || !strings.Contains(out, "doesn't pass mail through this milter") {
		t.Errorf("release: exit %d\n%s", exit, out)
	}
	w.gate.onlyHeld(t)
	if n := len(w.receiver.arrived(to)); n != 0 {
		t.Errorf("%d messages left past the milter", n)
	}
}
