//go:build integration

package integration

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEximAsksAtRCPT: with the statements of docs/exim.md in its RCPT ACL, Exim tells
// its client what mailgate foretells.
func TestEximAsksAtRCPT(t *testing.T) {
	w := newTLSWorld(t)
	w.zones["good.test"] = unauthenticated(w.our)
	w.extra = "[policy]\nrefused = \"reject\"\n"
	w.start(t)
	statements := replaced(t, readManual(t).block(t, "    message = $acl_m_refuse"), "127.0.0.1:8461", w.lookup)
	conf := filepath.Join(w.dir, "exim.conf")
	writeFile(t, conf, "exim_user = Debian-exim\nprimary_hostname = mx1.gate.test\nacl_smtp_rcpt = check_rcpt\nbegin acl\ncheck_rcpt:\n"+
		statements+"\n  accept\n", 0o644)
	ask := func(from, to string) string {
		cmd := exec.Command(eximBinary, "-C", conf, "-bh", "127.0.0.1")
		cmd.Stdin = strings.NewReader("EHLO client.test\r\nMAIL FROM:<" + from + ">\r\nRCPT TO:<" + to + ">\r\nQUIT\r\n")
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("exim: %v\n%s", err, &said)
		}
		_, reply, _ := strings.Cut(string(out), "250 OK\r\n") // to MAIL
		reply, _, _ = strings.Cut(reply, "\r\n")
		return reply
	}
	eventually(t, "Exim to refuse a sender that would be refused", func() bool { // not before DNS has told
		reply := ask("ann@good.test", "bob@gmail.com")
		return strings.HasPrefix(reply, "550") && strings.Contains(reply, "5.7.26")
	})
	if reply := ask("ann@stranger.test", "bob@gmail.com"); !strings.HasPrefix(reply, "250 ") {
		t.Errorf("of a domain that isn't ours, Exim says %q", reply)
	}
	w.gate.stop()
	if reply := ask("ann@good.test", "bob@gmail.com"); !strings.HasPrefix(reply, "250 ") {
		t.Errorf("while mailgate is away, Exim says %q", reply)
	}
}
