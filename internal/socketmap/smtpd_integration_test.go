//go:build integration

package socketmap

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSMTPD: a real Postfix asks for each recipient, and says to its client what it
// is told.
func TestSMTPD(t *testing.T) {
	o := openDoor(t, "tcp", "127.0.0.1:0")
	address := startSMTPD(t, o.address)
	say := dialogue(t, address)
	say("EHLO client.example", "250 ")
	say("MAIL FROM:<ann@example.net>", "250 2.1.0")
	say("RCPT TO:<bob@gmail.com>", "250 2.1.5")
	want := Ask{Sender: "ann@example.net", Recipient: "bob@gmail.com", Client: netip.MustParseAddr("127.0.0.1"), Helo: "client.example"}
	if got := o.preflight.last(t); got != want {
		t.Errorf("preflight is asked %+v, want %+v", got, want)
	}
	say("RCPT TO:<refuse@gmail.com>", "550 5.7.26 <refuse@gmail.com>: Recipient address rejected: Gmail would refuse this: no SPF, no DKIM")
	say("RCPT TO:<defer@gmail.com>", "450 4.7.26 <defer@gmail.com>: Recipient address rejected: DNS is silent")
	say("RCPT TO:<fault@gmail.com>", "250 2.1.5")
	say("QUIT", "221 ")
}

// dialogue returns what says a line, and wants the begin of the last line of the
// reply.
func dialogue(t *testing.T, address string) func(line, want string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	reply := func(line, want string) {
		t.Helper()
		var all []byte
		for b := make([]byte, 4096); ; {
			n, err := c.Read(b)
			if all = append(all, b[:n]...); err != nil {
				t.Fatalf("%s: %q, %v", line, all, err)
			}
			lines := strings.Split(strings.TrimSuffix(string(all), "\r\n"), "\r\n")
			last := lines[len(lines)-1]
			if !bytes.HasSuffix(all, []byte("\r\n")) || len(last) < 4 || last[3] != ' ' {
				continue
			}
			if !strings.HasPrefix(last, want) {
				t.Errorf("%s: %q, want %q", line, last, want)
			}
			return
		}
	}
	reply("greeting", "220 ")
	return func(line, want string) {
		t.Helper()
		fmt.Fprintf(c, "%s\r\n", line)
		reply(line, want)
	}
}

// startSMTPD starts a Postfix that only listens, and returns where.
func startSMTPD(t *testing.T, policy string) (address string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "mailgate-test-") // which Postfix's own user may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = ln.Addr().String()
	ln.Close()
	etc := filepath.Join(dir, "etc")
	for path, text := range map[string]string{
		"main.cf": fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
meta_directory = /etc/postfix
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
myhostname = mx1.gate.test
mydestination =
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
smtpd_peername_lookup = no
smtpd_relay_restrictions =
smtpd_recipient_restrictions =
    check_policy_service { inet:%[2]s, default_action=DUNNO, timeout=15s }
    permit_mynetworks
    reject_unauth_destination
`, dir, policy),
		"master.cf": address + ` inet n - n - - smtpd
rewrite unix - - n - - trivial-rewrite
cleanup unix n - n - 0 cleanup
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
`,
	} {
		must(t, os.MkdirAll(etc, 0o755))
		must(t, os.WriteFile(filepath.Join(etc, path), []byte(text), 0o644))
	}
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "queue"), 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "data"), 0o755))
	must(t, exec.Command("chown", "postfix", filepath.Join(dir, "data")).Run())
	if out, err := exec.Command("postfix", "-c", etc, "check").CombinedOutput(); err != nil {
		t.Fatalf("postfix check: %v\n%s", err, out)
	}
	startMaster(t, etc)
	for range 3000 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return address
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("Postfix doesn't listen")
	return ""
}

// startMaster starts Postfix's master itself, and ends it with the test.
func startMaster(t *testing.T, etc string) {
	t.Helper()
	daemons, err := exec.Command("postconf", "-c", etc, "-h", "daemon_directory").Output()
	must(t, err)
	master := exec.Command(filepath.Join(strings.TrimSpace(string(daemons)), "master"), "-c", etc, "-d")
	var said bytes.Buffer
	master.Stdout, master.Stderr = &said, &said
	master.WaitDelay = time.Second
	master.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	must(t, master.Start())
	t.Cleanup(func() {
		syscall.Kill(-master.Process.Pid, syscall.SIGTERM)
		forced := time.AfterFunc(10*time.Second, func() { syscall.Kill(-master.Process.Pid, syscall.SIGKILL) })
		master.Wait()
		forced.Stop()
		if log, _ := os.ReadFile(filepath.Join(etc, "..", "mail.log")); t.Failed() {
			t.Logf("Postfix says:\n%s%s", &said, log)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
