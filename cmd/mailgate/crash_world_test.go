package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mailgate/internal/mtatest"
	"mailgate/internal/sign"
)

const (
	crashHost       = "mx1.gate.test"
	crashPostmaster = "postmaster@gate.test"
	crashPatience   = 10 * time.Minute // for what must happen some time
)

// crashWorld is everything around a gateway that is killed again and again.
type crashWorld struct {
	t      *testing.T
	step   atomic.Pointer[crashStep]
	dir    string
	dns    *crashDNS
	key    sign.Key
	mta    *mtatest.MTA
	ledger *ledger
	life   atomic.Int64 // of the gateway, 1, 2, 3 …
	kills  int

	relayAt   string    // address of the relay
	receivers receivers // to whom it delivers
	digests   string    // lines of [hold]
	single    bool      // it delivers one message at a time, and what is held waits for a reviewer

	trimmed, forgotten int // entries of the log and recipients, found missing at the end

	mu    sync.Mutex
	child *exec.Cmd     // while its doors are open
	born  *exec.Cmd     // from its start on
	up    chan struct{} // closed while they are
	down  chan struct{} // closed while they are not
}

// crashKey is the key of all domains: to make one takes long.
var crashKey = sync.OnceValues(func() (sign.Key, error) {
	signer, err := sign.Generate("rsa2048")
	return sign.Key{Domain: "test", Selector: "mail", Signer: signer}, err
})

func newCrashWorld(t *testing.T) *crashWorld {
	t.Helper()
	w := &crashWorld{t: t, digests: "postmaster = \"" + crashPostmaster + "\"\ndigest = \"1s\"\n", up: make(chan struct{}), down: make(chan struct{})}
	close(w.down)
	w.step.Store(&crashStep{})
	var err error
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	w.dir, err = os.MkdirTemp("", "mailgate-crash-") // short, for the sockets' sake
	must(err)
	t.Cleanup(func() { os.RemoveAll(w.dir) })
	w.key, err = crashKey()
	must(err)
	must(sign.WriteKey(filepath.Join(w.dir, "key.pem"), w.key.Signer))
	w.dns, err = startCrashDNS()
	must(err)
	t.Cleanup(func() { w.dns.Close() })
	w.ledger = newLedger(func(string) ([]string, error) { return []string{w.key.Record()}, nil })
	w.mta, err = mtatest.Start(mtatest.Options{
		Hostname: "mta.test",
		Milter:   func() string { return w.milter(w.life.Load()) },
		Deliver: func(_ context.Context, m mtatest.Mail) (string, error) {
			w.ledger.receive(m, w.lifeOf(m.Milter))
			return "taken", nil
		},
	})
	must(err)
	t.Cleanup(func() { w.mta.Close() })
	w.relayAt = loopbackOfOurs()
	w.receivers = receivers{book: newRelayBook(w.ledger), kill: w.killChild}
	t.Cleanup(w.receivers.close)
	return w
}

// loopbackOfOurs is an address whose port nobody else takes while no gateway listens
// there: clients come from 127.0.0.1.
func loopbackOfOurs() string {
	return ownHost() + ":2525"
}

// ownHost is an address of this machine that nobody else listens at.
func ownHost() string {
	return fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(64), rand.IntN(256), 1+rand.IntN(254))
}

// killChild ends the gateway from outside.
func (w *crashWorld) killChild() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.born.Process.Kill()
}

// milter is where a gateway listens. Each has a place of its own, which tells them
// apart.
func (w *crashWorld) milter(life int64) string {
	return fmt.Sprintf("unix:%s/milter.%d", w.dir, life)
}

func (w *crashWorld) lifeOf(milter string) int {
	n, _ := strconv.Atoi(milter[strings.LastIndexByte(milter, '.')+1:])
	return n
}

// stir changes what DNS says, and has the gateway look again. It mends only senders
// that something is held of, so that on a slow machine mail is held, too.
func (w *crashWorld) stir() {
	mend := func(domain string) bool {
		return !w.step.Load().sick && w.ledger.waits("ann@"+domain) && rand.IntN(3) == 0
	}
	if err := w.dns.stir(mend); err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.child != nil {
		_ = w.child.Process.Signal(syscall.SIGHUP)
	}
}

func (w *crashWorld) configFile() string { return filepath.Join(w.dir, siteFile) }

// writeConfig writes the configuration of the gateway's next life.
func (w *crashWorld) writeConfig() error {
	c := siteConfig{
		hostname: crashHost, milter: w.milter(w.life.Load()), resolver: w.dns.Addr(), via: w.mta.Addr(), top: "engine = \"go\"\n",
		hold: "recheck = \"1s\"\nrelease_rate = 0\n" + w.digests + w.step.Load().hold +
			w.relayConfig(),
		keys: map[string]string{},
	}
	for _, domain := range []string{crashHost, "*." + crashSite} {
		c.keys[domain] = "key.pem"
	}
	return c.write(w.dir)
}

// relayConfig has senders' domains served by a route, and the others by their MX.
func (w *crashWorld) relayConfig() string {
	hold, queue := "", "retry_first = \"1s\"\n"
	if w.single {
		hold, queue = "auto_release = false\n", "connections = 1\nper_destination = 1\n"
	}
	return hold + fmt.Sprintf("[relay]\nlisten = %q\n[queue]\n%s[[route]]\ndestination = %q\nvia = %q\n",
		w.relayAt, queue, "."+crashSite, w.receivers.addr())
}

// start begins the gateway's next life. lines is closed at its end.
func (w *crashWorld) start(args ...string) (child *exec.Cmd, lines <-chan string, stop func(), log *bytes.Buffer) {
	w.t.Helper()
	w.life.Add(1)
	program, err := os.Executable()
	if err == nil {
		err = w.receivers.open(int(w.life.Load()))
	}
	if err == nil {
		err = w.writeConfig()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	args = append(args, "-port", strconv.Itoa(w.dns.Port()), "-smtp", strconv.Itoa(w.receivers.port()), "-checkpoint", strconv.Itoa(64<<10), "-index", "8", w.configFile())
	cmd := exec.Command(program, args...)
	cmd.Args[0] = crashChildName
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	log = &bytes.Buffer{}
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.born = cmd
	err = cmd.Start()
	w.mu.Unlock()
	if err != nil {
		w.t.Fatal(err)
	}
	said := make(chan string)
	go func() {
		defer close(said)
		for s := bufio.NewScanner(out); s.Scan(); {
			said <- s.Text()
		}
	}()
	return cmd, said, func() { in.Close() }, log
}

// opened tells the clients that the gateway answers.
func (w *crashWorld) opened(child *exec.Cmd) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.child, w.down = child, make(chan struct{})
	close(w.up)
}

// closed tells them that it doesn't.
func (w *crashWorld) closed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.child != nil {
		w.child, w.up = nil, make(chan struct{})
		close(w.down)
	}
}

// answers is closed while the gateway answers.
func (w *crashWorld) answers() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.up
}

// ends is closed while it doesn't.
func (w *crashWorld) ends() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.down
}
