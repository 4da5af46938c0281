//go:build integration

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailgate/internal/dnstest"
	"mailgate/internal/sign"
)

const (
	publishKey      = "bWFpbGdhdGUgdGVzdHMgd2l0aCBhIHNlY3JldCBrZXk="
	publishPrimary  = "127.0.0.24"
	publishFollower = "127.0.0.25"
)

// The primary tells the follower of changes or keeps silent; then the follower lags.
const publishKnotConf = `
server:
    rundir: %[1]s
    listen: %[2]s@%[3]s
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
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
    secret: ` + publishKey + `
acl:
  - id: update
    key: mailgate
    action: update
    update-type: TXT
  - id: follow
    address: ` + publishFollower + `
    action: transfer
  - id: told
    address: ` + publishPrimary + `
    action: notify
remote:
  - id: primary
    address: ` + publishPrimary + `@%[3]s
    via: ` + publishFollower + `
  - id: follower
    address: ` + publishFollower + `@%[3]s
    via: ` + publishPrimary + `
template:
  - id: default
    storage: %[1]s
    file: "%%s.zone"
    zonefile-sync: -1
    journal-content: all
    zonefile-load: difference-no-serial
zone:
  - domain: example.com
    %[4]s
`

const publishZone = `$ORIGIN example.com.
$TTL 300
@     SOA ns1 hostmaster 1 3600 600 86400 5
      NS  ns1
      NS  ns2
      TXT "v=spf1 ip4:198.51.100.1 ~all"
      TXT "google-site-verification=abc"
ns1   A   127.0.0.24
ns2   A   127.0.0.25
mx1   A   203.0.113.9
_dmarc TXT "v=DMARC1; p=none; rua=mailto:d@example.com"
`

// publishSite is a site with a publisher, the two name servers of its domain, and a
// resolver that knows of them.
type publishSite struct {
	*testing.T
	port     string
	config   string
	key      sign.Key
	follower string // its directory
}

// newPublishSite starts it. delegated are the names of the servers that the world asks.
func newPublishSite(t *testing.T, notify bool, delegated ...string) *publishSite {
	t.Helper()
	return newPublishSiteOf(t, publishZone, notify, delegated...)
}

// newPublishSiteOf starts it with another zone.
func newPublishSiteOf(t *testing.T, published string, notify bool, delegated ...string) *publishSite {
	t.Helper()
	l, err := net.Listen("tcp", publishPrimary+":0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	s := &publishSite{T: t, port: port}
	primary := "acl: [ update, follow ]"
	if notify {
		primary += "\n    notify: follower"
	}
	s.knot(publishPrimary, primary, published)
	s.follower = s.knot(publishFollower, "master: primary\n    acl: told", "")
	resolver, err := dnstest.Start("127.0.0.26:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resolver.Close() })
	if err := resolver.Recursive(); err != nil {
		t.Fatal(err)
	}
	zone := "ns1 A 127.0.0.24\nns2 A 127.0.0.25\nmx1 A 203.0.113.9\n"
	for _, name := range delegated {
		zone += "@ NS " + name + "\n"
	}
	for origin, text := range map[string]string{"example.com": zone, "113.0.203.in-addr.arpa": "9 PTR mx1.example.com.\n", "partner.example": "@ TXT \"here\"\n"} {
		if err := resolver.SetZone(origin, text); err != nil {
			t.Fatal(err)
		}
	}
	s.write(resolver.Addr())
	return s
}

func (s *publishSite) write(resolver string) {
	s.Helper()
	dir := s.TempDir()
	signer, err := sign.Generate("rsa2048")
	if err != nil {
		s.Fatal(err)
	}
	s.key = sign.Key{Domain: "example.com", Selector: "mail", Signer: signer}
	if err := sign.WriteKey(filepath.Join(dir, "mail.pem"), signer); err != nil {
		s.Fatal(err)
	}
	s.config = filepath.Join(dir, "mailgate.toml")
	text := fmt.Sprintf(`hostname = "mx1.example.com"
egress = ["203.0.113.9"]
[dns]
resolvers = [%q]
[[publisher]]
name = "my-dns"
provider = "rfc2136"
server = "%s:%s"
key_name = "mailgate"
secret_file = "secret"
[[domain]]
name = "example.com"
publisher = "my-dns"
keys = [{ selector = "mail", file = "mail.pem" }]
`, resolver, publishPrimary, s.port)
	for name, text := range map[string]string{"mailgate.toml": text, "secret": publishKey + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			s.Fatal(err)
		}
	}
}

// knot starts a server and returns its directory when it has the zone.
func (s *publishSite) knot(at, settings, zone string) string {
	s.Helper()
	dir := s.TempDir()
	files := map[string]string{"knot.conf": fmt.Sprintf(publishKnotConf, dir, at, s.port, settings)}
	if zone != "" {
		files["example.com.zone"] = zone
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			s.Fatal(err)
		}
	}
	cmd := exec.Command("knotd", "-c", filepath.Join(dir, "knot.conf"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		var exit *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
			s.Error(err)
		}
		if s.Failed() {
			s.Logf("knotd at %s said:\n%s", at, log.String())
		}
	})
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if out, err := exec.Command("knotc", "-s", filepath.Join(dir, "knot.sock"), "zone-read", "example.com", "@", "SOA").CombinedOutput(); err == nil && bytes.Contains(out, []byte("SOA")) {
			return dir
		}
	}
	s.Fatalf("knotd at %s has no zone", at)
	return ""
}

