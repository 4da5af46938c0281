package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	moxdns "github.com/mjl-/mox/dns"
	"github.com/mjl-/mox/sasl"
	"github.com/mjl-/mox/smtpclient"
	"github.com/mjl-/mox/tlsrpt"

	"github.com/emersion/go-smtp"

	"mailgate/internal/tlspolicy"
)

// session is an SMTP session with a server, ready for a transaction.
type session struct {
	opening opening
	conn    net.Conn
	client  *smtp.Client
	host    string
	tls     string // what it is secured with; empty: nothing
	state   *tls.ConnectionState
	sent    int // transactions begun
}

// opening is what a session is made from.
type opening struct {
	settings Settings
	route    Route
	to       tlspolicy.Destination // without Host
	host     host
	address  netip.AddrPort
	policy   tlspolicy.Policy // for this host
	report   bool             // it is for a TLS report
}

// open connects and comes as far as the answer to EHLO, secured as the policy
// demands. At level may a server whose TLS fails is tried again with less.
func (e *Engine) open(ctx context.Context, o opening) (*session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, openTimeout, errSlow)
	defer cancel()
	s, err := e.secure(ctx, o)
	if s != nil {
		s.opening = o
	}
	return s, err
}

func (e *Engine) secure(ctx context.Context, o opening) (*session, error) {
	mode := o.mode()
	s, err := e.attempt(ctx, o, mode)
	if !errors.Is(err, smtpclient.ErrTLS) || ctx.Err() != nil {
		e.noteTLS(o, s, nil)
		return s, err
	}
	e.noteTLS(o, nil, err)
	if mode == smtpclient.TLSOpportunistic {
		return e.openLess(ctx, o, err)
	}
	return nil, err
}

