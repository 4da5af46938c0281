//go:build integration

package publish

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	knotKey      = "bWFpbGdhdGUgdGVzdHMgd2l0aCBhIHNlY3JldCBrZXk="
	knotWrongKey = "c29tZWJvZHkgZWxzZSdzIGtleSwgbm90IG91cnMgISE="
	knotReadKey  = "bWF5IGxvb2ssIGJ1dCBtYXkgbm90IHRvdWNoIGl0ICE="
)

const knotConf = `
server:
    rundir: %[1]s
    listen: 127.0.0.23@%[2]s
control:
    listen: %[1]s/knot.sock
database:
    storage: %[1]s
log:
  - target: stderr
    any: warning
key:
  - id: mailgate
    algorithm: hmac-sha256
    secret: ` + knotKey + `
  - id: reader
    algorithm: hmac-sha256
    secret: ` + knotReadKey + `
mod-queryacl:
  - id: nobody
    address: 192.0.2.1
acl:
  - id: update
    key: mailgate
    action: update
    update-type: TXT
  - id: transfer
    key: mailgate
    action: transfer
template:
  - id: default
    storage: %[1]s
    file: "%%s.zone"
    semantic-checks: on
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    acl: update
zone:
  - domain: example.com
  - domain: hidden.example
    module: mod-queryacl/nobody
    acl: [ update, transfer ]
  - domain: closed.example
    module: mod-queryacl/nobody
`

const knotZone = `$ORIGIN %s.
$TTL 300
@     SOA ns1 hostmaster 1 3600 600 86400 60
      NS  ns1
      TXT "v=spf1 mx " "-all"
      TXT "google-site-verification=abc\"d\\e"
ns1   A   127.0.0.23
odd   TXT "\001"
odd   TXT "old"
odd   TXT ""
odd   TXT "a" "b \"c"
odd   TXT "gr\252n"
*.alias-wild     CNAME ns1
real.alias-wild  CNAME ns1
*.txt-wild       TXT "v=spf1 -all"
there.txt-wild   TXT "v=spf1 -all"
all.txt-wild     TXT "v=spf1 -all"
*.all.txt-wild   TXT "v=spf1 -all"
alias._domainkey CNAME key.example.net.
`

// knot is a running primary server.
type knot struct {
	*testing.T
	dir, at string
}

func startKnot(t *testing.T) *knot {
	t.Helper()
	return startKnotWith(t, knotConf)
}

// startKnotWith starts it with a configuration whose first verb is its directory and
// whose second is its port.
func startKnotWith(t *testing.T, conf string) *knot {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.23:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &knot{T: t, dir: t.TempDir(), at: l.Addr().String()}
	l.Close()
	_, port, _ := net.SplitHostPort(k.at)
	for _, zone := range []string{"example.com", "hidden.example", "closed.example"} {
		k.write(zone+".zone", fmt.Sprintf(knotZone, zone))
	}
	k.write("knot.conf", fmt.Sprintf(conf, k.dir, port))
	cmd := exec.Command("knotd", "-c", filepath.Join(k.dir, "knot.conf"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		var exit *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("knotd said:\n%s", log.String())
		}
	})
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if out, err := k.control("zone-read", "example.com"); err == nil && strings.Contains(out, "SOA") {
			return k
		}
	}
	t.Fatal("knotd doesn't start")
	return nil
}

func (k *knot) write(name, text string) {
	k.Helper()
	if err := os.WriteFile(filepath.Join(k.dir, name), []byte(text), 0o600); err != nil {
		k.Fatal(err)
	}
}

func (k *knot) control(args ...string) (string, error) {
	out, err := exec.Command("knotc", append([]string{"-s", filepath.Join(k.dir, "knot.sock"), "-b"}, args...)...).CombinedOutput()
	return string(out), err
}

// txt returns the TXT records as knot spells them, sorted, with the TTL before each.
func (k *knot) txt(zone, owner string) []string {
	k.Helper()
	out, err := k.control("zone-read", zone, owner, "TXT")
	if err != nil && !strings.Contains(out, "no such") {
		k.Fatalf("zone-read: %v: %s", err, out)
	}
	var list []string
	for line := range strings.Lines(out) {
		if f := strings.SplitN(strings.TrimSpace(line), " ", 5); len(f) == 5 && f[3] == "TXT" {
			list = append(list, f[2]+" "+f[4])
		}
	}
	slices.Sort(list)
	return list
}

func (k *knot) host(name, key string) *Host {
	k.Helper()
	h, err := Open(Account{Provider: RFC2136, Server: k.at, KeyName: name, KeyAlgorithm: "hmac-sha256", Secret: NewSecret(key)})
	if err != nil {
		k.Fatal(err)
	}
	return h
}

func wantTexts(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}
