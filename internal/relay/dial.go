package relay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"
)

const (
	connectTimeout = 30 * time.Second
	openTimeout    = 5 * time.Minute // greeting, EHLO, STARTTLS and AUTH together
)

func dialTCP(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{Timeout: connectTimeout}
	if local.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: local.AsSlice(), Zone: local.Zone()}
	}
	conn, err := d.DialContext(ctx, "tcp", remote.String())
	if err != nil {
		return nil, err
	}
	return newTerse(conn), nil
}

// dialing is why connecting failed, without the address, which whoever tells it knows.
func dialing(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok && call.Syscall == "connect" {
		err = call.Err
	}
	return err
}

// source is the address to reach a server from: the first egress address of its
// family that this machine has. Behind address translation there is none, and the
// system chooses.
func (e *Engine) source(s Settings, r Route, to netip.Addr) netip.Addr {
	if r.Via != "" || to.IsLoopback() {
		return netip.Addr{}
	}
	local := e.o.Local()
	for _, a := range s.Egress {
		if a = a.Unmap(); a.Is4() == to.Is4() && slices.Contains(local, a) {
			return a
		}
	}
	return netip.Addr{}
}

// localAddresses returns this machine's.
func localAddresses() []netip.Addr {
	networks, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list []netip.Addr
	for _, n := range networks {
		if p, err := netip.ParsePrefix(n.String()); err == nil {
			list = append(list, p.Addr().Unmap())
		}
	}
	return list
}
