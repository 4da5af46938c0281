package quarantine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailgate/internal/spool"
)

// LogQuery selects entries of the review log. Zero fields select everything.
type LogQuery struct {
	ID           string    // of the message
	Recipient    string    // part of the address
	Action       string    // hold, release, deliver, …
	Actor        string    // part of it
	Since, Until time.Time // Until is exclusive
	OldestFirst  bool
	Limit        int   // 1 to MaxPage; 0: 100
	After        int64 // Next of the page before
}

// LogPage is a part of the review log. Next, when not 0, is the After of the next
// page.
type LogPage struct {
	Entries []Entry `json:"entries"`
	Next    int64   `json:"next,omitempty"`
}

// Log returns a page of the review log. ErrQuery for a query that can't be
// understood.
func (q *Quarantine) Log(ctx context.Context, query LogQuery) (*LogPage, error) {
	filter, err := query.filter()
	if err != nil {
		return nil, err
	}
	entries, err := q.store.Log(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("read the review log: %w", err)
	}
	page := &LogPage{Entries: make([]Entry, len(entries))}
	for i, e := range entries {
		page.Entries[i] = viewEntry(e)
	}
	if len(entries) == filter.Limit {
		page.Next = entries[len(entries)-1].N
	}
	return page, nil
}

func (q LogQuery) filter() (spool.LogFilter, error) {
	f := spool.LogFilter{
		ID: q.ID, Recipient: q.Recipient, Action: spool.Action(q.Action), Actor: q.Actor,
		Since: q.Since, Until: q.Until, After: q.After, OldestFirst: q.OldestFirst, Limit: q.Limit,
	}
	if f.Limit == 0 {
		f.Limit = 100
	}
	switch {
	case f.Limit < 1 || f.Limit > MaxPage:
		return f, fmt.Errorf("limit: %w: it is 1 to %d", ErrQuery, MaxPage)
	case f.After < 0:
		return f, fmt.Errorf("after: %w: it is the number of an entry", ErrQuery)
	case f.ID != "" && !spool.ValidID(f.ID):
		return f, fmt.Errorf("id %q: %w: it is a message's, such as q7f3a", f.ID, ErrQuery)
	case f.Action != "" && !slices.Contains(actions, f.Action):
		return f, fmt.Errorf("action %q: %w: there are %s", f.Action, ErrQuery, inText(actions))
	}
	return f, nil
}

var actions = []spool.Action{
	spool.ActionHold, spool.ActionQueue, spool.ActionRelease, spool.ActionReturn, spool.ActionDeliver, spool.ActionRequeue,
	spool.ActionAssess, spool.ActionNotify, spool.ActionDiscard, spool.ActionBounce, spool.ActionTrim,
	spool.ActionOverride, spool.ActionNoOverride, spool.ActionRotate,
}

// Verified is what a look through the whole review log found: that it is Right, a
// Problem, or Unproven.
type Verified struct {
	Right    bool   `json:"right"`   // nothing was changed, and nothing is missing
	Entries  int64  `json:"entries"` // found right
	First    int64  `json:"first"`   // number of the first entry that is kept; 0: none
	Last     int64  `json:"last"`    // of the last one found right
	Trimmed  int64  `json:"trimmed"` // entries before First, removed after the time the log is kept
	Head     string `json:"head"`    // number and hash of Last, "1234:hex": note it down elsewhere
	Problem  string `json:"problem,omitempty"`
	Unproven string `json:"unproven,omitempty"` // the chain is right, and why it can't be compared with the head noted earlier
}

// VerifyLog follows the chain of hashes through the review log. against is a Head
// noted earlier (empty: none): that entry must still have that hash, which also
// finds a log that was written anew as a whole. Where it was removed after its time,
// nothing is proved either way: Unproven. A log found wrong is no error: Problem says
// what is wrong. ErrQuery for an against that is no Head.
func (q *Quarantine) VerifyLog(ctx context.Context, against string) (*Verified, error) {
	noted, err := parseHead(against)
	if err != nil {
		return nil, err
	}
	chain, err := q.store.VerifyLog(ctx)
	if err != nil && !errors.Is(err, spool.ErrLog) {
		return nil, fmt.Errorf("read the review log: %w", err)
	}
	v := &Verified{First: chain.First, Last: chain.Last, Trimmed: chain.Trimmed, Head: headOf(chain.Last, chain.Head)}
	if chain.First > 0 {
		v.Entries = chain.Last - chain.First + 1
	}
	switch {
	case err != nil:
		v.Problem = err.Error()
	case noted.n > 0 && noted.n < chain.Trimmed:
		v.Unproven = fmt.Sprintf("entry %d was removed, as its time was over, and its hash with it", noted.n)
	default:
		if v.Problem, err = q.compare(ctx, chain, noted); err != nil {
			return nil, err
		}
	}
	v.Right = v.Problem == "" && v.Unproven == ""
	return v, nil
}

// head is an entry's number and hash.
type head struct {
	n    int64 // 0: none
	hash string
}

func headOf(n int64, hash [32]byte) string {
	return strconv.FormatInt(n, 10) + ":" + hex.EncodeToString(hash[:])
}

func parseHead(s string) (head, error) {
	if s == "" {
		return head{}, nil
	}
	number, hash, _ := strings.Cut(strings.TrimSpace(s), ":")
	n, err := strconv.ParseInt(number, 10, 64)
	raw, hexErr := hex.DecodeString(hash)
	if err != nil || hexErr != nil || n < 0 || len(raw) != 32 {
		return head{}, fmt.Errorf("head %q: %w: it is an entry's number and its hash, as 1234:9f86d0…", s, ErrQuery)
	}
	return head{n, hex.EncodeToString(raw)}, nil
}

// compare says what is wrong with a log whose chain is right, given a head noted
// earlier whose hash is still known.
func (q *Quarantine) compare(ctx context.Context, chain spool.Chain, noted head) (problem string, err error) {
	if noted.n == 0 {
		return "", nil
	}
	if noted.n > chain.Last {
		return fmt.Sprintf("entry %d was there and is missing: the log ends with entry %d", noted.n, chain.Last), nil
	}
	hash := chain.Base
	if noted.n != chain.Trimmed {
		entries, err := q.store.Log(ctx, spool.LogFilter{After: noted.n - 1, OldestFirst: true, Limit: 1})
		if err != nil {
			return "", fmt.Errorf("read entry %d of the review log: %w", noted.n, err)
		}
		if len(entries) == 0 || entries[0].N != noted.n {
			return fmt.Sprintf("entry %d is missing", noted.n), nil
		}
		hash = entries[0].Hash
	}
	if hex.EncodeToString(hash[:]) != noted.hash {
		return fmt.Sprintf("entry %d is not the one noted: the log was written anew", noted.n), nil
	}
	return "", nil
}
