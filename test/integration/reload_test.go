//go:build integration

package integration

import (
	"bytes"
	"os"
	"testing"
)

// TestReload: a new configuration is taken while mail goes by; a bad one is refused
// and the old one stays.
func TestReload(t *testing.T) {
	w := newWorld(t, plan{ours: []string{"good.test", "new.test"}})
	full, err := os.ReadFile(w.gate.config)
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, w.postfix.address, "")
	pass := func(to, domain string, signed bool) {
		t.Helper()
		message := compose("ann@"+domain, to, to, "Hello.\r\n")
		if err := send(c, "ann@"+domain, []string{to}, message); err != nil {
			t.Fatal(err)
		}
		if signed {
			w.wantSigned(t, domain, w.receiver.only(t, to), message)
		} else {
			wantUnsigned(t, w.receiver.only(t, to), message)
		}
	}
	// The domains come last in the file, in the plan's order.
	cut := full[:bytes.LastIndex(full, []byte("[[domain]]"))]
	reload := func(config []byte, want int) {
		t.Helper()
		if err := os.WriteFile(w.gate.config, config, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, exit := w.gate.command(t, "reload", "--config", w.gate.config); exit != want {
			t.Fatalf("reload: exit %d, want %d\n%s", exit, want, out)
		}
	}

	pass("one@gmail.com", "new.test", true)
	reload(cut, 0)
	pass("two@other.test", "new.test", false)
	reload(append([]byte("nonsense = 1\n"), full...), 78)
	pass("three@other.test", "new.test", false)
	reload(full, 0)
	pass("four@gmail.com", "new.test", true)
	pass("five@gmail.com", "good.test", true)
}
