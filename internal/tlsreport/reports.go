package tlsreport

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/tlspolicy"
)

// Options are what Reports work with. Settings, DNS, Mailer, Client and Memory must
// be set.
type Options struct {
	Settings func() Settings // as they are now
	DNS      DNS
	STS      func(mail.Domain) (tlspolicy.STSState, bool) // what is known of MTA-STS policies; nil: nothing
	Mailer   Mailer                                       // for rua=mailto:
	Client   func(host string, port uint16) *http.Client  // for rua=https:, one request to a host of the Internet
	Memory   Memory                                       //
	Metrics  Metrics                                      // nil: nothing is counted
	Log      *slog.Logger                                 // nil: slog.Default
	Now      func() time.Time                             // nil: time.Now
	Jitter   func() time.Duration                         // how long after midnight a day's reports are sent; nil: any time up to 4 h
}

// Settings may change at any time.
type Settings struct {
	Enabled  bool
	Hostname mail.Domain  // ours: the submitter
	From     mail.Address // of the reports, and whom to ask about them
	Name     string       // of our organisation; empty: Hostname
}

// DNS looks up where reports go.
type DNS interface {
	// TXT returns the records of a name, none where there are none. An error says that
	// DNS doesn't tell now.
	TXT(ctx context.Context, name string) ([]string, error)
}

// Mailer sends reports by mail.
type Mailer interface {
	// Mail takes a message over for delivery, DKIM-signed for from's domain: nil says
	// that it is on disk, or in another MTA's hands.
	Mail(ctx context.Context, from, to mail.Address, content []byte) error
}

// Memory keeps what must outlive a restart.
type Memory interface {
	// Recall returns the notes that have not ended.
	Recall(ctx context.Context) ([]Note, error)
	// Keep stores a note in place of the one with its name. It returns when that is on
	// disk.
	Keep(ctx context.Context, n Note) error
	// Forget removes a note. That there is none is no error.
	Forget(ctx context.Context, name string) error
}

// Note is something remembered.
type Note struct {
	Name  string
	Data  []byte // JSON
	Until time.Time
}

// Metrics counts.
type Metrics interface {
	Report(via, result string) // tries by mail or https: sent (with mail: queued), failed or given-up
}

type noMetrics struct{}

func (noMetrics) Report(string, string) {}

// Reports counts sessions and sends reports. It is safe for concurrent use.
//
// What was counted is kept every few minutes and by Flush: a crash loses the rest, and
// those sessions are missing in the day's report.
type Reports struct {
	o   Options
	log *slog.Logger

	keeping sync.Mutex // of pages
	sending sync.Mutex // of reports

	mu    sync.Mutex
	books map[Day]*book
	sent  map[Day]map[mail.Domain]*mark
	turns map[Day]turn
}

// New recalls what Memory has.
func New(ctx context.Context, o Options) (*Reports, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = func() time.Duration { return rand.N(spread) }
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.STS == nil {
		o.STS = func(mail.Domain) (tlspolicy.STSState, bool) { return tlspolicy.STSState{}, false }
	}
	r := &Reports{
		o: o, log: cmp.Or(o.Log, slog.Default()),
		books: map[Day]*book{}, sent: map[Day]map[mail.Domain]*mark{}, turns: map[Day]turn{},
	}
	return r, r.recall(ctx)
}

func (r *Reports) settings() Settings {
	s := r.o.Settings()
	s.Name = cmp.Or(s.Name, string(s.Hostname))
	return s
}

// Session counts a session. While reports are off, it does nothing.
func (r *Reports) Session(s Session) {
	if !r.o.Settings().Enabled || !s.counted() {
		return
	}
	sts, _ := r.o.STS(s.Domain)
	p := s.policy(sts)
	var failed *failure
	if f, ok := s.failure(p, sts); ok {
		failed = &f
	}
	day := DayOf(r.o.Now())
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.books[day]
	if b == nil {
		b = &book{}
		r.books[day] = b
	}
	if !b.add(s.Domain, p, failed) && b.uncounted == 1 {
		r.log.Warn("not all sessions of the day will be in TLS reports: there are too many domains, or policies of one", "domain", s.Domain)
	}
}
