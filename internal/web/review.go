package web

import (
	"errors"
	"io"
	"net/http"
	"strings"

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
	found, err := a.o.Quarantine.Show(r.Context(), r.PathValue("id"))
	if err != nil {
		a.fail(w, err)
		return
	}
	reply(w, found)
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

func parseReview(r *http.Request) (quarantine.Request, error) {
	var body Review
	if err := readJSON(r, &body); err != nil {
		return quarantine.Request{}, err
	}
	if strings.TrimSpace(body.Reason) == "" {
		return quarantine.Request{}, errors.New("reason: say why, it goes into the review log")
	}
	return quarantine.Request{
		ID: r.PathValue("id"), To: body.Recipients, Actor: actor(r.Context()), Reason: body.Reason, Anyway: body.Anyway, Paced: body.Paced,
	}, nil
}
