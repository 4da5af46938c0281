package quarantine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/spool"
)

// ErrQuery says that a query or request can't be understood.
var ErrQuery = errors.New("can't be understood")

// MaxPage is the most messages a page has.
const MaxPage = 1000

// Query selects messages for a list. Zero fields select everything, except States:
// none means held.
type Query struct {
	States    []string // held, queued, delivered, bounced, discarded or all
	Reason    string   // refused, waiting, foreign or by-hand
	Domain    string   // of From
	Sender    string   // part of the address
	Recipient string   // part of the address
	Code      string   // finding code
	Provider  string
	Text      string // part of subject, author or recipient
	Since     time.Time
	Sort      string // newest (or empty), oldest or largest
	Limit     int    // 1 to MaxPage; 0: 100
	After     string // Next of the page before
}

func (q Query) filter() (spool.Filter, error) {
	f := spool.Filter{
		Reason: spool.Reason(q.Reason), Sender: q.Sender, Recipient: q.Recipient, Code: strings.ToLower(q.Code),
		Provider: q.Provider, Text: q.Text, Since: q.Since, Limit: q.Limit, After: q.After,
	}
	if f.Limit == 0 {
		f.Limit = 100
	}
	if f.Limit < 1 || f.Limit > MaxPage {
		return f, fmt.Errorf("limit: %w: it is 1 to %d", ErrQuery, MaxPage)
	}
	if err := q.checkWords(); err != nil {
		return f, err
	}
	var err error
	if q.Domain != "" {
		if f.Domain, err = mail.ParseDomain(q.Domain); err != nil {
			return f, fmt.Errorf("domain %q: %w: %w", q.Domain, ErrQuery, err)
		}
	}
	if f.Order, err = parseSort(q.Sort); err != nil {
		return f, err
	}
	f.States, err = parseStates(q.States)
	return f, err
}

func (q Query) checkWords() error {
	switch spool.Reason(q.Reason) {
	case "", spool.Refused, spool.Waiting, spool.Foreign, spool.ByHand:
	default:
		return fmt.Errorf("reason %q: %w: it is refused, waiting, foreign or by-hand", q.Reason, ErrQuery)
	}
	if q.Code != "" && !IsCode(q.Code) {
		return fmt.Errorf("finding %q: %w: it is a code such as dkim-missing, or a kind of codes such as dkim; refused, waiting, foreign and by-hand are what mail is held for (--held-for)", q.Code, ErrQuery)
	}
	known := []preflight.Provider{"", preflight.Other, preflight.UnknownProvider}
	if p := preflight.Provider(q.Provider); !slices.Contains(append(known, preflight.KnownProviders()...), p) {
		return fmt.Errorf("provider %q: %w: it is %s, other or unknown", q.Provider, ErrQuery, inText(preflight.KnownProviders()))
	}
	return nil
}

// IsCode reports whether s is a finding's code, or the kind of some: their first
// word. Case doesn't matter.
func IsCode(s string) bool {
	s = strings.ToLower(s)
	return slices.ContainsFunc(preflight.Codes(), func(c preflight.Code) bool { return isOf(c.Code, s) })
}

// inText is a list as it stands in a sentence.
func inText[S ~string](list []S) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

func parseSort(name string) (spool.Order, error) {
	switch o := spool.Order(name); o {
	case spool.Newest, spool.Oldest, spool.Largest:
		return o, nil
	case "newest":
		return spool.Newest, nil
	}
	return "", fmt.Errorf("sort %q: %w: it is newest, oldest or largest", name, ErrQuery)
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
			return nil, fmt.Errorf("state %q: %w: it is held, queued, delivered, bounced, discarded or all", name, ErrQuery)
		}
	}
	return states, nil
}

// parsePaths reads the recipients of a request.
func parsePaths(list []string) ([]mail.Address, error) {
	var to []mail.Address
	for _, s := range list {
		address, err := mail.ParsePath(s)
		if err != nil {
			return nil, fmt.Errorf("recipient %q: %w: %w", s, ErrQuery, err)
		}
		to = append(to, address)
	}
	return to, nil
}
