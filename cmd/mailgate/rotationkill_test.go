package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailgate/internal/dnstest"
	"mailgate/internal/rotation"
	"mailgate/internal/sign"
	"mailgate/internal/web"
)

// rotationKill is a gateway in a process of its own, which is killed while it rotates.
type rotationKill struct {
	t      *testing.T
	dir    string
	ns     *dnstest.Server
	dns    *dnstest.Server
	killed bool
	began  time.Time // of its clock

	child *exec.Cmd
	in    io.Closer
	out   *bufio.Scanner
}

func newRotationKill(t *testing.T) *rotationKill {
	t.Helper()
	k := &rotationKill{t: t, dir: t.TempDir(), began: time.Now()}
	servers, err := dnstest.StartAll("127.0.0.1", "127.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	k.dns, k.ns = servers[0], servers[1]
	t.Cleanup(func() { k.dns.Close(); k.ns.Close() })
	key, err := crashKey()
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("hostname = \"mx1.gate.test\"\negress = [\"127.0.0.1\"]\n[milter]\nlisten = \"unix:milter.sock\"\n[control]\nsocket = \"control.sock\"\n[store]\nurl = \"sqlite:mailgate.db\"\n"+
		"[dns]\nresolvers = [%q]\n[keys]\ngrace = \"30s\"\n[[domain]]\nname = \"one.example\"\nkeys = [{ selector = \"mail\", file = \"keys/one.pem\" }]\n", k.dns.Addr())
	err = errors.Join(
		k.dns.Recursive(k.ns), sign.WriteKey(filepath.Join(k.dir, "keys", "one.pem"), key.Signer),
		k.dns.SetZone("ns.test", "ada A 127.0.0.2\n"), k.ns.SetZone("one.example", "@ NS ada.ns.test.\n"),
		k.ns.Add("mail._domainkey.one.example. 1 TXT \"v=DKIM1; p=AAAA\""),
		os.WriteFile(filepath.Join(k.dir, siteFile), []byte(config), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// start begins a life of the gateway, and returns when its doors are open; false: it was
// killed before.
func (k *rotationKill) start(point string) bool {
	k.t.Helper()
	program, err := os.Executable()
	if err != nil {
		k.t.Fatal(err)
	}
	k.child = exec.Command(program, "-point", point, "-port", strconv.Itoa(k.ns.Port()), "-haste", "60", "-began", strconv.FormatInt(k.began.Unix(), 10), filepath.Join(k.dir, siteFile))
	k.child.Args[0] = crashChildName
	k.child.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	k.child.Stderr = k.t.Output()
	out, err := k.child.StdoutPipe()
	if err == nil {
		k.in, err = k.child.StdinPipe()
	}
	if err == nil {
		err = k.child.Start()
	}
	if err != nil {
		k.t.Fatal(err)
	}
	k.out = bufio.NewScanner(out)
	for k.out.Scan() {
		if k.out.Text() == "ready" {
			return true
		}
	}
	k.wait()
	return false
}

// wait collects a child that has ended, and sees that it was killed.
func (k *rotationKill) wait() {
	k.t.Helper()
	var exit *exec.ExitError
	if err := k.child.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		k.t.Fatalf("the gateway ended by itself: %v", err)
	}
	k.killed = true
}

// rotate orders it, or looks how it goes, and publishes what is to be. ok is false when
// the gateway was killed over it.
func (k *rotationKill) rotate() (r web.Rotation, ok bool) {
	k.t.Helper()
	c, err := (&app{config: filepath.Join(k.dir, siteFile)}).connect()
	if err != nil {
		k.t.Fatal(err)
	}
	defer c.http.CloseIdleConnections()
	var list web.RotationList
	if err := c.post(k.t.Context(), "/v1/rotations", web.RotationOrder{Domain: "one.example"}, &list); err != nil {
		if exitCode(err) != exitUnavailable {
			k.t.Fatal(err)
		}
		return r, false
	}
	r = list.Rotations[0]
	selector, value := r.New.Selector, r.Record
	if r.State == "revoking" {
		selector, value = "mail", rotation.RevokedRecord
	}
	name := selector + "._domainkey.one.example"
	k.ns.Remove(name, "TXT")
	if err := k.ns.AddTXT(name, value); err != nil {
		k.t.Fatal(err)
	}
	return r, true
}

// A gateway killed at any step goes on at its next start, and comes to the end with the
// one new key that was written for it.
func TestRotationKilled(t *testing.T) {
	for _, point := range rotation.CrashPoints() {
		if point == "rotate-published" {
			continue // that takes a publisher: see the rotation's own test
		}
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			k := newRotationKill(t)
			up := k.start(point)
			var r web.Rotation
			for end := time.Now().Add(crashPatience); r.State != "done"; time.Sleep(50 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("it comes to no end: %+v", r)
				}
				if !up {
					if !k.start("") {
						t.Fatal("killed twice")
					}
					up = true
				}
				now, ok := k.rotate()
				if !ok {
					k.wait()
					up = false
					continue
				}
				if r = now; r.By == "" || r.Old.Selector != "mail" {
					t.Fatalf("%+v", r)
				}
			}
			k.in.Close()
			if err := k.child.Wait(); err != nil || !k.killed {
				t.Fatalf("its last life: %v; killed before: %v", err, k.killed)
			}
			keys, err := os.ReadDir(filepath.Join(k.dir, "keys"))
			want := 2
			if point == "rotate-key-written" {
				want = 3 // the one that nobody knew of
			}
			if err != nil || len(keys) != want || !strings.HasSuffix(r.New.File, r.New.Selector+".pem") {
				t.Errorf("%d key files, want %d: %v %v", len(keys), want, keys, err)
			}
		})
	}
}
