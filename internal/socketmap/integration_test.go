//go:build integration

package socketmap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailgate/internal/tlspolicy"
)

// opened is a door for real clients, and what they shall believe.
type opened struct {
	network, address string
	preflight        *fakePreflight
}

// openDoor answers until the test ends.
func openDoor(t *testing.T, network, address string) opened {
	t.Helper()
	f := policies()
	f["sts.example"] = tlspolicy.Policy{
		Level: tlspolicy.Secure, Source: tlspolicy.FromMTASTS,
		MatchNames: []string{"mx.sts.example", ".mail.sts.example"}, Hosts: []string{"mx.sts.example", "*.mail.sts.example"},
	}
	return openDoorTo(t, network, address, f)
}

func openDoorTo(t *testing.T, network, address string, p Policies) opened {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	o := opened{network: network, address: ln.Addr().String(), preflight: &fakePreflight{}}
	s := NewServer(Config{
		Policies: p, Preflight: o.preflight,
		Postfix: func() Version { return Version{3, 7} }, Log: slog.New(slog.DiscardHandler),
		Limits: Limits{Read: time.Hour, Write: time.Hour, Advice: time.Hour},
	})
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	return o
}

// mapAt is how Postfix names a map of the door.
func (o opened) mapAt(name string) string {
	network := map[string]string{"tcp": "inet", "unix": "unix"}[o.network]
	return fmt.Sprintf("socketmap:%s:%s:%s", network, o.address, name)
}

// postmap asks as Postfix does. A key that isn't found is "", "".
func postmap(t *testing.T, etc, key, table string) (value, complaint string) {
	t.Helper()
	cmd := exec.Command("postmap", "-c", etc, "-q", key, table)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return strings.TrimRight(string(out), "\n"), stderr.String()
}

func etcPostfix(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.cf"), []byte("compatibility_level = 3.6\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestPostmap: Postfix's own client reads every kind of answer.
func TestPostmap(t *testing.T) {
	etc := etcPostfix(t)
	for _, o := range []opened{openDoor(t, "tcp", "127.0.0.1:0"), openDoor(t, "unix", filepath.Join(t.TempDir(), "socketmap.sock"))} {
		for _, c := range []struct{ name, key, value, complaint string }{
			{"mailgate", "example.net", "encrypt protocols=>=TLSv1.2", ""},
			{"mailgate", "EXAMPLE.net", "encrypt protocols=>=TLSv1.2", ""},
			{"mailgate", "[mx.example.net]:587", "verify protocols=>=TLSv1.2", ""},
			{"mailgate", "[192.0.2.1]", "none", ""},
			{"mailgate", "sts.example", "secure protocols=>=TLSv1.2 servername=hostname match=mx.sts.example:.mail.sts.example", ""},
			{"mailgate", "other.example", "", ""},
			{"mailgate", "fault.example", "", ""},
			{"mailgate", "unsettled.example", "", "socketmap server temporary error: TLSA of mx.unsettled.example"},
			{"mailgat", "example.net", "", "socketmap server permanent error: unknown map mailgat: want mailgate or preflight"},
			{"preflight", "ann@example.net refuse@gmail.com", "550 5.7.26 Gmail would refuse this: no SPF, no DKIM", ""},
			{"preflight", "ann@example.net bob@gmail.com", "", ""},
		} {
			value, complaint := postmap(t, etc, c.key, o.mapAt(c.name))
			if value != c.value || !strings.Contains(complaint, c.complaint) || (c.complaint == "") != (complaint == "") {
				t.Errorf("%s %s: %q, %q", o.mapAt(c.name), c.key, value, complaint)
			}
		}
	}
}

// TestPostmapMany: one client asks for many keys on its connection.
func TestPostmapMany(t *testing.T) {
	etc, o := etcPostfix(t), openDoor(t, "tcp", "127.0.0.1:0")
	cmd := exec.Command("postmap", "-c", etc, "-q", "-", o.mapAt("mailgate"))
	var want strings.Builder
	var keys bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&keys, "domain%d.example\nexample.net\n", i)
		want.WriteString("example.net\tencrypt protocols=>=TLSv1.2\n")
	}
	cmd.Stdin = &keys
	out, err := cmd.Output()
	if err != nil || string(out) != want.String() {
		t.Errorf("postmap says %.300q (%v)", out, err)
	}
}
