package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// postfix is an instance with directories of its own. Whatever it takes is on its
// disk, fsynced, before it answers, as always; then it goes to discard(8).
type postfix struct {
	*process
	bare   string // takes mail without a milter
	milted string // shows it to the milter first
}

// startPostfix starts an instance on free ports.
func startPostfix(dir, milter string) (*postfix, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	return startPostfixAt(dir, milter, ports, "")
}

// startPostfixAt starts an instance that takes mail at ports[0] without the milter
// and at ports[1] with it; more is appended to its main.cf. It needs root. Where it
// can't, it says so and returns neither instance nor error.
func startPostfixAt(dir, milter string, ports []string, more string) (*postfix, error) {
	if _, err := exec.LookPath("postfix"); err != nil || os.Geteuid() != 0 {
		fmt.Println("Postfix is not installed, or this is not root: left out")
		return nil, nil
	}
	dir, err := os.MkdirTemp(dir, "postfix-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	p := &postfix{bare: ports[0], milted: ports[1]}
	for _, d := range []string{"etc", "queue", "data"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	etc := filepath.Join(dir, "etc")
	if err := os.WriteFile(filepath.Join(etc, "main.cf"), []byte(mainCf(dir)+more), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(etc, "master.cf"), []byte(masterCf(p.bare, p.milted, milter)), 0o644); err != nil {
		return nil, err
	}
	if out, err := exec.Command("chown", "postfix", filepath.Join(dir, "data")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("chown: %w: %s", err, out)
	}
	if out, err := exec.Command("postfix", "-c", etc, "check").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("postfix check: %w: %s", err, out)
	}
	daemons, err := exec.Command("postconf", "-c", etc, "-h", "daemon_directory").Output()
	if err != nil {
		return nil, err
	}
	// Not by its scripts: it would survive us.
	p.process, err = launch("postfix", dir, filepath.Join(strings.TrimSpace(string(daemons)), "master"), "-c", etc, "-d")
	if err != nil {
		return nil, err
	}
	if err := p.ready(func() bool { return listening("tcp", p.bare) && listening("tcp", p.milted) }); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// freePorts returns addresses nobody listens at now.
func freePorts(n int) ([]string, error) {
	var free []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		free = append(free, l.Addr().String())
	}
	return free, nil
}

func mainCf(dir string) string {
	return fmt.Sprintf(`compatibility_level = 3.6
config_directory = %[1]s/etc
queue_directory = %[1]s/queue
data_directory = %[1]s/data
meta_directory = /etc/postfix
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
myhostname = mx1.example.com
mydestination =
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
local_transport = discard:
default_transport = discard:
relay_transport = discard:
smtpd_peername_lookup = no
smtp_tls_security_level = none
milter_default_action = tempfail
in_flow_delay = 0
`, dir)
}

func masterCf(bare, milted, milter string) string {
	return bare + ` inet n - n - - smtpd
` + milted + ` inet n - n - - smtpd -o smtpd_milters=` + milter + `
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
smtp unix - - n - - smtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`
}

// source sends messages with Postfix's own smtp-source, and returns how many were
// taken a second.
func source(ctx context.Context, to string, sessions, messages, size int) (float64, error) {
	began := time.Now()
	out, err := exec.CommandContext(ctx, "smtp-source", "-d", "-s", strconv.Itoa(sessions), "-m", strconv.Itoa(messages),
		"-l", strconv.Itoa(size), "-f", "ann@"+domain, "-t", "bob@"+receiver, "-M", "client."+domain, "inet:"+to).CombinedOutput()
	if err != nil || len(out) > 0 {
		return 0, fmt.Errorf("smtp-source: %v: %s", err, out)
	}
	return float64(messages) / time.Since(began).Seconds(), nil
}
