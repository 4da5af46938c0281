package web

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// deaf is an answer to a client that doesn't read.
type deaf struct {
	net.Conn
	writes int
}

func (d *deaf) Header() http.Header { return http.Header{} }
func (d *deaf) WriteHeader(int)     {}
func (d *deaf) Flush()              {}
func (d *deaf) Write(b []byte) (int, error) {
	d.writes++
	return d.Conn.Write(b)
}

// A client that doesn't read holds up a line for a while, and then nothing more.
func TestRecheckLinesNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		defer ours.Close()
		client := &deaf{Conn: ours}
		lines := &lineWriter{w: client}
		began := time.Now()
		for range 3 {
			lines.write(RecheckLine{})
		}
		if waited := time.Since(began); waited != writeTime || client.writes != 1 {
			t.Errorf("%d lines written in %v", client.writes, waited)
		}
	})
}

// A line has its time from when it is written.
func TestRecheckLinesAfterALongWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		defer ours.Close()
		client := &deaf{Conn: ours}
		go func() {
			buffer := make([]byte, 1024)
			for {
				if _, err := theirs.Read(buffer); err != nil {
					return
				}
			}
		}()
		lines := &lineWriter{w: client}
		for range 3 {
			lines.write(RecheckLine{})
			time.Sleep(2 * writeTime)
		}
		if lines.gone || client.writes != 3 {
			t.Errorf("%d lines written, the client is gone: %v", client.writes, lines.gone)
		}
	})
}

// The control socket's own connections have the deadline.
func TestRecheckDeadlineIsKnown(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
			t.Error(err)
		}
		lines := &lineWriter{w: w}
		lines.write(RecheckLine{})
		if lines.gone {
			t.Error("a client that reads is taken for gone")
		}
	}))
	defer s.Close()
	r, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if kind := r.Header.Get("Content-Type"); !strings.Contains(kind, "ndjson") {
		t.Error(kind)
	}
}
