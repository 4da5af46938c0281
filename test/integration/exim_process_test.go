//go:build integration

package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// eximRoot is where test/exim.sh unpacks Exim, which Debian doesn't install beside
// Postfix.
const eximRoot = "/var/cache/mailgate-test/exim"

const eximBinary = eximRoot + "/usr/sbin/exim4"

// exim is one Exim with directories of its own.
type exim struct {
	*process
	dir     string
	config  string
	address string // where it takes mail, once it is started
}

// prepareExim makes the directories of an Exim; its configuration is still to be
// written.
func prepareExim(t *testing.T, dir string) *exim {
	t.Helper()
	if _, err := os.Stat(eximBinary); err != nil {
		t.Fatalf("Exim isn't there: %v; test/install.sh unpacks it", err)
	}
	x := &exim{dir: dir, config: filepath.Join(dir, "exim.conf"), address: address(0, 12) + ":25"}
	u, err := user.Lookup("Debian-exim")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	for _, d := range []string{dir, x.spool(), x.logs()} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(d, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Exim says:\n%s\n%s", x.log("main"), x.log("panic"))
		}
	})
	return x
}

func (x *exim) spool() string { return filepath.Join(x.dir, "spool") }
func (x *exim) logs() string  { return filepath.Join(x.dir, "log") }

// ownPlaces are the options that keep an Exim from using the machine's own.
func (x *exim) ownPlaces() string {
	return fmt.Sprintf("log_file_path = %s/%%slog\npid_file_path = %s/exim.pid\nprimary_hostname = mx1.gate.test\n", x.logs(), x.spool())
}

// writeConfig writes a small configuration around a router and a transport.
func (x *exim) writeConfig(t *testing.T, router, transport string) {
	t.Helper()
	host, port, _ := strings.Cut(x.address, ":")
	writeFile(t, x.config, fmt.Sprintf(`exim_user = Debian-exim
exim_group = Debian-exim
exim_path = %s
spool_directory = %s
%slocal_interfaces = %s
daemon_smtp_ports = %s
domainlist local_domains =
acl_smtp_rcpt = accept
tls_advertise_hosts =
keep_environment =

begin routers
%s
begin transports
%s
begin retry
* * F,1h,1s
`, eximBinary, x.spool(), x.ownPlaces(), host, port, router, transport), 0o644)
}

// serve starts Exim as a daemon that runs its queue every second.
func (x *exim) serve(t *testing.T) {
	t.Helper()
	x.process = start(t, x.dir, "exim", eximBinary, "-C", x.config, "-bdf", "-q1s")
	x.ready(t, func() bool { return listening("tcp", x.address) })
}

// run calls Exim, as root.
func (x *exim) run(t *testing.T, stdin []byte, args ...string) string {
	t.Helper()
	cmd := exec.Command(eximBinary, append([]string{"-C", x.config}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("exim %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// submit gives a message to Exim as a local program does, who takes the recipients
// from its header, and returns when Exim has tried to deliver it.
func (x *exim) submit(t *testing.T, from string, message []byte) {
	t.Helper()
	x.run(t, bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n")), "-odf", "-t", "-i", "-f", from)
}

// queued returns how many messages Exim has.
func (x *exim) queued(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(x.run(t, nil, "-bpc")))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// log returns one of Exim's logs.
func (x *exim) log(name string) string {
	text, _ := os.ReadFile(filepath.Join(x.logs(), name+"log"))
	return string(text)
}

// logged waits for a line of the main log, and returns its submatches.
func (x *exim) logged(t *testing.T, pattern string) []string {
	t.Helper()
	line := regexp.MustCompile("(?m)" + pattern)
	var found []string
	eventually(t, "Exim's log to say "+pattern, func() bool {
		found = line.FindStringSubmatch(x.log("main"))
		return found != nil
	})
	return found
}
