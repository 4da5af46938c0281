package relay

import (
	"cmp"
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
	"mailgate/internal/tlspolicy"
)

// Options are what an Engine works with. Queue, Bodies, Messages, Custody, Resolver,
// Policies, Signer and Settings must be set.
type Options struct {
	Queue    spool.Queue
	Bodies   Bodies
	Messages Messages    // for Hold and GiveUp
	Custody  spool.Taker // takes the reports to senders, which are then delivered as other mail
	Resolver Resolver
	Policies Policies
	Results  Results // nil: nobody hears how TLS went
	Signer   Signer
	Settings func() Settings // as they are now

	// Findings is what each of pre-flight's checks finds about mail of these domains,
	// by check; one that can't be made now is left out. When one of them changes, a
	// provider that refused such mail is tried again. nil: only Trust brings that about.
	Findings func(ctx context.Context, from, mailFrom mail.Domain) map[string]string
	// Notes keeps who refused whose mail over a restart. nil: it is forgotten then.
	Notes spool.Notes

	Metrics Metrics             // nil: nothing is counted
	Logger  *slog.Logger        // nil: slog.Default
	Now     func() time.Time    // nil: time.Now
	Local   func() []netip.Addr // addresses of this machine; nil: as the system says
	Dial    Dial                // nil: TCP
	RootCAs *x509.CertPool      // for the levels verify and secure; nil: the system's

	// CrashPoint is called at named steps (CrashPoints), for tests that end the
	// process there.
	CrashPoint func(name string)
}

// Bodies gives original bytes.
type Bodies interface {
	Open(ctx context.Context, id string) (io.ReadCloser, error)
}

// Messages finds messages and moves their recipients.
type Messages interface {
	Get(ctx context.Context, id string) (*spool.Message, error)
	Move(ctx context.Context, m spool.Move) error
}

// Policies gives TLS policies.
type Policies interface {
	Lookup(ctx context.Context, d tlspolicy.Destination) (tlspolicy.Policy, error)
	// Learn remembers what a handshake with a host needs at level may.
	Learn(ctx context.Context, host mail.Domain, l tlspolicy.Learned) error
}

// Signer signs messages as they leave.
type Signer interface {
	// Sign returns the signature fields to put before content, which is m as it will
	// be sent: trace and added fields, then the original bytes. It returns nothing
	// for mail that isn't ours to sign; an error keeps the message from leaving.
	Sign(ctx context.Context, m *spool.Message, content io.Reader) (prefix []byte, err error)
}

// Metrics counts.
type Metrics interface {
	Delivery(outcome, tls string) // one recipient: delivered, deferred, bounced or held; TLS used, empty: none
	Pause(next string)            // connections to a destination or next hop are put off
	Prediction(result string)     // agreed, missed or false-alarm
}

// Dial connects to a mail server. local is the address to come from; it is the
// zero Addr where the system is to choose.
type Dial func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error)

// Settings may change while the engine runs. The zero value of a number is the
// default named beside it.
type Settings struct {
	Hostname mail.Domain  // ours, for EHLO and reports
	Egress   []netip.Addr // mail leaves from these; families without one are not used. Empty: as the system likes
	NextHop  Route        // for what no route is for; Destination is ignored. Without Via: the MX hosts
	Routes   []Route

	MaxAge     time.Duration // 5 d; then a message is returned
	FirstRetry time.Duration // 5 min; it doubles from try to try
	LastRetry  time.Duration // 4 h; the longest time between two tries
	DelayAfter time.Duration // when a sender is told that it takes longer; 0: never
	Postmaster mail.Address  // gets what can't be returned to anyone; zero: nobody does

	Connections           int           // 50, at once in all
	PerDestination        int           // 5, at once to one destination or next hop
	MessagesPerConnection int           // 100
	Drain                 time.Duration // 20 s; how long deliveries under way may take when the engine stops

	// Loopback lets MX hosts be at loopback addresses, as in tests and the
	// demonstration. Elsewhere that is a loop.
	Loopback bool
	Port     uint16 // of MX hosts, for tests; 25
}

// Route sends mail for some destinations another way than to their MX hosts.
type Route struct {
	Destination    string          // recipient domain, ".example.net" for its sub-domains, "*" for all
	Via            string          // host:port, whose addresses are used, not its MX; empty: the MX hosts after all
	User, Password string          // for AUTH, which is sent only over TLS, or to this machine
	TLS            tlspolicy.Level // zero: as the policy says, and with a User verify, unless DANE proves the server. The policy's level, where one is set, is never undercut
}

func (s Settings) complete() Settings {
	s.MaxAge = cmp.Or(s.MaxAge, 5*24*time.Hour)
	s.FirstRetry = cmp.Or(s.FirstRetry, 5*time.Minute)
	s.LastRetry = cmp.Or(s.LastRetry, 4*time.Hour)
	s.Connections = cmp.Or(s.Connections, 50)
	s.PerDestination = cmp.Or(s.PerDestination, 5)
	s.MessagesPerConnection = cmp.Or(s.MessagesPerConnection, 100)
	s.Drain = cmp.Or(s.Drain, 20*time.Second)
	s.Port = cmp.Or(s.Port, 25)
	return s
}

type noMetrics struct{}

func (noMetrics) Delivery(string, string) {}
func (noMetrics) Pause(string)            {}
func (noMetrics) Prediction(string)       {}
