//go:build integration

package socketmap

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// postfix is one instance with directories of its own.
type postfix struct {
	address string // where it takes mail
	log     string
}

// startPostfix starts an instance with more settings.
func startPostfix(t *testing.T, settings string) postfix {
	t.Helper()
	dir, err := os.MkdirTemp("", "mailgate-test-") // which Postfix's own user may enter
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := postfix{address: freeAddress(t), log: filepath.Join(dir, "mail.log")}
	etc := filepath.Join(dir, "etc")
	must(t, os.Chmod(dir, 0o755))
	for _, d := range []string{"etc", "queue", "data"} {
		must(t, os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	must(t, exec.Command("chown", "postfix", filepath.Join(dir, "data")).Run())
	must(t, os.WriteFile(filepath.Join(etc, "main.cf"), []byte(mainCf(dir)+settings), 0o644))
	must(t, os.WriteFile(filepath.Join(etc, "master.cf"), []byte(p.address+masterCf), 0o644))
	if out, err := exec.Command("postfix", "-c", etc, "check").CombinedOutput(); err != nil {
		t.Fatalf("postfix check: %v\n%s", err, out)
	}
	p.startMaster(t, etc)
	eventually(t, "Postfix to listen", func() bool {
		c, err := net.Dial("tcp", p.address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return p
}

// freeAddress is an address and port that nobody else takes meanwhile: what is made at
// 127.0.0.1 isn't there.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 200+rand.IntN(50), rand.IntN(256), 1+rand.IntN(254)))
	must(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

func mainCf(dir string) string {
	return fmt.Sprintf(`compatibility_level = 3.6
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
`, dir)
}

// masterCf follows the address of smtpd.
const masterCf = ` inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// startMaster starts Postfix's master itself, and ends it with the test.
func (p postfix) startMaster(t *testing.T, etc string) {
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
		if t.Failed() {
			t.Logf("Postfix says:\n%s%s", &said, p.lines())
		}
	})
}

// lines is Postfix's log.
func (p postfix) lines() string {
	text, _ := os.ReadFile(p.log)
	return string(text)
}

// patience bounds the waiting. Nothing is asserted about times.
const patience = 5 * time.Minute

// eventually waits until ok is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
