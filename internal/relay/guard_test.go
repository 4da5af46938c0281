package relay

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// panicky panics when it is to take a report, to sign, or to count a delivery.
type panicky struct {
	spool.Taker
	noMetrics
}

func (panicky) Take(context.Context, *spool.Message, io.Reader) error { panic("boo") }
func (panicky) Delivery(outcome, _ string)                            { panic("boo") }
func (panicky) Sign(context.Context, *spool.Message, io.Reader) ([]byte, error) {
	panic("boo")
}

// What panics costs the message a try, and nothing else: other mail is delivered, each
// once, and the log names the message and the place.
func TestPanic(t *testing.T) {
	for name, c := range map[string]struct {
		rig   func(o *Options)
		state spool.State // of a message that is refused, while there are panics
		log   string
	}{
		"sign":   {func(o *Options) { o.Signer = panicky{} }, spool.Queued, "panicky.Sign"},
		"report": {func(o *Options) { o.Custody = panicky{} }, spool.Queued, "panicky.Take"},
		"count":  {func(o *Options) { o.Metrics = panicky{} }, spool.Bounced, "panicky.Delivery"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.rig(&w.e.o)
			b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{answer: starting(map[string]string{"RCPT TO:<no@": "550 5.1.1 no"})})
			w.server("example.com", "mx.example.com", "203.0.113.6", 10, &box{})
			first := w.queue(nil, "bob@dest.example")
			unsigned := w.queue(func(m *spool.Message) { m.Prefix = nil; m.Signed = m.Signed.AddDate(-1, 0, 0) }, "no@dest.example", "carol@dest.example")
			last := w.queue(nil, "bob@dest.example")
			w.pass()
			w.want(first, spool.Delivered, "250")
			w.want(last, spool.Delivered, "250")
			if log := w.log.String(); !strings.Contains(log, `msg="relay: panic" id=`+unsigned.ID) || !strings.Contains(log, c.log) {
				t.Errorf("log: %s", log)
			}
			if r := w.recipients(unsigned)[0]; r.State != c.state || c.state == spool.Queued && !strings.Contains(r.Delivery.Answer, "internal fault") {
				t.Errorf("%+v", r)
			}
			w.engine(nil)
			w.until(time.Hour)
			if got := w.states(unsigned); got != "bounced delivered" || len(b.got()) != 3 || len(w.reports()) != 1 {
				t.Errorf("%s; %d arrived, want 3; %d reports", got, len(b.got()), len(w.reports()))
			}
		})
	}
}
