package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"mailgate/internal/quarantine"
)

func (a *API) list(w http.ResponseWriter, r *http.Request) {
	query, err := listQuery(r.URL.Query())
	if err != nil {
		badRequest(w, err)
		return
	}
	page, err := a.o.Quarantine.List(r.Context(), query)
	if err != nil {
		a.fail(w, err)
		return
	}
	reply(w, page)
}

func (a *API) show(w http.ResponseWriter, r *http.Request) {
	found, err := a.o.Quarantine.Show(r.Context(), messageID(r))
	if err != nil {
		a.fail(w, err)
		return
	}
	reply(w, found)
}

func (a *API) raw(w http.ResponseWriter, r *http.Request) {
	content, err := a.o.Quarantine.Raw(r.Context(), messageID(r))
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
		badRequest(w, err)
		return
	}
	released, err := a.o.Quarantine.Release(r.Context(), request)
	if err != nil {
		a.failRelease(w, released, err)
		return
	}
	reply(w, released)
}

// failRelease is fail, and tells a next server that says no from one that says
// nothing.
func (a *API) failRelease(w http.ResponseWriter, released *quarantine.Released, err error) {
	if status, problem := problemOf(err); problem.Kind == KindNotTaken && released == nil {
		problem.Kind = KindNoAnswer
		replyError(w, status, problem)
		return
	}
	a.fail(w, err)
}

func (a *API) discard(w http.ResponseWriter, r *http.Request) {
	request, err := parseReview(r)
	if err != nil {
		badRequest(w, err)
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

// maxReason bounds a reviewer's reason, in characters.
const maxReason = 500

// messageID is the id in the path. Ids are in small letters; people read them out
// and write them down in others.
func messageID(r *http.Request) string { return strings.ToLower(r.PathValue("id")) }

func parseReview(r *http.Request) (quarantine.Request, error) {
	var body Review
	if err := readJSON(r, &body); err != nil {
		return quarantine.Request{}, err
	}
	if strings.TrimSpace(body.Reason) == "" {
		return quarantine.Request{}, errors.New("reason: say why, it goes into the review log")
	}
	if utf8.RuneCountInString(body.Reason) > maxReason {
		return quarantine.Request{}, fmt.Errorf("reason: it is longer than %d characters; say it in short", maxReason)
	}
	return quarantine.Request{
		ID: messageID(r), To: body.Recipients, Actor: actor(r.Context()), Reason: body.Reason, Anyway: body.Anyway, Paced: body.Paced, Since: body.Since,
	}, nil
}
