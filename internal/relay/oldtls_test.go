package relay

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
	"mailgate/internal/tlspolicy"
)

// A server whose TLS is older than the policy wants: never less than the policy.
func TestNoSharedVersion(t *testing.T) {
	now := time.Now()
	cert, roots := certificate(t, "mx.dest.example", now.Add(-time.Hour), now.Add(time.Hour))
	for _, c := range []struct {
		level    tlspolicy.Level
		delivers bool // in the clear
	}{
		{tlspolicy.None, true}, {tlspolicy.May, true}, {tlspolicy.Encrypt, false}, {tlspolicy.Verify, false}, {tlspolicy.Secure, false},
	} {
		for name, server := range map[string]*tls.Config{
			"TLS 1.0 only":         {MaxVersion: tls.VersionTLS10, MinVersion: tls.VersionTLS10},
			"TLS 1.1 at most":      {MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10},
			"no cipher in common":  {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}},
			"breaks the handshake": nil,
		} {
			t.Run(c.level.String()+", "+name, func(t *testing.T) {
				w := newWorld(t)
				w.engine(roots)
				override := tlspolicy.Override{Destination: "dest.example", Level: c.level, Reason: "test"}
				if c.level == tlspolicy.Verify || c.level == tlspolicy.Secure {
					override.MatchNames = []string{"mx.dest.example"}
				}
				w.policies(override)
				w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, nil)
				if server != nil {
					server = server.Clone()
					server.Certificates = []tls.Certificate{*cert}
				}
				inClear := oldServer(t, w, "203.0.113.5", server)
				m := w.queue(nil, "bob@dest.example")
				w.pass()
				if c.delivers {
					w.want(m, spool.Delivered, "250")
					if d := w.recipients(m)[0].Delivery; d.TLS != "" {
						t.Errorf("%+v", d)
					}
					return
				}
				w.want(m, spool.Queued, "TLS")
				if *inClear {
					t.Error("commands went out in the clear")
				}
			})
		}
	}
}

// oldServer offers STARTTLS with that configuration, nil: and then breaks off. It says
// whether it was given a message in the clear.
func oldServer(t *testing.T, w *world, ip string, config *tls.Config) *bool {
	t.Helper()
	mail := false
	plain := startBox(t, &box{extensions: []string{"8BITMIME", "STARTTLS"}, answer: func(line string) string {
		if strings.HasPrefix(line, "STARTTLS") {
			return "220 go on"
		}
		mail = mail || strings.HasPrefix(line, "MAIL")
		return ""
	}})
	dial := w.e.o.Dial
	w.e.o.Dial = func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
		c, err := dial(ctx, local, remote)
		if err != nil {
			return nil, err
		}
		return betweenTLS(t, c, config), nil
	}
	w.boxes[addr(ip)] = plain
	return &mail
}

// betweenTLS is a connection on which STARTTLS is answered by another than the server.
func betweenTLS(t *testing.T, server net.Conn, config *tls.Config) net.Conn {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		defer server.Close()
		buf := make([]byte, 4096)
		for {
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			if strings.HasPrefix(string(buf[:n]), "STARTTLS") {
				io.WriteString(far, "220 go on\r\n")
				if config != nil {
					tls.Server(far, config).Handshake() // fails
				}
				return
			}
			server.Write(buf[:n])
		}
	}()
	go func() {
		io.Copy(far, server)
		far.Close()
	}()
	t.Cleanup(func() { near.Close(); server.Close() })
	return near
}
