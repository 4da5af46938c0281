package relay

import (
	"slices"
	"sync"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// Predictions says how pre-flight's predictions compare with what receivers said,
// since this process began.
type Predictions struct {
	Since       time.Time      `json:"since"`
	Agreed      int64          `json:"agreed"`
	Missed      int64          `json:"missed"`       // taken for accepted, refused in fact
	FalseAlarms int64          `json:"false_alarms"` // taken for refused, accepted in fact
	Latest      []Disagreement `json:"latest"`       // the latest first
}

// Disagreement is a prediction that did not come true.
type Disagreement struct {
	At        time.Time    `json:"at"`
	ID        string       `json:"id"`
	From      mail.Address `json:"from"` // author
	Recipient mail.Address `json:"recipient"`
	Provider  string       `json:"provider"`
	Expected  string       `json:"expected"` // accept or refuse
	Predicted string       `json:"predicted,omitempty"`
	Reply     string       `json:"reply"` // the receiver's
	Rule      string       `json:"rule,omitempty"`
	Host      string       `json:"host"`
}

// maxDisagreements bounds how many are listed.
const maxDisagreements = 200

// expected counts. The zero value is ready for use.
type expected struct {
	mu    sync.Mutex
	since time.Time
	p     Predictions
}

// Predictions returns the counts and the latest disagreements.
func (e *Engine) Predictions() Predictions {
	e.expected.mu.Lock()
	defer e.expected.mu.Unlock()
	p := e.expected.p
	p.Since = e.expected.since
	p.Latest = slices.Clone(p.Latest)
	slices.Reverse(p.Latest)
	if p.Latest == nil {
		p.Latest = []Disagreement{}
	}
	return p
}

// compare holds a receiver's answer against the prediction. Answers that are about
// something else (no such user, full, not now) say nothing about it.
func (e *Engine) compare(m *spool.Message, f *fate) {
	was := f.to.Delivery.Expected
	taken, refused := f.outcome == delivered, f.outcome == held && f.why == ""
	if !taken && !refused || was != "accept" && was != "refuse" {
		return
	}
	if (was == "accept") == taken {
		e.expected.count("agreed", nil)
		e.o.Metrics.Prediction("agreed")
		return
	}
	result := "false-alarm"
	if refused {
		result = "missed"
	}
	e.o.Metrics.Prediction(result)
	e.expected.count(result, &Disagreement{
		At: e.o.Now(), ID: m.ID, From: m.From, Recipient: f.to.Address, Provider: f.to.Provider,
		Expected: was, Predicted: f.to.Reply, Reply: f.words, Rule: f.rule, Host: f.host,
	})
}

func (x *expected) count(result string, d *Disagreement) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch result {
	case "agreed":
		x.p.Agreed++
	case "missed":
		x.p.Missed++
	case "false-alarm":
		x.p.FalseAlarms++
	}
	if d == nil {
		return
	}
	if len(x.p.Latest) >= maxDisagreements {
		x.p.Latest = slices.Delete(x.p.Latest, 0, 1)
	}
	x.p.Latest = append(x.p.Latest, *d)
}
