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

// eximACL asks the door at DOOR for each recipient.
const eximACL = `acl_check_rcpt:
  warn
    set acl_m_mailgate = ${readsocket{inet:DOOR}\
        {request=smtpd_access_policy\n\
        protocol_state=RCPT\n\
        sender=$sender_address\n\
        recipient=$local_part@$domain\n\
        client_address=$sender_host_address\n\
        helo_name=$sender_helo_name\n\
        sasl_username=$authenticated_id\n\n}\
        {15s}{ }{action=DUNNO}}
    set acl_m_refuse = ${if match{$acl_m_mailgate}{\N^action=(5\d\d .*?)\s*$\N}{$1}}
    set acl_m_defer = ${if match{$acl_m_mailgate}{\N^action=DEFER_IF_PERMIT (.*?)\s*$\N}{$1}}

  deny
    condition = ${if def:acl_m_refuse}
    message = $acl_m_refuse

  defer
    condition = ${if def:acl_m_defer}
    message = 451 $acl_m_defer

  accept
`

// TestExim: a real Exim asks in its RCPT ACL, and says to its client what it is told.
func TestExim(t *testing.T) {
	o := openDoor(t, "tcp", "127.0.0.1:0")
	config := filepath.Join(t.TempDir(), "exim.conf")
	must(t, os.WriteFile(config, []byte("exim_user = Debian-exim\nprimary_hostname = mx1.gate.test\nacl_smtp_rcpt = acl_check_rcpt\nbegin acl\n"+
		strings.ReplaceAll(eximACL, "DOOR", o.address)), 0o644))
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
