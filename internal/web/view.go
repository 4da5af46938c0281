package web

import (
	"encoding/json"
	"time"

	"mailgate/internal/gate"
	"mailgate/internal/preflight"
	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
)

// Status is what GET /v1/status answers.
type Status struct {
	Version    string               `json:"version"`
	Mode       string               `json:"mode"`
	Config     string               `json:"config"`
	Started    time.Time            `json:"started"`
	Domains    []string             `json:"domains"`
	Recipients map[spool.State]int  `json:"recipients"` // by state
	Held       map[spool.Reason]int `json:"held"`       // by reason
}

// Page is what GET /v1/quarantine answers. Next, when not empty, is the "after" of
// the next page.
type Page struct {
	Messages   []Message            `json:"messages"`
	Next       string               `json:"next,omitempty"`
	Recipients map[spool.State]int  `json:"recipients"`
	Held       map[spool.Reason]int `json:"held"`
}

// Message is one message in a list.
type Message struct {
	ID         string      `json:"id"`
	Received   time.Time   `json:"received"`
	Source     string      `json:"source"`
	QueueID    string      `json:"queue_id,omitempty"`
	From       string      `json:"from"`   // author
	Sender     string      `json:"sender"` // MAIL FROM, "" for the null sender
	Subject    string      `json:"subject"`
	MessageID  string      `json:"message_id,omitempty"`
	Size       int64       `json:"size"`
	Client     string      `json:"client,omitempty"`
	User       string      `json:"user,omitempty"`
	Recipients []Recipient `json:"recipients"`
	Now        string      `json:"now,omitempty"` // "pass", "refuse" or "unknown": the gravest over the held recipients
	Why        string      `json:"why,omitempty"`
}

// Recipient is one recipient of a message.
type Recipient struct {
	Address  string       `json:"address"`
	State    spool.State  `json:"state"`
	Reason   spool.Reason `json:"reason,omitempty"`
	Provider string       `json:"provider,omitempty"`
	Codes    []string     `json:"codes,omitempty"`
	Rule     string       `json:"rule,omitempty"`
	Reply    string       `json:"reply,omitempty"`
	Changed  time.Time    `json:"changed"`
}

// Detail is what GET /v1/quarantine/{id} answers.
type Detail struct {
	Message
	Then    json.RawMessage   `json:"then,omitempty"`   // the report it was held on
	Report  *preflight.Report `json:"report,omitempty"` // the report now
	Publish []Publish         `json:"publish,omitempty"`
	Log     []Entry           `json:"log"`
}

// Publish is one record that would mend a finding, in the form of the domain's DNS
// host.
type Publish struct {
	At       string   `json:"at"` // "Cloudflare"
	Type     string   `json:"type"`
	Name     string   `json:"name"`
	Value    string   `json:"value"`
	Replaces []string `json:"replaces,omitempty"` // values at that name that must go
	Notes    []string `json:"notes,omitempty"`
}

// Entry is one row of the review log.
type Entry struct {
	Time      time.Time    `json:"time"`
	ID        string       `json:"id"`
	Recipient string       `json:"recipient"`
	Action    spool.Action `json:"action"`
	From      spool.State  `json:"from,omitempty"`
	Into      spool.State  `json:"into"`
	Actor     string       `json:"actor"`
	Reason    string       `json:"reason,omitempty"`
	Codes     []string     `json:"codes,omitempty"`
	Where     string       `json:"where,omitempty"`
}

// Review is the body of a release or discard.
type Review struct {
	Reason     string   `json:"reason"`
	Recipients []string `json:"recipients,omitempty"` // empty: all held ones
	Anyway     bool     `json:"anyway,omitempty"`
}

// Released is what a release answers.
type Released struct {
	ID         string     `json:"id"`
	Recipients []Handover `json:"recipients"`
}

// Handover is the next server's answer for one recipient.
type Handover struct {
	Address string `json:"address"`
	Answer  string `json:"answer"`
}

// RecheckResult is what a re-check did.
type RecheckResult struct {
	Messages int `json:"messages"`
	Released int `json:"released"`
	Failed   int `json:"failed"`
}

// ReloadResult is what a reload says.
type ReloadResult struct {
	Notes []string `json:"notes"`
}

func viewMessage(item quarantine.Item) Message {
	m := item.Message
	view := Message{
		ID: m.ID, Received: m.Received, Source: m.Source, QueueID: m.Envelope.QueueID,
		From: m.From.String(), Sender: m.Envelope.From.String(), Subject: m.Subject,
		MessageID: m.MessageID, Size: m.Size, User: m.Envelope.User,
	}
	if m.Envelope.Client.IsValid() {
		view.Client = m.Envelope.Client.String()
	}
	for _, r := range m.Recipients {
		view.Recipients = append(view.Recipients, Recipient{
			Address: r.Address.String(), State: r.State, Reason: r.Reason, Provider: r.Provider,
			Codes: r.Codes, Rule: r.Rule, Reply: r.Reply, Changed: r.Changed,
		})
	}
	view.Now, view.Why = now(item.Now)
	return view
}

// now sums up a verdict on held recipients.
func now(v gate.Verdict) (verdict, why string) {
	for _, r := range v.Recipients {
		switch {
		case r.Disposition == gate.Pass:
			if verdict == "" {
				verdict = "pass"
			}
		case r.Cause == gate.CauseWaiting:
			if verdict != "refuse" {
				verdict, why = "unknown", r.Prediction.Why
			}
		default:
			verdict, why = "refuse", r.Prediction.Why
		}
	}
	return verdict, why
}

func viewEntry(e spool.LogEntry) Entry {
	return Entry{
		Time: e.Time, ID: e.ID, Recipient: e.Recipient.String(), Action: e.Action, From: e.From, Into: e.Into,
		Actor: e.Actor, Reason: e.Reason, Codes: e.Codes, Where: e.Where,
	}
}

func viewReleased(r *quarantine.Released) Released {
	view := Released{ID: r.ID}
	for _, h := range r.Handover {
		view.Recipients = append(view.Recipients, Handover{Address: h.Recipient.String(), Answer: h.Answer})
	}
	return view
}
