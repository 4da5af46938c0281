package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"mailgate/internal/quarantine"
)

// progressEvery is how often a re-check tells how far it is.
const progressEvery = 500 * time.Millisecond

// writeTime bounds how long a line waits for a client that doesn't read.
const writeTime = 30 * time.Second

// recheck answers with JSON lines: RecheckLines with Progress, and at the end one
// with the Result or the Problem. What is wrong before it begins has a status.
func (a *API) recheck(w http.ResponseWriter, r *http.Request) {
	var body RecheckOrder
	if err := readJSON(r, &body); err != nil {
		badRequest(w, err)
		return
	}
	for i, id := range body.IDs {
		body.IDs[i] = strings.ToLower(id)
	}
	lines := &lineWriter{w: w}
	var last time.Time
	sum, err := a.o.Quarantine.Recheck(r.Context(), quarantine.RecheckRequest{IDs: body.IDs, Domain: body.Domain}, func(p quarantine.Rechecked) {
		if time.Since(last) >= progressEvery {
			last = time.Now()
			lines.write(RecheckLine{Progress: &p})
		}
	})
	switch {
	case err == nil:
		lines.write(RecheckLine{Result: &sum})
	case !lines.begun:
		a.fail(w, err)
	default:
		_, problem := problemOf(err)
		lines.write(RecheckLine{Problem: &problem, Progress: &sum})
	}
}

// lineWriter writes JSON lines, each on its way at once, until one can't be.
type lineWriter struct {
	w     http.ResponseWriter
	begun bool
	gone  bool // the client left, or doesn't read
}

func (l *lineWriter) write(v any) {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
	}
	if l.gone {
		return
	}
	control := http.NewResponseController(l.w)
	_ = control.SetWriteDeadline(time.Now().Add(writeTime)) // net/http takes it back after the request
	l.gone = json.NewEncoder(l.w).Encode(v) != nil || control.Flush() != nil
}
