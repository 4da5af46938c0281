package web

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
)

const maxPage = 1000

func (a *API) list(w http.ResponseWriter, r *http.Request) {
	filter, err := parseFilter(r)
	if err != nil {
		replyError(w, http.StatusBadRequest, err)
		return
	}
	items, err := a.o.Quarantine.List(r.Context(), filter)
	if err != nil {
		a.fail(w, err)
		return
	}
	counts, err := a.o.Quarantine.Counts(r.Context())
	if err != nil {
		a.fail(w, err)
		return
	}
	page := Page{Messages: make([]Message, len(items)), Held: counts.Held, Recipients: counts.States}
	for i, item := range items {
		page.Messages[i] = viewMessage(item)
	}
	if len(items) == filter.Limit {
		page.Next = items[len(items)-1].Message.ID
	}
	reply(w, page)
}

// parseFilter reads the query: state (repeatable; held if absent, "all" for
// every), reason, domain, sender, recipient, code, provider, text, since
// (RFC 3339), oldest, limit, after.
func parseFilter(r *http.Request) (spool.Filter, error) {
	q := r.URL.Query()
	f := spool.Filter{
		Reason:    spool.Reason(q.Get("reason")),
		Sender:    q.Get("sender"),
		Recipient: q.Get("recipient"),
		Code:      q.Get("code"),
		Provider:  q.Get("provider"),
		Text:      q.Get("text"),
		After:     q.Get("after"),
		Limit:     100,
	}
	f.OldestFirst = q.Get("oldest") == "true"
	var err error
	if f.States, err = parseStates(q["state"]); err != nil {
		return f, err
	}
	if d := q.Get("domain"); d != "" {
		if f.Domain, err = mail.ParseDomain(d); err != nil {
			return f, fmt.Errorf("domain: %w", err)
		}
	}
	if s := q.Get("since"); s != "" {
		if f.Since, err = time.Parse(time.RFC3339, s); err != nil {
			return f, fmt.Errorf("since: %w", err)
		}
	}
	if l := q.Get("limit"); l != "" {
		if f.Limit, err = strconv.Atoi(l); err != nil || f.Limit < 1 || f.Limit > maxPage {
			return f, fmt.Errorf("limit: %q is not a number from 1 to %d", l, maxPage)
		}
	}
	return f, nil
}

func parseStates(names []string) ([]spool.State, error) {
	if len(names) == 0 {
		return []spool.State{spool.Held}, nil
	}
	var states []spool.State
	for _, name := range names {
		switch s := spool.State(name); s {
		case spool.Held, spool.Queued, spool.Delivered, spool.Bounced, spool.Discarded:
			states = append(states, s)
		case "all":
			return nil, nil
		default:
			return nil, fmt.Errorf("state: %q is none of held, queued, delivered, bounced, discarded, all", name)
		}
	}
	return states, nil
}

func (a *API) show(w http.ResponseWriter, r *http.Request) {
	item, log, err := a.o.Quarantine.Show(r.Context(), r.PathValue("id"))
	if err != nil {
		a.fail(w, err)
		return
	}
	detail := Detail{Message: viewMessage(item), Then: item.Message.Evidence, Log: make([]Entry, len(log))}
	for i, e := range log {
		detail.Log[i] = viewEntry(e)
	}
	if item.Now.Report != nil {
		detail.Report = item.Now.Report
		detail.Publish = a.o.Publish(r.Context(), item.Now.Report)
	}
	reply(w, detail)
}

func (a *API) raw(w http.ResponseWriter, r *http.Request) {
	content, err := a.o.Quarantine.Raw(r.Context(), r.PathValue("id"))
	if err != nil {
		a.fail(w, err)
		return
	}
	defer content.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	if _, err := io.Copy(w, content); err != nil {
		// The status is sent already: end the connection, so that nobody takes
		// the part for the whole.
		panic(http.ErrAbortHandler)
	}
}

func (a *API) release(w http.ResponseWriter, r *http.Request) {
	request, err := parseReview(r)
	if err != nil {
		replyError(w, http.StatusBadRequest, err)
		return
	}
	released, err := a.o.Quarantine.Release(r.Context(), request)
	if err != nil {
		a.fail(w, err)
		return
	}
	reply(w, viewReleased(released))
}

func (a *API) discard(w http.ResponseWriter, r *http.Request) {
	request, err := parseReview(r)
	if err == nil && request.Reason == "" {
		err = fmt.Errorf("reason: say why it is discarded")
	}
	if err != nil {
		replyError(w, http.StatusBadRequest, err)
		return
	}
	if err := a.o.Quarantine.Discard(r.Context(), request); err != nil {
		a.fail(w, err)
		return
	}
	reply(w, struct {
		ID string `json:"id"`
	}{request.ID})
}

func parseReview(r *http.Request) (quarantine.Request, error) {
	var body Review
	if err := readJSON(r, &body); err != nil {
		return quarantine.Request{}, err
	}
	request := quarantine.Request{ID: r.PathValue("id"), Actor: actor(r.Context()), Reason: body.Reason, Anyway: body.Anyway}
	for _, s := range body.Recipients {
		address, err := mail.ParsePath(s)
		if err != nil {
			return request, fmt.Errorf("recipient %q: %w", s, err)
		}
		request.To = append(request.To, address)
	}
	return request, nil
}
