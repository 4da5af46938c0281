//go:build integration

package integration

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPostfixTLS: a Postfix that delivers by mailgate's TLS policies, with DNSSEC of
// its own for DANE, and what it does while mailgate is away.
func TestPostfixTLS(t *testing.T) {
	w := newTLSWorld(t)
	right := selfSigned(t, "mx.right.test")
	w.destination(t, "right", shows(right), tlsa("_25._tcp.mx", right))
	w.destination(t, "mismatch", shows(selfSigned(t, "mx.mismatch.test")), tlsa("_25._tcp.mx", right))
	policies := map[string]string{}
	for name, config := range map[string]*tls.Config{
		"enforced":  shows(w.ca.sign(t, "mx.enforced.test", time.Hour)),
		"wrongname": shows(w.ca.sign(t, "mx.elsewhere.test", time.Hour)),
	} {
		w.destination(t, name, config, stsRecords("1")...)
		w.unsigned = append(w.unsigned, name+".test")
		policies[name+".test"] = stsText("enforce", "mx."+name+".test")
	}
	for _, name := range []string{"plain", "later"} {
		w.destination(t, name, shows(selfSigned(t, "mx."+name+".test")))
	}
	startPolicyHost(t, w.ca, policies)
	w.start(t)
	p := w.startPostfix(t)

	for name, want := range map[string]string{
		"right":    "dane-only protocols=>=TLSv1.2",
		"enforced": "secure protocols=>=TLSv1.2 servername=hostname match=mx.enforced.test",
		"plain":    "",
		// Until this one is known, mail to it is delivered as to anybody.
		"wrongname": "secure protocols=>=TLSv1.2 servername=hostname match=mx.wrongname.test",
	} {
		becomes(t, "postmap -q "+name+".test", want, func() string { return p.ask(name + ".test") })
	}
	for name, want := range map[string][]string{
		"right":     {"Verified TLS connection established to mx.right.test", "status=sent"},
		"mismatch":  {"status=deferred (Server certificate not verified)"},
		"enforced":  {"Verified TLS connection established to mx.enforced.test", "status=sent"},
		"wrongname": {"status=deferred (Server certificate not verified)"},
		"plain":     {"Untrusted TLS connection established to mx.plain.test", "status=sent"},
	} {
		p.deliver(t, name, want...)
	}
	for _, name := range []string{"mismatch", "wrongname"} {
		if n := w.peers[name].count(); n > 0 {
			t.Errorf("%s got %d messages", name, n)
		}
	}

	w.gate.stop()
	p.deliver(t, "later", "status=deferred (client TLS configuration problem)")
	w.serve(t)
	p.flush(t)
	w.peers["later"].wait(t, "bob@later.test")
}

// postfixOut is a Postfix that delivers to MX hosts.
type postfixOut struct {
	*postfix
	table string
}

// startPostfix starts one whose resolver is the test's: it sees another
// /etc/resolv.conf, in a mount namespace of its own.
func (w *tlsWorld) startPostfix(t *testing.T) postfixOut {
	t.Helper()
	dir := filepath.Join(w.dir, "postfix")
	p := postfixOut{
		postfix: &postfix{dir: dir, address: address(0, 10) + ":25", mailLog: filepath.Join(dir, "mail.log")},
		table:   "socketmap:inet:" + w.lookup + ":mailgate",
	}
	conf := mainCf(dir, p.mailLog, "", "")
	conf = strings.Replace(conf, "smtp_tls_security_level = none\n", fmt.Sprintf(`smtp_tls_security_level = may
smtp_tls_policy_maps = %s
smtp_tls_CAfile = %s
smtp_tls_loglevel = 1
smtp_dns_support_level = dnssec
smtp_host_lookup = dns
`, p.table, w.ca.file), 1)
	writeFile(t, filepath.Join(dir, "etc", "main.cf"), conf, 0o644)
	writeFile(t, filepath.Join(dir, "etc", "master.cf"), masterCf(p.address), 0o644)
	for _, d := range []string{"queue", "data"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "postfix", filepath.Join(dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v %s", err, out)
	}
	resolv := filepath.Join(dir, "resolv.conf")
	writeFile(t, resolv, "nameserver "+w.dns.resolver+"\n", 0o644)
	etc := filepath.Join(dir, "etc")
	awaitFree(t, p.address, withoutMilter())
	p.process = start(t, dir, "master", "unshare", "--mount", "--propagation", "private", "sh", "-c",
		`mount --bind "$0" /etc/resolv.conf && exec "$@"`, resolv, makeQueue(t, etc), "-c", etc, "-d")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Postfix says:\n%s", p.lines())
		}
	})
	p.ready(t, func() bool { return listening("tcp", p.address) })
	return p
}

func (p postfixOut) lines() string {
	text, _ := os.ReadFile(p.mailLog)
	return string(text)
}

// ask is postmap -q: what it finds, or what is wrong.
func (p postfixOut) ask(key string) string {
	out, _ := exec.Command("postmap", "-c", filepath.Join(p.dir, "etc"), "-q", key, p.table).CombinedOutput() // 1: nothing is found
	return strings.TrimSpace(string(out))
}

// deliver sends a message to NAME.test, and waits for its status; wants are in the
// lines of the log about it.
func (p postfixOut) deliver(t *testing.T, name string, wants ...string) {
	t.Helper()
	to := "bob@" + name + ".test"
	if err := send(connect(t, p.address, ""), "ann@good.test", []string{to}, compose("ann@good.test", to, "to "+name, "Hello.\r\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, fmt.Sprintf("a delivery to %s with %q", to, wants), func() bool {
		about := p.about(name)
		return !slices.ContainsFunc(append(wants, "to=<"+to+">"), func(want string) bool { return !strings.Contains(about, want) })
	})
}

// about returns the lines of the log about NAME.test.
func (p postfixOut) about(name string) string {
	var b strings.Builder
	for line := range strings.Lines(p.lines()) {
		if strings.Contains(line, name+".test") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func (p postfixOut) flush(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("postqueue", "-c", filepath.Join(p.dir, "etc"), "-f").CombinedOutput(); err != nil {
		t.Fatalf("postqueue -f: %v\n%s", err, out)
	}
}
