//go:build integration

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTLSClash is the incident of docs/tls.md: a firewall in front of a destination
// resets connections that begin with a long ClientHello, and mail to it has to be
// encrypted. The probe names the way out, and later that it is no longer needed.
func TestTLSClash(t *testing.T) {
	w := newTLSWorld(t)
	clash := w.destination(t, "clash", shows(w.ca.sign(t, "mx.clash.test", time.Hour)))
	shy := w.destination(t, "shy", shows(w.ca.sign(t, "mx.shy.test", time.Hour)))
	clash.choking.Store(true)
	shy.choking.Store(true)
	w.extra = "[[tls]]\ndestination = \".test\"\nlevel = \"encrypt\"\n[[tls]]\ndestination = \"shy.test\"\nlevel = \"may\"\n"
	w.start(t)

	w.submit(t, "clash")
	w.waits(t, "clash", "policy encrypt", "connection reset")
	probe, exit := w.gate.verdict(t, "tls", "probe", "clash.test")
	for _, want := range []string{"✗ handshake", "-> ClientHello, ", "<- the connection was reset", "works with less: no post-quantum key share",
		"[[tls]]", `curves      = "classic"`} {
		if !strings.Contains(probe, want) || exit != 1 {
			t.Errorf("the probe ends with %d, and should say %q:\n%s", exit, want, probe)
		}
	}
	said := w.asPrinted(t, probe, "mailgate tls override ")
	w.asPrinted(t, said, "mailgate queue retry ")
	w.arrives(t, "clash", "TLSv1.3, not verified")
	if p := w.policy(t, "clash"); p.InForce.Level != "encrypt" || p.Probe != nil && p.Probe.Works {
		t.Errorf("with the override: %+v", p)
	}

	// What nobody demands is found out by the relay itself.
	w.submit(t, "shy")
	w.arrives(t, "shy", "TLSv1.2, not verified")
	if text, _ := w.gate.run(t, "tls", "policy", "shy.test"); !strings.Contains(text, "learned, for 2") || !strings.Contains(text, "at most TLS 1.2") {
		t.Errorf("what was learned isn't told:\n%s", text)
	}

	// A gateway that starts probes what wasn't for a day.
	clash.choking.Store(false)
	w.restart(t)
	eventually(t, "a probe that works", func() bool { p := w.policy(t, "clash"); return p.Probe != nil && p.Probe.Works })
	text, _ := w.gate.run(t, "tls", "policy", "clash.test")
	if !strings.Contains(text, "TLS 1.3 works without the override") {
		t.Errorf("mended, and tls policy says\n%s", text)
	}
	w.asPrinted(t, text, "mailgate tls override ")
	if p := w.policy(t, "clash"); p.InForce.Level != "encrypt" || p.Probe != nil {
		t.Errorf("after the removal: %+v", p)
	}
	w.wantActs(t)
}

// asPrinted runs the command in a text that begins so, as one pastes it into a shell.
func (w *tlsWorld) asPrinted(t *testing.T, text, begin string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, begin)
	if !ok {
		t.Fatalf("no %q in\n%s", begin, text)
	}
	line, _, _ := strings.Cut(rest, "\n")
	cmd := exec.Command("sh", "-c", fmt.Sprintf("%s%s --config %s", begin, line, w.gate.config))
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s%s: %v\n%s", begin, line, err, out)
	}
	return string(out)
}

// wantActs looks for both acts in the review log.
func (w *tlsWorld) wantActs(t *testing.T) {
	t.Helper()
	log, _ := w.gate.run(t, "quarantine", "log")
	for _, want := range [][]string{
		{" override ", "clash.test", "encrypt, no post-quantum key share, until ", "say why"},
		{" no-override ", "clash.test"},
	} {
		found := false
		for line := range strings.Lines(log) {
			all := true
			for _, part := range want {
				all = all && strings.Contains(line, part)
			}
			found = found || all
		}
		if !found {
			t.Errorf("no line of the review log has %q:\n%s", want, log)
		}
	}
}
