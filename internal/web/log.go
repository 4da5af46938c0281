package web

import "net/http"

func (a *API) log(w http.ResponseWriter, r *http.Request) {
	query, err := logQuery(r.URL.Query())
	if err != nil {
		badRequest(w, err)
		return
	}
	page, err := a.o.Quarantine.Log(r.Context(), query)
	if err != nil {
		a.fail(w, err)
		return
	}
	reply(w, page)
}

// verify answers 200 also for a log that is wrong: the answer says so.
func (a *API) verify(w http.ResponseWriter, r *http.Request) {
	verified, err := a.o.Quarantine.VerifyLog(r.Context(), r.URL.Query().Get("against"))
	if err != nil {
		a.fail(w, err)
		return
	}
	reply(w, verified)
}
