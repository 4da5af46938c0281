package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailgate/internal/quarantine"
)

// knows refuses requests with a query key the route doesn't know: a misspelt filter
// that is passed over would select too much. Only a key named in many may come
// twice.
func knows(next http.HandlerFunc, keys ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err == nil {
			err = checkKeys(values, keys)
		}
		if err != nil {
			badRequest(w, err)
			return
		}
		next(w, r)
	}
}

// many are the keys that may be repeated.
var many = []string{"state"}

func checkKeys(values url.Values, keys []string) error {
	for key, list := range values {
		if !slices.Contains(keys, key) {
			if len(keys) == 0 {
				return fmt.Errorf("unknown query key %q: there are none here", key)
			}
			return fmt.Errorf("unknown query key %q: there are %s", key, strings.Join(keys, ", "))
		}
		if len(list) > 1 && !slices.Contains(many, key) {
			return fmt.Errorf("query key %q is given %d times", key, len(list))
		}
	}
	return nil
}

var listKeys = []string{
	"state", "reason", "domain", "sender", "recipient", "code", "provider", "text", "since", "sort", "limit", "after",
}

// listQuery reads a quarantine.Query; since is in RFC 3339's form.
func listQuery(v url.Values) (quarantine.Query, error) {
	q := quarantine.Query{
		States: v["state"], Reason: v.Get("reason"), Domain: v.Get("domain"), Sender: v.Get("sender"),
		Recipient: v.Get("recipient"), Code: v.Get("code"), Provider: v.Get("provider"), Text: v.Get("text"),
		Sort: v.Get("sort"), After: strings.ToLower(v.Get("after")),
	}
	var err error
	if q.Since, err = timeOf(v, "since"); err != nil {
		return q, err
	}
	q.Limit, err = limitOf(v)
	return q, err
}

var logKeys = []string{"id", "recipient", "action", "actor", "since", "until", "oldest", "limit", "after"}

// logQuery reads a quarantine.LogQuery; oldest is true or false.
func logQuery(v url.Values) (quarantine.LogQuery, error) {
	q := quarantine.LogQuery{ID: strings.ToLower(v.Get("id")), Recipient: v.Get("recipient"), Action: v.Get("action"), Actor: v.Get("actor")}
	var err error
	if q.Since, err = timeOf(v, "since"); err != nil {
		return q, err
	}
	if q.Until, err = timeOf(v, "until"); err != nil {
		return q, err
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return q, fmt.Errorf("since %s is not before until %s: nothing lies between them", v.Get("since"), v.Get("until"))
	}
	if s := v.Get("oldest"); s != "" {
		if q.OldestFirst, err = strconv.ParseBool(s); err != nil {
			return q, fmt.Errorf("oldest: %q is not true or false", s)
		}
	}
	if s := v.Get("after"); s != "" {
		if q.After, err = strconv.ParseInt(s, 10, 64); err != nil || q.After < 0 {
			return q, fmt.Errorf("after: %q is not the number of an entry", s)
		}
	}
	q.Limit, err = limitOf(v)
	return q, err
}

func timeOf(v url.Values, key string) (time.Time, error) {
	s := v.Get(key)
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("%s: %q is not a time such as 2026-11-20T15:04:05Z", key, s)
	}
	return t, nil
}

func limitOf(v url.Values) (int, error) {
	s := v.Get("limit")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > quarantine.MaxPage {
		return 0, fmt.Errorf("limit: %q is not a number from 1 to %d", s, quarantine.MaxPage)
	}
	return n, nil
}
