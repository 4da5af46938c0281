package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// fakeMilter answers the events it wants answered, and at the end of each message
// with the frames given.
type fakeMilter struct {
	protocol uint32
	atEnd    func(w *bufio.Writer)
}

func (m fakeMilter) start(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "milter.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { m.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return path
}

func (m fakeMilter) serve(c net.Conn) {
	defer c.Close()
	r, w := bufio.NewReader(c), bufio.NewWriter(c)
	for {
		cmd, _, err := readFrame(r)
		if err != nil || cmd == cmdQuit {
			return
		}
		switch cmd {
		case cmdOptions:
			answer := make([]byte, 12)
			binary.BigEndian.PutUint32(answer[8:], m.protocol)
			_ = writeFrame(w, cmdOptions, answer)
		case cmdEnd:
			m.atEnd(w)
		case cmdMacro:
			continue
		default:
			if m.protocol&unanswered[cmd] != 0 {
				continue
			}
			_ = writeFrame(w, ansContinue)
		}
		if w.Flush() != nil {
			return
		}
	}
}

var unanswered = map[byte]uint32{
	cmdConnect: nrConnect, cmdHelo: nrHelo, cmdMail: nrMail, cmdRcpt: nrRcpt,
	cmdData: nrData, cmdHeader: nrHeader, cmdEOH: nrEOH, cmdBody: nrBody,
}

func sign(w *bufio.Writer) {
	_ = writeFrame(w, ansInsertHeader, []byte{0, 0, 0, 0}, zstrings("DKIM-Signature", "v=1"))
}

func TestRun(t *testing.T) {
	const quiet = nrConnect | nrHelo | nrMail | nrRcpt | nrData | nrHeader | nrBody | leadSpace
	for _, c := range []struct {
		name   string
		milter fakeMilter
		failed bool
		signed int
	}{
		{"answers everything", fakeMilter{0, func(w *bufio.Writer) { sign(w); _ = writeFrame(w, ansAccept) }}, false, 12},
		{"answers little", fakeMilter{quiet, func(w *bufio.Writer) { sign(w); sign(w); _ = writeFrame(w, ansContinue) }}, false, 12},
		{"wants little", fakeMilter{noHelo | noRcpt | noData | noBody, func(w *bufio.Writer) { sign(w); _ = writeFrame(w, ansAccept) }}, false, 12},
		{"signs nothing", fakeMilter{quiet, func(w *bufio.Writer) { _ = writeFrame(w, ansAccept) }}, true, 0},
		{"says progress for ever", fakeMilter{quiet, func(w *bufio.Writer) {
			for range 2000 {
				_ = writeFrame(w, ansProgress)
			}
		}}, true, 0},
		{"huge frame", fakeMilter{quiet, func(w *bufio.Writer) { _, _ = w.Write([]byte{255, 255, 255, 255, 'a'}) }}, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			o := options{network: "unix", address: c.milter.start(t), sessions: 3, messages: 4, size: 200_000, from: "a@b.test", to: "c@d.test"}
			r := run(ctx, o)
			if r.failed(o) != c.failed || r.Signed != c.signed {
				t.Errorf("failed %v, signed %d; want %v, %d\n%+v", r.failed(o), r.Signed, c.failed, c.signed, r)
			}
		})
	}
}

func TestParseOptions(t *testing.T) {
	for _, args := range [][]string{
		{}, {"--to", "/path"}, {"--to", "tcp:x"}, {"--to", "unix:/p", "--sessions", "0"},
		{"--to", "unix:/p", "--from", "nobody"}, {"--to", "unix:/p", "--format", "xml"},
	} {
		if o, err := parseOptions(args); err == nil {
			t.Errorf("%q: %+v, want an error", args, o)
		}
	}
	o, err := parseOptions([]string{"--to", "inet:127.0.0.1:8891"})
	if err != nil || o.network != "tcp" || o.address != "127.0.0.1:8891" {
		t.Errorf("inet: %+v, %v", o, err)
	}
}

func TestChunkEndsWithLine(t *testing.T) {
	for _, n := range []int{2, 100, 10240, chunkSize} {
		if c := (message{}).chunk(n); len(c) != n || string(c[n-2:]) != "\r\n" {
			t.Errorf("chunk of %d: %d bytes, ends %q", n, len(c), c[n-2:])
		}
	}
}
