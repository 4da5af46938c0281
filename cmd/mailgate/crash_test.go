package main

import (
	"flag"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailgate/internal/quarantine"
)

var (
	crashKills  = flag.Int("crash.kills", 1, "how often TestCrash kills a gateway at each crash point")
	crashRandom = flag.Int("crash.random", 4, "how often at random moments")
)

// TestCrash runs the whole gateway in a process that is killed again and again
// while mail comes in, is held, leaves and goes back, and balances what clients
// were promised against what arrived.
func TestCrash(t *testing.T) {
	var mu sync.Mutex
	var total sums
	t.Run("stores", func(t *testing.T) {
		for i, lives := range crashLives() {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				rand.Shuffle(len(lives), func(i, j int) { lives[i], lives[j] = lives[j], lives[i] })
				s := crashStore(t, lives)
				mu.Lock()
				defer mu.Unlock()
				total.add(s)
			})
		}
	})
	t.Log(total)
}

// crashStore kills the gateways of one store, lets the last one work in peace, and
// balances the books.
func crashStore(t *testing.T, lives []crashStep) sums {
	w := newCrashWorld(t)
	load := w.startLoad()
	defer load.abort()
	for _, step := range lives {
		w.kill(step)
	}
	w.lastLife(load)
	w.audit()
	return w.sums()
}

// kill is one life. With step.atStart it is two, until the second ends at the point
// that is to come while a gateway starts.
func (w *crashWorld) kill(step crashStep) {
	w.t.Helper()
	if step.atStart == "" {
		w.killAt(step, step.point, step.passes, false)
		return
	}
	for range crashStarts {
		w.killAt(step, step.atStart, step.passes, false)
		if w.killAt(step, step.point, 0, true) {
			return
		}
	}
	w.t.Fatalf("crash point %q did not come in %d starts", step.point, crashStarts)
}

// killAt is one life that ends at a point. It reports false when that was to come
// while the gateway starts, and did not.
func (w *crashWorld) killAt(step crashStep, point string, passes int, starting bool) (reached bool) {
	w.t.Helper()
	w.step.Store(&step)
	w.stir()
	args := []string{}
	if point == atDot {
		w.receivers.killAfter(rand.IntN(passes + 1))
	} else if point != "" {
		args = append(args, "-point", point, "-passes", strconv.Itoa(rand.IntN(passes+1)))
	}
	child, lines, _, log := w.start(args...)
	tooLong := time.AfterFunc(crashPatience, func() {
		w.t.Errorf("crash point %q was not reached", point)
		child.Process.Kill()
	})
	defer tooLong.Stop()
	if point == "" {
		defer w.killSomeTime(child)()
	}
	w.receivers.book.begins(int(w.life.Load()), point)
	stir := time.NewTicker(150 * time.Millisecond)
	defer stir.Stop()
	reached = true
	ended := w.follow(child, lines, stir.C, func() {
		if starting {
			reached = false
			child.Process.Kill()
		}
	})
	w.closed()
	w.receivers.drain()
	if status, ok := ended.(*exec.ExitError); !ok || status.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		w.t.Fatalf("%q: the gateway ended by itself: %v\n%s", point, ended, log)
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
	w.kills++
	return reached
}

// killSomeTime kills the child at a random moment: while it starts, or after some
// events.
func (w *crashWorld) killSomeTime(child *exec.Cmd) (cancel func()) {
	if n := rand.IntN(50); n >= 10 {
		return w.ledger.after(n-10, func() { child.Process.Kill() })
	}
	timer := time.AfterFunc(time.Duration(rand.IntN(int(100*time.Millisecond))), func() { child.Process.Kill() })
	return func() { timer.Stop() }
}

// follow notes what the child says, stirs the world at every tick, and returns how
// the child ended.
func (w *crashWorld) follow(child *exec.Cmd, lines <-chan string, tick <-chan time.Time, started func()) error {
	var left, waiting []claim
	for {
		select {
		case <-tick:
			w.stir()
		case line, ok := <-lines:
			if !ok {
				return child.Wait()
			}
			switch f := strings.Fields(line); f[0] {
			case "queued":
				left = append(left, claim{f[1], f[2]})
			case "waiting":
				waiting = append(waiting, claim{f[1], f[2]})
			case "told":
				w.ledger.foundTold(f[1])
			case "started":
				w.ledger.foundQueued(left, int(w.life.Load()))
				w.receivers.book.starts(int(w.life.Load()), waiting)
				started()
			case "ready":
				w.opened(child)
			}
		}
	}
}

// lastLife mends everything, and waits until nothing is held or on its way out. Then
// all that was acknowledged has arrived, or is lost.
func (w *crashWorld) lastLife(load *load) {
	w.t.Helper()
	w.step.Store(&crashStep{})
	w.receivers.book.makePeace()
	if err := w.dns.mendAll(); err != nil {
		w.t.Fatal(err)
	}
	child, lines, stop, log := w.start()
	ended := make(chan error, 1)
	go func() { ended <- w.follow(child, lines, nil, func() {}) }()
	tooLong := time.AfterFunc(crashPatience, func() {
		w.t.Errorf("after %s not everything has left", crashPatience)
		load.abort()
		child.Process.Kill()
	})
	defer tooLong.Stop()
	load.end()
	select {
	case <-w.answers():
	case <-load.over:
	}
	for !w.t.Failed() && !w.empty() {
		load.hasten()
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	if err := <-ended; err != nil {
		w.t.Fatalf("the gateway's last life: %v\n%s", err, log)
	}
	w.receivers.drain()
}

// empty reports whether the gateway has nothing more in hand.
func (w *crashWorld) empty() bool {
	c, err := (&app{config: w.configFile()}).connect()
	if err != nil {
		w.t.Error(err)
		return false
	}
	var page quarantine.Page
	if err := c.get(w.t.Context(), "/v1/quarantine", nil, &page); err != nil {
		w.t.Errorf("ask the gateway what it holds: %v", err)
		return false
	}
	return page.Counts.Held+page.Counts.Queued == 0
}