func (s *publishSite) mailgate(args ...string) (int, string) {
	s.Helper()
	var port int
	fmt.Sscan(s.port, &port)
	var out, errOut strings.Builder
	code := run(&app{authorityPort: port, dnsTime: patientDNS}, append(args, "--config", s.config), strings.NewReader(""), &out, &errOut)
	if text := out.String() + errOut.String(); strings.Contains(text, publishKey) {
		s.Errorf("the secret is told:\n%s", text)
	}
	return code, out.String() + errOut.String()
}

func (s *publishSite) wants(what string, code, want int, out string, texts ...string) {
	s.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			s.Errorf("%s: the screen lacks %q", what, text)
		}
	}
	if code != want || s.Failed() {
		s.Fatalf("%s: exit %d, want %d\n%s", what, code, want, out)
	}
}

func TestKnotRecordsPublish(t *testing.T) {
	s := newPublishSite(t, true, "ns1", "ns2")
	diff := []string{
		`Zone example.com, by publisher "my-dns" (rfc2136):`, "  mail._domainkey.example.com TXT\n  + " + s.key.Record() + "\n",
		"  - v=spf1 ip4:198.51.100.1 ~all\n  + v=spf1 ip4:203.0.113.9 ip4:198.51.100.1 ~all\n    google-site-verification=abc   (stays)\n",
	}
	code, out := s.mailgate("records", "publish", "example.com", "--dry-run")
	s.wants("dry run", code, exitPass, out, append(diff, "nothing was written")...)
	code, out = s.mailgate("records", "publish", "example.com")
	s.wants("without a terminal", code, exitUsage, out, "give --yes")
	code, out = s.mailgate("records", "publish", "example.com", "--yes", "--wait", "10m")
	s.wants("publish", code, exitPass, out, append(diff, "mail._domainkey.example.com 2/2", "example.com 2/2", "Every name server has it")...)
	code, out = s.mailgate("records", "publish", "example.com", "--format", "json")
	var shown struct {
		Domain            string
		Zones             []any
		Written, Complete bool
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil || code != exitPass || len(shown.Zones) != 0 || shown.Written || !shown.Complete || shown.Domain != "example.com" {
		t.Errorf("once more: exit %d, %v\n%s", code, err, out)
	}
	code, out = s.mailgate("check", "example.com")
	s.wants("check", code, exitPass, out)
}

// A name server that lags is named, and waited for.
func TestKnotRecordsPublishLags(t *testing.T) {
	s := newPublishSite(t, false, "ns1", "ns2")
	code, out := s.mailgate("records", "publish", "example.com", "--yes", "--wait", "1s")
	s.wants("the second lags", code, exitUnknown, out, "mail._domainkey.example.com 1/2", "ns2.example.com lacks mail._domainkey.example.com (NXDOMAIN)", "ns2.example.com lacks example.com (an older answer)", "check example.com --wait")
	code, out = s.mailgate("records", "publish", "example.com", "--yes", "--wait", "1s")
	s.wants("nothing more to write", code, exitUnknown, out, "don't have the same at mail._domainkey.example.com, example.com yet", "Nothing to write before they agree")
	if out, err := exec.Command("knotc", "-s", filepath.Join(s.follower, "knot.sock"), "-b", "zone-refresh", "example.com").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if code, out = s.mailgate("records", "publish", "example.com", "--yes", "--wait", "1s"); code == exitPass {
			break
		}
	}
	s.wants("refreshed", code, exitPass, out, "Nothing to do")
}

// What the host takes and no name server of the delegation has went to a wrong place.
func TestKnotRecordsPublishElsewhere(t *testing.T) {
	s := newPublishSite(t, false, "ns2")
	code, out := s.mailgate("records", "publish", "example.com", "--yes", "--wait", "1s")
	s.wants("elsewhere", code, exitUnknown, out, "mail._domainkey.example.com 0/1", "none of the name servers that the world asks has them")
}

