package tlsreport

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"mailgate/internal/mail"
)

const (
	atOnce     = 8 // domains
	lookupTime = 15 * time.Second
	mailTime   = 5 * time.Minute
	postTime   = time.Minute
)

// Send sends the reports of a day, which should be over, to the domains that want one
// and don't have it yet. It returns for how many domains something is left to be tried
// again. While reports are off, what was counted on the day is forgotten.
func (r *Reports) Send(ctx context.Context, day Day) (left int) {
	r.sending.Lock()
	defer r.sending.Unlock()
	s := r.settings()
	if !s.Enabled {
		r.drop(ctx, day)
		return 0
	}
	group := errgroup.Group{}
	group.SetLimit(atOnce)
	for _, domain := range r.domains(day) {
		group.Go(func() error {
			if ctx.Err() == nil && r.sendDomain(ctx, s, day, domain) {
				r.finish(day, domain)
			}
			return nil
		})
	}
	_ = group.Wait() // it has no errors
	if left = len(r.domains(day)); left == 0 {
		r.drop(ctx, day)
	}
	return left
}

// sendDomain reports whether nothing is left to do for a domain.
func (r *Reports) sendDomain(ctx context.Context, s Settings, day Day, domain mail.Domain) bool {
	lookup, cancel := context.WithTimeout(ctx, lookupTime)
	targets, err := r.targets(lookup, domain)
	cancel()
	if err != nil {
		r.log.InfoContext(ctx, "TLS report: tried again later", "domain", domain, "day", day, "error", err)
		return false
	}
	if len(targets) == 0 {
		return true
	}
	l, err := newLetter(s, day, domain, r.counted(day, domain))
	if err != nil {
		r.log.ErrorContext(ctx, "no TLS report", "domain", domain, "day", day, "error", err)
		return true
	}
	done := true
	for _, t := range targets {
		done = r.sendTo(ctx, l, t) && done
	}
	return done
}

// sendTo reports whether nothing is left to do for a target. The mark is on disk before
// the report leaves, so that it never leaves twice; it goes when the report was refused.
func (r *Reports) sendTo(ctx context.Context, l *letter, t target) bool {
	fresh, err := r.mark(ctx, l, t)
	if err == nil && !fresh {
		return true
	}
	if err == nil {
		if err = r.deliver(ctx, l, t); err != nil {
			r.unmark(ctx, l, t)
		}
	}
	if err != nil {
		r.o.Metrics.Report(t.via(), "failed")
		r.log.WarnContext(ctx, "TLS report: tried again later", "domain", l.domain, "day", l.day, "to", t.uri, "error", err)
		return false
	}
	r.o.Metrics.Report(t.via(), "sent")
	r.log.InfoContext(ctx, "TLS report sent", "domain", l.domain, "day", l.day, "to", t.uri)
	return true
}

func (r *Reports) deliver(ctx context.Context, l *letter, t target) error {
	if t.url == nil {
		ctx, cancel := context.WithTimeout(ctx, mailTime)
		defer cancel()
		return r.o.Mailer.Mail(ctx, l.settings.From, t.mail, l.message(t.mail, r.o.Now()))
	}
	return r.post(ctx, l, t)
}

// post sends a report by HTTPS (RFC 8460, section 5.4).
func (r *Reports) post(ctx context.Context, l *letter, t target) error {
	ctx, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url.String(), bytes.NewReader(l.content))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", mediaType)
	request.Header.Set("User-Agent", "mailgate")
	response, err := r.o.Client(t.url.Hostname(), t.port).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10) // what it says doesn't matter
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("the server answers %d, 200 is needed", response.StatusCode)
	}
	return nil
}

// mark notes on disk that a report goes to a target; false: it went there already.
func (r *Reports) mark(ctx context.Context, l *letter, t target) (fresh bool, err error) {
	to := r.wentTo(l)
	if slices.Contains(to, t.uri) {
		return false, nil
	}
	to = append(to, t.uri)
	if err := r.keepMark(ctx, l, to); err != nil {
		return false, err
	}
	r.setMark(l, to)
	return true, nil
}

func (r *Reports) unmark(ctx context.Context, l *letter, t target) {
	ctx = context.WithoutCancel(ctx)
	to := slices.DeleteFunc(r.wentTo(l), func(uri string) bool { return uri == t.uri })
	r.setMark(l, to)
	if err := r.keepMark(ctx, l, to); err != nil {
		r.log.ErrorContext(ctx, "a TLS report that wasn't sent counts as sent after a restart", "domain", l.domain, "day", l.day, "to", t.uri, "error", err)
	}
}

// wentTo is a copy.
func (r *Reports) wentTo(l *letter) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.marksOf(l.day)[l.domain]; m != nil {
		return slices.Clone(m.To)
	}
	return nil
}

func (r *Reports) keepMark(ctx context.Context, l *letter, to []string) error {
	data, err := json.Marshal(mark{To: to})
	if err != nil {
		return err
	}
	err = r.o.Memory.Keep(ctx, Note{noteName(l.day, noteSent, string(l.domain)), data, l.day.forgotten()})
	if err != nil {
		return fmt.Errorf("keep that a TLS report was sent: %w", err)
	}
	return nil
}

func (r *Reports) setMark(l *letter, to []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marksOf(l.day)[l.domain] = &mark{To: to}
}

func (r *Reports) domains(day Day) []mail.Domain {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.books[day]; b != nil {
		return b.list()
	}
	return nil
}

func (r *Reports) counted(day Day, domain mail.Domain) []*result {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.books[day]; b != nil {
		return b.of(domain)
	}
	return nil
}

func (r *Reports) finish(day Day, domain mail.Domain) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.books[day]; b != nil {
		b.remove(domain)
	}
}
