package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
)

// progress tells on standard error how far long work is: on a terminal in one line
// that is written over, elsewhere in a line every ten seconds. Its zero value is
// silent.
type progress struct {
	out  io.Writer
	live bool

	mu    sync.Mutex
	last  time.Time
	shown bool
}

const (
	liveEvery  = 100 * time.Millisecond
	quietEvery = 10 * time.Second
)

// newProgress is silent where JSON was asked for.
func newProgress(out io.Writer, silent bool) *progress {
	if silent {
		return &progress{}
	}
	f, ok := out.(*os.File)
	return &progress{out: out, live: ok && isatty.IsTerminal(f.Fd()) && os.Getenv("TERM") != "dumb", last: time.Now()}
}

// say shows a line, unless the last one is too fresh.
func (p *progress) say(line func() string) { p.tell(line, false) }

// insist shows a line at once on a terminal.
func (p *progress) insist(line func() string) { p.tell(line, true) }

func (p *progress) tell(line func() string, now bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	every := quietEvery
	if p.live {
		every = liveEvery
	}
	if p.out == nil || time.Since(p.last) < every && !(now && p.live) {
		return
	}
	p.last = time.Now()
	if !p.live {
		fmt.Fprintln(p.out, line())
		return
	}
	text := line()
	if width := screenWidth(p.out); width > 1 {
		text = fit(text, width-1)
	}
	fmt.Fprint(p.out, "\r\x1b[K"+text)
	p.shown = true
}

// clear takes the line away, so that something else can be printed.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}