func TestKnotRecordsPublishRefused(t *testing.T) {
	s := newPublishSite(t, true, "ns1", "ns2")
	secret := filepath.Join(filepath.Dir(s.config), "secret")
	if err := os.WriteFile(secret, []byte("c29tZWJvZHkgZWxzZSdzIGtleSwgbm90IG91cnMgISE="), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out := s.mailgate("records", "publish", "example.com", "--yes")
	s.wants("another's key", code, exitNoPerm, out, "TSIG key mailgate")
	if strings.Contains(out, "c29tZWJv") {
		t.Errorf("the secret is told:\n%s", out)
	}
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	code, out = s.mailgate("records", "publish", "example.com", "--yes")
	s.wants("a key for all to read", code, exitConfig, out, "chmod 600")
}

// A name that the host can't have a record at keeps no other one from being written.
func TestKnotRecordsPublishTheRest(t *testing.T) {
	zone := strings.Replace(publishZone, `_dmarc TXT "v=DMARC1; p=none; rua=mailto:d@example.com"`, "_dmarc CNAME gone.partner.example.", 1)
	s := newPublishSiteOf(t, zone, true, "ns1", "ns2")
	byHand := []string{"By hand: _dmarc.example.com TXT v=DMARC1; p=none", "Note: _dmarc.example.com", "is an alias (CNAME) of gone.partner.example"}
	code, out := s.mailgate("records", "publish", "example.com", "--dry-run")
	s.wants("dry run", code, exitFail, out, append(byHand, "mail._domainkey.example.com TXT\n  + ", "nothing was written")...)
	code, out = s.mailgate("records", "publish", "example.com", "--yes", "--wait", "10m")
	s.wants("publish", code, exitFail, out, append(byHand, "mail._domainkey.example.com 2/2", "Every name server has it", "Not all is done yet: mailgate records example.com")...)
	code, out = s.mailgate("records", "publish", "example.com", "--yes")
	s.wants("once more", code, exitFail, out, append(byHand, `Nothing that publisher "my-dns" could write`)...)
}

// A key that was revoked, as keys rotate does with the one it replaced, stays so.
func TestKnotRecordsPublishRevoked(t *testing.T) {
	s := newPublishSiteOf(t, publishZone+"mail._domainkey TXT \"v=DKIM1; p=\"\n", true, "ns1", "ns2")
	code, out := s.mailgate("records", "publish", "example.com", "--yes", "--wait", "10m")
	s.wants("publish", code, exitFail, out, "By hand: mail._domainkey.example.com TXT v=DKIM1", "its key is revoked in DNS", "mailgate keys generate example.com")
	code, out = s.mailgate("check", "example.com", "--format", "json")
	s.wants("check", code, exitFail, out, `"dkim-revoked"`)
}

// What is published and stays at fault is told, and never called as it should be.
func TestKnotRecordsPublishFaulty(t *testing.T) {
	zone := strings.Replace(publishZone, "v=spf1 ip4:198.51.100.1 ~all", "v=spf1 include:gone.partner.example ip4:203.0.113.9 -all", 1)
	s := newPublishSiteOf(t, zone, true, "ns1", "ns2")
	faulty := []string{"At fault: example.com TXT v=spf1 include:gone.partner.example", "spf-include-missing"}
	code, out := s.mailgate("records", "publish", "example.com", "--yes", "--wait", "10m")
	s.wants("publish", code, exitFail, out, append(faulty, "Every name server has it")...)
	code, out = s.mailgate("records", "publish", "example.com", "--yes")
	s.wants("once more", code, exitFail, out, append(faulty, "Nothing to write")...)
	code, out = s.mailgate("records", "publish", "example.com", "--yes", "--format", "json")
	var shown struct {
		Complete      bool
		Faulty, Steps []any
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil || code != exitFail || shown.Complete || len(shown.Faulty) != 1 || len(shown.Steps) == 0 {
		t.Errorf("exit %d, %v\n%s", code, err, out)
	}
}

// A wildcard is no record of a name, and stays.
func TestKnotRecordsPublishWildcard(t *testing.T) {
	for what, record := range map[string]string{"alias": "* CNAME mx1\n", "text": "* TXT \"v=spf1 -all\"\n"} {
		t.Run(what, func(t *testing.T) {
			s := newPublishSiteOf(t, publishZone+record, true, "ns1", "ns2")
			code, out := s.mailgate("records", "publish", "example.com", "--yes", "--wait", "10m")
			s.wants("publish", code, exitPass, out, "mail._domainkey.example.com TXT\n  + ", "mail._domainkey.example.com 2/2", "Every name server has it")
		})
	}
}
