package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"mailgate/internal/relay"
)

// Queue is what the relay has to deliver.
type Queue interface {
	// Destinations sums it up, the fullest first: at most limit of them, or (0) all.
	Destinations(ctx context.Context, limit int) ([]QueueDestination, error)
	// Messages lists what is queued, newest first, for one recipient domain or (empty)
	// all; from that after the message of that id, unless it is empty.
	Messages(ctx context.Context, destination, after string, limit int) ([]QueueMessage, error)
	Message(ctx context.Context, id string) (QueueMessage, error)
	// Retry has recipients tried now, and says how many.
	Retry(ctx context.Context, r QueueRetry) (int, error)
	// Hold keeps queued recipients of a message back, and says which.
	Hold(ctx context.Context, o QueueOrder) (QueueHeld, error)
	// GiveUp ends them, and has the sender told.
	GiveUp(ctx context.Context, o QueueOrder) (QueueGivenUp, error)
	Predictions() relay.Predictions
}

// QueueDestination is what is queued for one recipient domain.
type QueueDestination struct {
	Domain string    `json:"domain"`
	Queued int       `json:"queued"`         // recipients
	Leased int       `json:"leased"`         // of these, being delivered
	Oldest time.Time `json:"oldest"`         // when the oldest message was received
	Next   time.Time `json:"next,omitzero"`  // of the next try
	Tried  time.Time `json:"tried,omitzero"` // the last time
	Answer string    `json:"answer,omitempty"`
	Host   string    `json:"host,omitempty"` // that gave it
	TLS    string    `json:"tls,omitempty"`
}

// QueueMessage is a message with its recipients, whatever became of them.
type QueueMessage struct {
	ID         string           `json:"id"`
	Received   time.Time        `json:"received"`
	From       string           `json:"from"`   // author
	Sender     string           `json:"sender"` // MAIL FROM, "" for the null sender
	Subject    string           `json:"subject"`
	Size       int64            `json:"size"`
	Recipients []QueueRecipient `json:"recipients"`
}

// QueueRecipient is one recipient as the relay knows it.
type QueueRecipient struct {
	Address  string    `json:"address"`
	State    string    `json:"state"`
	Next     time.Time `json:"next,omitzero"` // of the next try
	Tries    int       `json:"tries"`
	Tried    time.Time `json:"tried,omitzero"`   // the last time
	Answer   string    `json:"answer,omitempty"` // of the last try
	Host     string    `json:"host,omitempty"`
	TLS      string    `json:"tls,omitempty"`
	Expected string    `json:"expected,omitempty"` // what pre-flight predicted
}

// QueueRetry says what to try now: one message, one destination, or all.
type QueueRetry struct {
	ID          string `json:"id,omitempty"`
	Destination string `json:"destination,omitempty"`
	All         bool   `json:"all,omitempty"`
}

// QueueRetried is the answer to it.
type QueueRetried struct {
	Recipients int `json:"recipients"` // that are tried now
}

// QueueOrder is a person's order about one message. The client sends recipients and
// reason.
type QueueOrder struct {
	ID         string
	Recipients []string // empty: all that it can be about
	Actor      string
	Reason     string
}

// QueueHeld is the answer to an order to hold.
type QueueHeld struct {
	ID         string   `json:"id"`
	Recipients []string `json:"recipients"`
}

// QueueGivenUp is the answer to an order to give up.
type QueueGivenUp struct {
	ID         string   `json:"id"`
	Recipients []string `json:"recipients"`
	ReportTo   string   `json:"report_to,omitempty"` // who is told; empty: nobody
}

func (a *API) queueRoutes(mux *http.ServeMux) {
	if a.o.Queue == nil {
		return
	}
	mux.HandleFunc("GET /v1/queue/destinations", knows(a.queueDestinations, "limit"))
	mux.HandleFunc("GET /v1/queue/messages", knows(a.queueMessages, "destination", "limit", "after"))
	mux.HandleFunc("GET /v1/queue/messages/{id}", knows(a.queueMessage))
	mux.HandleFunc("GET /v1/queue/predictions", knows(a.queuePredictions))
	mux.HandleFunc("POST /v1/queue/messages/{id}/hold", knows(a.queueHold))
	mux.HandleFunc("POST /v1/queue/messages/{id}/fail", knows(a.queueFail))
	mux.HandleFunc("POST /v1/queue/retry", knows(a.queueRetry))
}

// defaultQueuePage is how many lines a list has when nobody says.
const defaultQueuePage = 100

func (a *API) queueDestinations(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, err := limitOf(query)
	switch all := query.Get("limit") == "0"; {
	case all: // there are fewer than messages, and they have no pages
	case err != nil:
		badRequest(w, err)
		return
	case limit == 0:
		limit = defaultQueuePage
	}
	list, err := a.o.Queue.Destinations(r.Context(), limit)
	a.answer(w, struct {
		Destinations []QueueDestination `json:"destinations"`
	}{list}, err)
}

func (a *API) queueMessages(w http.ResponseWriter, r *http.Request) {
	limit, err := limitOf(r.URL.Query())
	if err != nil {
		badRequest(w, err)
		return
	}
	if limit == 0 {
		limit = defaultQueuePage
	}
	list, err := a.o.Queue.Messages(r.Context(), r.URL.Query().Get("destination"), r.URL.Query().Get("after"), limit)
	a.answer(w, struct {
		Messages []QueueMessage `json:"messages"`
	}{list}, err)
}

func (a *API) queueMessage(w http.ResponseWriter, r *http.Request) {
	m, err := a.o.Queue.Message(r.Context(), r.PathValue("id"))
	a.answer(w, m, err)
}

func (a *API) queuePredictions(w http.ResponseWriter, _ *http.Request) {
	reply(w, a.o.Queue.Predictions())
}

func (a *API) queueRetry(w http.ResponseWriter, r *http.Request) {
	var request QueueRetry
	if err := readJSON(r, &request); err != nil {
		badRequest(w, err)
		return
	}
	n, err := a.o.Queue.Retry(r.Context(), request)
	a.answer(w, QueueRetried{n}, err)
}

func (a *API) queueHold(w http.ResponseWriter, r *http.Request) {
	order, err := parseOrder(r)
	if err != nil {
		badRequest(w, err)
		return
	}
	held, err := a.o.Queue.Hold(r.Context(), order)
	a.answer(w, held, err)
}

func (a *API) queueFail(w http.ResponseWriter, r *http.Request) {
	order, err := parseOrder(r)
	if err != nil {
		badRequest(w, err)
		return
	}
	given, err := a.o.Queue.GiveUp(r.Context(), order)
	a.answer(w, given, err)
}

// parseOrder reads a Review of which only a release needs the rest.
func parseOrder(r *http.Request) (QueueOrder, error) {
	review, err := parseReview(r)
	if err != nil {
		return QueueOrder{}, err
	}
	if review.Anyway || review.Paced || !review.Since.IsZero() {
		return QueueOrder{}, errors.New("anyway, paced and since are for a release")
	}
	return QueueOrder{ID: review.ID, Recipients: review.To, Actor: review.Actor, Reason: review.Reason}, nil
}

func (a *API) answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		a.fail(w, err)
		return
	}
	reply(w, v)
}
