// Package quarantine is the review of held mail: what is held and why, whether it
// would pass now, and its ways out: released by the re-check or by a person, or
// discarded. Every move is written to the review log by the store.
package quarantine

import (
	"context"
	"io"
	"log/slog"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/mail"
	"mailgate/internal/notice"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// Judge is what the quarantine needs of the gate.
type Judge interface {
	// Judge says what would become of this mail, from memory where it may.
	Judge(ctx context.Context, from mail.Domain, sender mail.Address, to []mail.Address) gate.Verdict
	// JudgeAfresh asks DNS again.
	JudgeAfresh(ctx context.Context, from mail.Domain, sender mail.Address, to []mail.Address) gate.Verdict
}

// Injector hands a released message on: one result for each recipient. An error
// means that no answer was had for any.
type Injector interface {
	Inject(ctx context.Context, m *spool.Message, to []mail.Address, token string, content io.Reader) ([]spool.Handover, error)
}

// Options of a Quarantine.
type Options struct {
	Judge    func() Judge // the gate in force; a reload changes it
	Injector Injector
	Relay    Relay                                                    // nil: all that is released is handed over
	Policy   func() Policy                                            // the one in force; a reload changes it
	Publish  func(context.Context, *preflight.Report) []notice.Record // what would mend the findings; nil: nothing is known
	Ending   func() []notice.Ending                                   // what ends soon, of each of which one digest tells; nil: nothing
	Count    func(result string, recipients int)                      // counts recipients: "delivered", "queued", "failed"; nil: not counted
	Noticed  func(kind, result string)                                // counts notices: delayed, returned, digest; sent, refused, failed; nil: not counted
	Full     func() bool                                              // whether the store takes nothing more for want of room; nil: never
	Logger   *slog.Logger
	Now      func() time.Time

	// CrashPoint is called at named steps, for tests that end the process there.
	CrashPoint func(name string)
}

// Quarantine reviews the messages of one store. It is safe for concurrent use.
type Quarantine struct {
	store spool.Store
	o     Options
	kick  chan struct{} // wakes the re-check
	tidy  chan struct{} // wakes keepHouse

	schedule schedule
	slots    chan struct{} // taken by identities being checked
	known    known
	pace     pace
	patience patience
	releases drain
	mailing  mailing
}

// New builds a Quarantine over store.
func New(store spool.Store, o Options) *Quarantine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Ending == nil {
		o.Ending = func() []notice.Ending { return nil }
	}
	if o.Publish == nil {
		o.Publish = func(context.Context, *preflight.Report) []notice.Record { return nil }
	}
	if o.CrashPoint == nil {
		o.CrashPoint = func(string) {}
	}
	if o.Count == nil {
		o.Count = func(string, int) {}
	}
	if o.Noticed == nil {
		o.Noticed = func(string, string) {}
	}
	if o.Full == nil {
		o.Full = func() bool { return false }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Quarantine{
		store: store, o: o,
		kick: make(chan struct{}, 1), tidy: make(chan struct{}, 1), slots: make(chan struct{}, identitiesAside),
	}
}
