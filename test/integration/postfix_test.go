//go:build integration

package integration

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// postfix is one instance with directories of its own.
type postfix struct {
	*process
	dir     string
	address string // where it takes mail
	mailLog string
}

// startPostfix starts an instance that passes mail through the milter and hands
// everything to nextHop.
func startPostfix(t *testing.T, dir, milter, nextHop string) *postfix {
	t.Helper()
	p := &postfix{dir: dir, address: address(0, 10) + ":25", mailLog: filepath.Join(dir, "mail.log")}
	host, port, err := net.SplitHostPort(nextHop)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "etc", "main.cf"), mainCf(dir, p.mailLog, milter, fmt.Sprintf("[%s]:%s", host, port)), 0o644)
	writeFile(t, filepath.Join(dir, "etc", "master.cf"), masterCf(p.address), 0o644)
	for _, d := range []string{"queue", "data"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "postfix", filepath.Join(dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v %s", err, out)
	}
	awaitFree(t, p.address, withoutMilter())
	p.process = start(t, dir, "master", makeQueue(t, filepath.Join(dir, "etc")), "-c", filepath.Join(dir, "etc"), "-d")
	t.Cleanup(func() {
		if t.Failed() {
			mail, _ := os.ReadFile(p.mailLog)
			t.Logf("Postfix says:\n%s", mail)
		}
	})
	p.ready(t, func() bool { return listening("tcp", p.address) })
	return p
}

// awaitFree waits until nobody listens at some addresses: the children of a master that
// was stopped have its sockets, and end after it.
func awaitFree(t *testing.T, addresses ...string) {
	t.Helper()
	for _, at := range addresses {
		eventually(t, "nobody to listen at "+at, func() bool {
			l, err := net.Listen("tcp", at)
			if err != nil {
				return false
			}
			l.Close()
			return true
		})
	}
}

// makeQueue makes the queue's directories and returns the path of Postfix's master,
// which is started without the scripts, whose end it would survive.
func makeQueue(t *testing.T, etc string) string {
	t.Helper()
	if out, err := exec.Command("postfix", "-c", etc, "check").CombinedOutput(); err != nil {
		t.Fatalf("postfix check: %v\n%s", err, out)
	}
	out, err := exec.Command("postconf", "-c", etc, "-h", "daemon_directory").Output()
	if err != nil {
		t.Fatalf("postconf: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "master")
}

func mainCf(dir, log, milter, relayhost string) string {
	return fmt.Sprintf(`compatibility_level = 3.6
config_directory = %[1]s/etc
queue_directory = %[1]s/queue
data_directory = %[1]s/data
meta_directory = /etc/postfix
maillog_file = %[2]s
maillog_file_prefixes = %[1]s
myhostname = mx1.gate.test
mydestination =
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
local_transport = error:no local mail here
relayhost = %[4]s
smtputf8_enable = yes
smtpd_peername_lookup = no
smtpd_milters = %[3]s
non_smtpd_milters = %[3]s
milter_default_action = tempfail
milter_protocol = 6
milter_connect_timeout = 100s
milter_command_timeout = 100s
message_size_limit = 104857600
mailbox_size_limit = 0
smtp_tls_security_level = none
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
in_flow_delay = 0
default_process_limit = 20
`, dir, log, milter, relayhost)
}

// withoutMilter is where the same Postfix takes mail that it doesn't show to the
// milter.
func withoutMilter() string { return address(0, 10) + ":2626" }

func masterCf(listen string) string {
	return listen + ` inet n - n - - smtpd
` + withoutMilter() + ` inet n - n - - smtpd -o smtpd_milters=
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`
}

// sendmail submits as a local program does: no SMTP, no client address.
func (p *postfix) sendmail(t *testing.T, from, to string, message []byte) {
	t.Helper()
	cmd := exec.Command("/usr/sbin/sendmail", "-C", filepath.Join(p.dir, "etc"), "-i", "-f", from, to)
	cmd.Stdin = bytes.NewReader(message)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sendmail: %v\n%s", err, out)
	}
}

// listening reports whether something accepts connections there.
func listening(network, address string) bool {
	c, err := net.Dial(network, address)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