// attempt uses mox's client as far as EHLO, STARTTLS and AUTH. The transactions are
// go-smtp's: mox's gives neither the answer to the message, nor DSN parameters, and
// waits 30 seconds for the answer, where RFC 5321 wants 10 minutes.
func (e *Engine) attempt(ctx context.Context, o opening, mode smtpclient.TLSMode) (*session, error) {
	conn, err := e.o.Dial(ctx, e.source(o.settings, o.route, o.address.Addr()), o.address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", o.server(o.address.String()), dialing(err))
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var unverified error
	var heard tlsrpt.Result
	config := o.policy.TLSConfig(o.host.name)
	if config != nil {
		config.RootCAs = e.o.RootCAs
		config.VerifyConnection = noting(&unverified, config.VerifyConnection)
	}
	greeted, err := smtpclient.New(ctx, slog.New(slog.DiscardHandler), patient{conn}, mode, false,
		moxdns.Domain{ASCII: string(o.settings.Hostname)}, moxdns.Domain{ASCII: o.host.name},
		smtpclient.Opts{TLSConfig: config, Auth: o.route.auth(), HostResult: &heard})
	if err == nil {
		var s *session
		if s, err = o.session(greeted); err == nil {
			return s, nil
		}
	}
	conn.Close()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return nil, openingError(o, err, unverified, heard.FailureDetails)
}

// noting keeps what verify says: mox's client leaves nothing of it but words.
func noting(said *error, verify func(tls.ConnectionState) error) func(tls.ConnectionState) error {
	if verify == nil {
		return nil
	}
	return func(state tls.ConnectionState) error {
		*said = verify(state)
		return *said
	}
}

// session goes on with a connection that mox's client has opened.
func (o opening) session(greeted *smtpclient.Client) (*session, error) {
	s := &session{host: o.host.name}
	if s.state = greeted.TLSConnectionState(); s.state != nil {
		s.tls = describeTLS(s.state, o.policy.Level)
	} else if o.policy.Level.Mandatory() { // it can't be: the mode asks for STARTTLS
		return nil, fmt.Errorf("no TLS, where the policy demands it")
	}
	conn, err := greeted.Conn()
	if err != nil {
		return nil, err
	}
	s.conn = timedConn{conn, defaultWriteTimeout}
	c := &greetedConn{Conn: s.conn, greeting: []byte("220 ready\r\n"), hello: true}
	s.client = smtp.NewClient(c)
	s.client.CommandTimeout = openTimeout
	s.client.SubmissionTimeout = answerTimeout
	err = s.client.Hello(string(o.settings.Hostname))
	c.hello = false
	return s, err
}

// mode is how TLS is begun at the policy's level.
func (o opening) mode() smtpclient.TLSMode {
	switch {
	case o.policy.Level == tlspolicy.None:
		return smtpclient.TLSSkip
	case o.address.Port() == submissionsPort:
		return smtpclient.TLSImmediate
	case o.policy.Level.Mandatory():
		return smtpclient.TLSRequiredStartTLS
	}
	return smtpclient.TLSOpportunistic
}

const submissionsPort = 465 // implicit TLS (RFC 8314)

// auth logs in where the route has a user.
func (r Route) auth() func([]string, *tls.ConnectionState) (sasl.Client, error) {
	if r.User == "" {
		return nil
	}
	return func(mechanisms []string, _ *tls.ConnectionState) (sasl.Client, error) {
		if !slices.Contains(mechanisms, "PLAIN") && slices.Contains(mechanisms, "LOGIN") {
			return sasl.NewClientLogin(r.User, r.Password), nil
		}
		return sasl.NewClientPlain(r.User, r.Password), nil
	}
}

// describeTLS says what was used: "TLSv1.3, not verified".
func describeTLS(state *tls.ConnectionState, level tlspolicy.Level) string {
	version := strings.Replace(tls.VersionName(state.Version), "TLS ", "TLSv", 1)
	if level >= tlspolicy.DANE {
		return version + ", verified"
	}
	return version + ", not verified"
}

// openingError makes words of why a session could not be opened, unverified being
// what is wrong with the server's certificate. It is never permanent: it says nothing
// about a message.
func openingError(o opening, err, unverified error, heard []tlsrpt.FailureDetails) error {
	t := later("4.4.2", "%s: %v", o.server(o.address.Addr().String()), err)
	t.host = o.host.name
	if answer, ok := errors.AsType[smtpclient.Error](err); ok && answer.Code != 0 {
		t.words = oneLine(answer.Line, answer.MoreLines)
		if t.answered = !errors.Is(err, smtpclient.ErrTLS); !t.answered {
			t.status, t.words = "4.7.5", o.failedTLS(fmt.Errorf("%w: %s", ErrNoSTARTTLS, t.words))
		}
	} else if unverified != nil {
		t.status, t.words = "4.7.5", o.failedTLS(unverified)
		if o.route.guarded(o.address.Addr()) {
			t.words += fmt.Sprintf(`; no password is sent to it. Have it show a certificate for %s that this machine trusts, or set tls = "encrypt" in the [[route]]`, o.host.name)
		}
	} else if errors.Is(err, smtpclient.ErrTLS) {
		t.status, t.words = "4.7.5", o.failedTLS(errors.Unwrap(err))
	}
	w := withCause{trouble: t, cause: err, unverified: unverified}
	if len(heard) > 0 {
		w.heard = heard[0]
	}
	return w
}

func (o opening) failedTLS(why error) string {
	return fmt.Sprintf("TLS with %s (policy %s): %v", o.server(o.address.Addr().String()), o.policy.Level, why)
}

// server names the server with its address, once where that is its name.
func (o opening) server(address string) string {
	if a, err := netip.ParseAddr(o.host.name); err == nil && a == o.address.Addr() {
		return address
	}
	return o.host.name + " at " + address
}

// withCause is a trouble that can be asked for what is behind it.
type withCause struct {
	*trouble
	cause      error
	unverified error                 // nil: the certificate is not why
	heard      tlsrpt.FailureDetails // what mox's client has for reports; zero: nothing
}

func (w withCause) Unwrap() []error {
	causes := []error{w.trouble, w.cause}
	if w.unverified != nil {
		causes = append(causes, w.unverified)
	}
	return causes
}

func oneLine(first string, more []string) string {
	return strings.Join(append([]string{first}, more...), " ")
}

func (s *session) close() { s.conn.Close() }

// quit ends a session in order, but doesn't wait long for the answer.
func (s *session) quit() {
	s.client.CommandTimeout = quitTimeout
	_ = s.client.Quit() // the answers stand
	s.conn.Close()
}

const (
	answerTimeout = 10 * time.Minute // RFC 5321 section 4.5.3.2.6
	quitTimeout   = 2 * time.Second
)

// patient keeps mox's client from its 30 seconds for each answer: a greeting may
// take longer. Opening a session has a limit of its own.
type patient struct{ net.Conn }

func (patient) SetReadDeadline(time.Time) error { return nil }
