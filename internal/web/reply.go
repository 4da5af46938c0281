package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"mailgate/internal/quarantine"
	"mailgate/internal/relay"
	"mailgate/internal/tlspolicy"
)

const maxRequest = 1 << 20

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a client that left has no use for the error
}

func replyError(w http.ResponseWriter, status int, p Problem) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(p)
}

func badRequest(w http.ResponseWriter, err error) {
	replyError(w, http.StatusBadRequest, Problem{Error: err.Error(), Kind: KindRequest})
}

// fail answers with the status that fits the error.
func (a *API) fail(w http.ResponseWriter, err error) {
	status, problem := problemOf(err)
	var paced *quarantine.PaceError
	if errors.As(err, &paced) {
		wait := max(paced.Wait, 10*time.Millisecond)
		problem.RetryAfter = wait.Seconds()
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	replyError(w, status, problem)
}

func problemOf(err error) (int, Problem) {
	for _, k := range []struct {
		err    error
		status int
		kind   Kind
	}{
		{quarantine.ErrQuery, http.StatusBadRequest, KindRequest},
		{tlspolicy.ErrNoOverride, http.StatusNotFound, KindNotFound},
		{tlspolicy.ErrConfigured, http.StatusConflict, KindConfigured},
		{tlspolicy.ErrRefused, http.StatusPreconditionFailed, KindRefused},
		{tlspolicy.ErrUnsettled, http.StatusTooEarly, KindWaiting},
		{quarantine.ErrNotFound, http.StatusNotFound, KindNotFound},
		{relay.ErrDelivering, http.StatusConflict, KindDelivering},
		{quarantine.ErrConflict, http.StatusConflict, KindMoved},
		{quarantine.ErrPaced, http.StatusTooManyRequests, KindPaced},
		{quarantine.ErrWouldBeRefused, http.StatusPreconditionFailed, KindRefused},
		{quarantine.ErrForeign, http.StatusPreconditionFailed, KindForeign},
		{quarantine.ErrWaiting, http.StatusTooEarly, KindWaiting},
		{quarantine.ErrStopped, http.StatusServiceUnavailable, KindStopped},
		{quarantine.ErrStopping, http.StatusServiceUnavailable, KindStopped},
		{quarantine.ErrNotTaken, http.StatusBadGateway, KindNotTaken},
	} {
		if errors.Is(err, k.err) {
			return k.status, Problem{Error: err.Error(), Kind: k.kind}
		}
	}
	return http.StatusInternalServerError, Problem{Error: err.Error()}
}

// readJSON reads the whole body. An empty one is an empty object.
func readJSON(r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the request: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read the request: there is something after the object")
	}
	return nil
}
