package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// wire is a connection that blocks its thread, as Postfix's does: to wait for Go's
// poller would take longer than the answer.
type wire struct {
	file *os.File
	fd   int
}

// newWire takes a connection over.
func newWire(c net.Conn) (*wire, error) {
	defer c.Close()
	f, err := c.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return nil, err
	}
	w := &wire{file: f, fd: int(f.Fd())}
	limit := syscall.NsecToTimeval(patience.Nanoseconds())
	err = syscall.SetNonblock(w.fd, false)
	if err == nil {
		err = syscall.SetsockoptTimeval(w.fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return w, nil
}

func (w *wire) Close() error { return w.file.Close() }

func (w *wire) Read(b []byte) (int, error) {
	n, err := syscall.Read(w.fd, b)
	for err == syscall.EINTR {
		n, err = syscall.Read(w.fd, b)
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

func (w *wire) Write(b []byte) (done int, err error) {
	for done < len(b) {
		n, err := syscall.Write(w.fd, b[done:])
		if err != nil && err != syscall.EINTR {
			return done, err
		}
		done += max(n, 0)
	}
	return done, nil
}

// echo sends back what comes, until it is ended: what loopback itself costs between
// two processes.
func echo(network, address string) error {
	l, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		w, err := newWire(c)
		if err != nil {
			return fmt.Errorf("block: %w", err)
		}
		go func() {
			defer w.Close()
			b := make([]byte, 64<<10)
			for {
				n, err := w.Read(b)
				if err == nil {
					_, err = w.Write(b[:n])
				}
				if err != nil {
					return
				}
			}
		}()
	}
}
