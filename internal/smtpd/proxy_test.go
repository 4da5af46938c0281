package smtpd

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
)

// closedListener gives nothing.
type closedListener struct{}

func (*closedListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (*closedListener) Close() error              { return nil }
func (*closedListener) Addr() net.Addr            { return &net.TCPAddr{} }

// behind is a listener behind a balancer at 127.0.0.1, for clients of 192.0.2.0/24.
func behind(t *testing.T, change func(*Config, *Listener)) *rig {
	return start(t, func(c *Config, l *Listener) {
		l.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		l.Trusted = In([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("127.0.0.0/8")})
		if change != nil {
			change(c, l)
		}
	})
}

func header(version byte, command proxyproto.ProtocolVersionAndCommand, source string) string {
	h := &proxyproto.Header{Version: version, Command: command, TransportProtocol: proxyproto.UNSPEC}
	if source != "" {
		a := netip.MustParseAddrPort(source)
		h.TransportProtocol = proxyproto.TCPv4
		if a.Addr().Is6() {
			h.TransportProtocol = proxyproto.TCPv6
		}
		h.SourceAddr, h.DestinationAddr = net.TCPAddrFromAddrPort(a), net.TCPAddrFromAddrPort(a)
	}
	b, err := h.Format()
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestPROXY(t *testing.T) {
	for _, c := range []struct {
		name, send, client string
		trusted            bool
	}{
		{"v2", header(2, proxyproto.PROXY, "192.0.2.7:1025"), "192.0.2.7", true},
		{"v1", header(1, proxyproto.PROXY, "192.0.2.7:1025"), "192.0.2.7", true},
		{"stranger", header(2, proxyproto.PROXY, "198.51.100.1:1025"), "198.51.100.1", false},
		{"v6", header(2, proxyproto.PROXY, "[2001:db8::7]:1025"), "2001:db8::7", false},
		{"mapped v4", header(2, proxyproto.PROXY, "[::ffff:192.0.2.7]:1025"), "192.0.2.7", true},
		{"the balancer itself", header(2, proxyproto.LOCAL, ""), "unknown", false},
		{"v1 unknown", "PROXY UNKNOWN\r\n", "unknown", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := behind(t, nil).dial(t)
			k.send(c.send + "EHLO x\r\n")
			k.want("220")
			k.want("250")
			k.say("MAIL FROM:<ann@example.com>", "250")
			want := "550 5.7.1 relaying denied: client " + c.client
			if c.client == "unknown" {
				want = "550 5.7.1 relaying denied: client of unknown address"
			}
			if c.trusted {
				want = "250"
			}
			k.say("RCPT TO:<bob@gmail.com>", want)
		})
	}
}

// The header is required of a balancer, and nobody else's counts.
func TestNoPROXY(t *testing.T) {
	for name, send := range map[string]string{
		"none":         "EHLO x\r\n",
		"bad v1":       "PROXY TCP4 x y 1 2\r\nEHLO x\r\n",
		"bad v2":       "\r\n\r\n\x00\r\nQUIT\n\x21\xf1\x00\x00EHLO x\r\n",
		"unix":         "\r\n\r\n\x00\r\nQUIT\n\x21\x31\x00\xd8" + strings.Repeat("\x00", 216) + "EHLO x\r\n",
		"no addresses": header(2, proxyproto.PROXY, "") + "EHLO x\r\n",
		"silence":      "",
	} {
		t.Run(name, func(t *testing.T) {
			r := behind(t, func(c *Config, _ *Listener) {
				if send == "" {
					c.Limits.Proxy = 50 * time.Millisecond
				}
			})
			k := r.dial(t)
			k.send(send)
			k.closed()
			r.log.has(t, "PROXY header")
		})
	}
	r := start(t, func(_ *Config, l *Listener) {
		l.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
	})
	k := r.dial(t)
	k.send(header(1, proxyproto.PROXY, "192.0.2.7:1025"))
	k.want("220")
	k.want("501 5.5.2") // a command like any other
}

// TLS begins right after the header.
func TestPROXYWithTLS(t *testing.T) {
	r := secured(t, TLSImplicit, func(_ *Config, l *Listener) {
		l.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		l.Trusted = In([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")})
	})
	k := r.dial(t)
	k.send(header(2, proxyproto.PROXY, "192.0.2.7:1025"))
	k.handshake()
	k.want("220")
	k.say("EHLO x", "250")
	if got := k.deliver(letter); !strings.HasPrefix(got, "250 2.0.0") {
		t.Fatal(got)
	}
	m, _ := r.spool.last(t)
	if m.Envelope.Client != netip.MustParseAddr("192.0.2.7") || !strings.Contains(string(m.Prefix), "([192.0.2.7])") {
		t.Errorf("client %v, prefix %q", m.Envelope.Client, m.Prefix)
	}
}
