package tlsprobe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/smtp"
	"slices"
	"strings"
	"time"

	"mailgate/internal/tlspolicy"
)

const (
	defaultTimeout  = 15 * time.Second
	submissionsPort = 465 // implicit TLS (RFC 8314)
)

var errNoSTARTTLS = errors.New("STARTTLS isn't offered")

// attempt is one connection.
type attempt struct {
	greeting string
	startTLS bool  // offered, or TLS from the first byte on
	err      error // why it didn't come to a handshake
	made     Handshake
	state    *tls.ConnectionState // nil: TLS didn't come about
}

// attempt makes a connection and TLS over it.
func (p Prober) attempt(ctx context.Context, t Target, config *tls.Config, l limits) *attempt {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.Timeout, defaultTimeout))
	defer cancel()
	a := &attempt{made: Handshake{Offered: l.String(), limits: l}}
	conn, err := p.dial(ctx, t.Address)
	if err != nil {
		return a.unreached(fmt.Errorf("connect: %w", err))
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if err := p.converse(t, a, conn); err != nil {
		return a.unreached(err)
	}
	a.secure(ctx, conn, config)
	return a
}

func (a *attempt) unreached(err error) *attempt {
	a.err, a.made.Unreached, a.made.Error = err, true, err.Error()
	return a
}

// secure makes TLS over a connection on which it was agreed.
func (a *attempt) secure(ctx context.Context, conn net.Conn, config *tls.Config) {
	tap := &wire{Conn: conn}
	secured := tls.Client(tap, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		a.made.Error, a.made.Transcript = err.Error(), tap.transcript()
		return
	}
	s := secured.ConnectionState()
	a.state = &s
	a.made.Version, a.made.Cipher = tlspolicy.Version(s.Version), tls.CipherSuiteName(s.CipherSuite)
	if s.CurveID != 0 {
		a.made.Group = s.CurveID.String()
	}
}

// converse comes as far as the handshake: at once, or after STARTTLS. It fails with
// errNoSTARTTLS where that isn't offered.
func (p Prober) converse(t Target, a *attempt, conn net.Conn) error {
	if t.Address.Port() == submissionsPort {
		a.startTLS = true
		return nil
	}
	heard := &overheard{Conn: conn}
	client, err := smtp.NewClient(heard, t.Name)
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	a.greeting = heard.line()
	if err := client.Hello(cmp.Or(p.Hostname, "localhost")); err != nil {
		return fmt.Errorf("EHLO: %w", err)
	}
	if a.startTLS, _ = client.Extension("STARTTLS"); !a.startTLS {
		_ = client.Quit()
		return errNoSTARTTLS
	}
	id, err := client.Text.Cmd("STARTTLS")
	if err == nil {
		client.Text.StartResponse(id)
		_, _, err = client.Text.ReadResponse(220)
		client.Text.EndResponse(id)
	}
	if err != nil {
		return fmt.Errorf("STARTTLS: %w", err)
	}
	if client.Text.R.Buffered() > 0 {
		return errors.New("the server goes on in the clear after STARTTLS: somebody may be injecting answers")
	}
	return nil
}

func (p Prober) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	if p.Dial != nil {
		return p.Dial(ctx, to)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", to.String())
}

// overheard keeps the first line that a server says.
type overheard struct {
	net.Conn
	first []byte
	done  bool
}

const maxGreeting = 512

func (o *overheard) Read(p []byte) (int, error) {
	n, err := o.Conn.Read(p)
	if !o.done {
		o.first = append(o.first, p[:n]...)
		o.done = slices.Contains(o.first, '\n') || len(o.first) > maxGreeting
	}
	return n, err
}

func (o *overheard) line() string {
	line, _, _ := strings.Cut(string(o.first[:min(len(o.first), maxGreeting)]), "\n")
	return strings.TrimSpace(line)
}
