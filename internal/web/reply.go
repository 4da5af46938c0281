package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"mailgate/internal/quarantine"
)

const maxRequest = 1 << 20

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a client that left has no use for the error
}

func replyError(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Problem{Error: err.Error()})
}

// Problem is the body of every answer that isn't 200.
type Problem struct {
	Error string `json:"error"`
}

// fail answers with the status that fits the error.
func (a *API) fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, quarantine.ErrQuery):
		status = http.StatusBadRequest
	case errors.Is(err, quarantine.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, quarantine.ErrConflict):
		status = http.StatusConflict
	case errors.Is(err, quarantine.ErrWouldBeRefused), errors.Is(err, quarantine.ErrForeign):
		status = http.StatusPreconditionFailed
	case errors.Is(err, quarantine.ErrWaiting):
		status = http.StatusTooEarly
	case errors.Is(err, quarantine.ErrNotTaken):
		status = http.StatusBadGateway
	case errors.Is(err, quarantine.ErrStopped), errors.Is(err, quarantine.ErrStopping):
		status = http.StatusServiceUnavailable
	}
	replyError(w, status, err)
}

func readJSON(r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	return nil
}
