//go:build integration

package socketmap

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// eximBinary is where test/exim.sh unpacks Exim.
const eximBinary = "/var/cache/mailgate-test/exim/usr/sbin/exim4"

// eximACL is what docs/exim.md has for a RCPT ACL, with the door at an address.
func eximACL(t *testing.T, address string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/exim.md")
	must(t, err)
	const manual = "127.0.0.1:8461"
	var found []string
	for i, part := range strings.Split(string(text), "\n```") {
		_, code, _ := strings.Cut(part, "\n") // past the language
		if i%2 == 1 && strings.Contains(code, "${readsocket{inet:"+manual+"}") {
			found = append(found, code)
		}
	}
	if len(found) != 1 {
		t.Fatalf("docs/exim.md has %d examples that ask at %s, want 1", len(found), manual)
	}
	patient := strings.ReplaceAll(found[0], "{15s}", "{5m}")
	return "acl_check_rcpt:\n" + strings.ReplaceAll(patient, manual, address) + "\n  accept\n"
}

// TestExim: a real Exim asks in its RCPT ACL as docs/exim.md has it, and says to its client what it is told.
func TestExim(t *testing.T) {
	o := openDoor(t, "tcp", "127.0.0.1:0")
	config := filepath.Join(t.TempDir(), "exim.conf")
	must(t, os.WriteFile(config, []byte("exim_user = Debian-exim\nprimary_hostname = mx1.gate.test\nacl_smtp_rcpt = acl_check_rcpt\nbegin acl\n"+
		eximACL(t, o.address)), 0o644))
	exim := exec.Command(eximBinary, "-C", config, "-bh", "192.0.2.7")
	exim.Stdin = strings.NewReader("EHLO client.example\r\nMAIL FROM:<ann@example.net>\r\n" +
		"RCPT TO:<refuse@gmail.com>\r\nRCPT TO:<defer@gmail.com>\r\nRCPT TO:<fault@gmail.com>\r\nRCPT TO:<bob@gmail.com>\r\nQUIT\r\n")
	var stderr bytes.Buffer
	exim.Stderr = &stderr
	out, err := exim.Output()
	if err != nil {
		t.Fatalf("exim: %v\n%s", err, &stderr)
	}
	_, replies, _ := strings.Cut(string(out), "250 OK\r\n") // to MAIL
	const want = "550 5.7.26 Gmail would refuse this: no SPF, no DKIM\r\n451 4.7.26 DNS is silent\r\n250 Accepted\r\n250 Accepted\r\n221 "
	if !strings.HasPrefix(replies, want) {
		t.Errorf("Exim says %q, want %q\n%s", replies, want, &stderr)
	}
	asked := Ask{Sender: "ann@example.net", Recipient: "bob@gmail.com", Client: netip.MustParseAddr("192.0.2.7"), Helo: "client.example"}
	if got := o.preflight.last(t); got != asked {
		t.Errorf("preflight is asked %+v, want %+v", got, asked)
	}
}
