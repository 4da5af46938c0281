package quarantine

import (
	"encoding/hex"
	"encoding/json"
	"time"

	"mailgate/internal/notice"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// Page is a part of the list. Next, when not empty, is the After of the next page.
type Page struct {
	Messages []Message `json:"messages"`
	Next     string    `json:"next,omitempty"`
	Counts   Counts    `json:"counts"`
}

// Counts are recipients by state; Refused, Waiting, Foreign and ByHand are what the
// held ones wait for.
type Counts struct {
	Held      int `json:"held"`
	Refused   int `json:"held_refused"`
	Waiting   int `json:"held_waiting"`
	Foreign   int `json:"held_foreign"`
	ByHand    int `json:"held_by_hand"` // for a reviewer
	Queued    int `json:"queued"`
	Delivered int `json:"delivered"`
	Bounced   int `json:"bounced"`
	Discarded int `json:"discarded"`
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
	Checked    time.Time   `json:"checked,omitzero"` // when Now was found
	Now        string      `json:"now,omitempty"`    // "pass", "by-hand" (held by hand), "refuse", "foreign" (no key here) or "unknown": the gravest over the held recipients
	Why        string      `json:"why,omitempty"`
	Note       string      `json:"note,omitempty"` // what keeps it from its end, in words
}

// Recipient is one recipient of a message.
type Recipient struct {
	Address  string       `json:"address"`
	Selected bool         `json:"selected,omitempty"` // in a list: it answers to what the query asks of a recipient (state, reason, code, provider, recipient)
	State    spool.State  `json:"state"`
	Reason   spool.Reason `json:"reason,omitempty"`
	Provider string       `json:"provider,omitempty"`
	Codes    []string     `json:"codes,omitempty"`
	Rule     string       `json:"rule,omitempty"`
	Reply    string       `json:"reply,omitempty"`
	Changed  time.Time    `json:"changed"`
	Now      string       `json:"now,omitempty"` // of a held one, as Message.Now
}

// Detail is everything about one message.
type Detail struct {
	Message
	Header      string            `json:"header,omitempty"`   // of the message, at most 64 KiB, made valid UTF-8
	Body        bool              `json:"body"`               // the original is still there
	Publish     []notice.Record   `json:"publish,omitempty"`  // what would mend the findings of now
	Then        json.RawMessage   `json:"then,omitempty"`     // the report it was held on
	Report      *preflight.Report `json:"report,omitempty"`   // the report now
	AutoRelease bool              `json:"auto_release"`       // what passes leaves by itself
	Log         []Entry           `json:"log"`                // the newest MaxPage entries, oldest first
	LogNext     int64             `json:"log_next,omitempty"` // not 0: there are older ones; they are after this one of the message's LogQuery
}

// Entry is one row of the review log.
type Entry struct {
	N         int64        `json:"n"`
	Time      time.Time    `json:"time"`
	ID        string       `json:"id"`
	Recipient string       `json:"recipient"`
	Action    spool.Action `json:"action"`
	From      spool.State  `json:"from,omitempty"`
	Into      spool.State  `json:"into"`
	Before    spool.Reason `json:"before,omitempty"`  // what it was held for until then
	Verdict   string       `json:"verdict,omitempty"` // of pre-flight at that moment: accept, refuse or unknown
	Actor     string       `json:"actor"`
	Reason    string       `json:"reason,omitempty"`
	Codes     []string     `json:"codes,omitempty"`
	Where     string       `json:"where,omitempty"`
	Hash      string       `json:"hash"` // hexadecimal; over this entry and the hash of the one before
}

// Released tells what became of a release.
type Released struct {
	ID         string     `json:"id"`
	Recipients []Handover `json:"recipients"`

	taken int // recipients the next server took
}

// Handover is the next server's answer for one recipient.
type Handover struct {
	Address string `json:"address"`
	Answer  string `json:"answer"`
}

// viewMessage shows m with the verdict on it, and on each of its held recipients.
func viewMessage(m *spool.Message, now judged, each func(spool.Recipient) string) Message {
	view := Message{
		ID: m.ID, Received: m.Received, Source: m.Source, QueueID: m.Envelope.QueueID,
		From: m.From.String(), Sender: m.Envelope.From.String(), Subject: m.Subject,
		MessageID: m.MessageID, Size: m.Size, User: m.Envelope.User,
	}
	if m.Envelope.Client.IsValid() {
		view.Client = m.Envelope.Client.String()
	}
	for _, r := range m.Recipients {
		shown := Recipient{
			Address: r.Address.String(), State: r.State, Reason: r.Reason, Provider: r.Provider,
			Codes: r.Codes, Rule: r.Rule, Reply: r.Reply, Changed: r.Changed,
		}
		if r.State == spool.Held {
			shown.Now = each(r)
		}
		view.Recipients = append(view.Recipients, shown)
	}
	view.Now, view.Why, view.Checked = now.now, now.why, now.at
	return view
}

func viewEntry(e spool.LogEntry) Entry {
	return Entry{
		Time: e.Time, ID: e.ID, Recipient: e.Recipient.String(), Action: e.Action, From: e.From, Into: e.Into,
		N: e.N, Before: e.Before, Hash: hex.EncodeToString(e.Hash[:]), Verdict: e.After, Actor: e.Actor, Reason: e.Reason, Codes: e.Codes, Where: e.Where,
	}
}

func viewReleased(id string, results []spool.Handover) *Released {
	view := &Released{ID: id}
	for _, h := range results {
		view.Recipients = append(view.Recipients, Handover{Address: h.Recipient.String(), Answer: h.Answer})
		if h.Err == nil {
			view.taken++
		}
	}
	return view
}
