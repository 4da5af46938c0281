package store

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"
	"strings"
	"time"

	"mailgate/internal/spool"
)

// defaultLimit is how many messages List returns when the filter doesn't say.
const defaultLimit = 100

// List implements spool.Lister. Pages are cut by key, which never changes.
func (s *Store) List(ctx context.Context, f spool.Filter) ([]*spool.Message, error) {
	f.Limit = limit(f.Limit, defaultLimit)
	var page []*spool.Message
	err := s.view(ctx, func(tx *sql.Tx) error {
		keys, err := (&lister{ctx: ctx, tx: tx, f: &f, most: s.o.limits, now: s.o.Now()}).keys()
		if err != nil {
			return err
		}
		for _, k := range keys {
			m, err := scanMessage(ctx, tx, tx.QueryRowContext(ctx, selectMessage+" WHERE m.seq = ?", k.seq))
			if err != nil {
				return err
			}
			page = append(page, m)
		}
		return nil
	})
	return page, err
}

// lister finds the messages of one page. There are several ways to them, all with
// the same result: which is the shortest depends on how many recipients answer to
// the filter, which the tallies tell, and on how many messages have the parts
// looked for, which nothing tells. So that is tried first on some messages: if
// many have them, that fills the page, and otherwise the index of words finds the
// few there are.
type lister struct {
	ctx   context.Context
	tx    *sql.Tx
	f     *spool.Filter
	most  limits
	now   time.Time
	parts parts
	order order
	first int64 // seq of the first message that is not too old
	after key   // the page begins beyond
	want  selection
}

// limits are where one way becomes longer than another.
type limits struct {
	lanes   int   // walked one by one, at most
	sorted  int64 // recipients gathered to be put in order, at most
	sized   int64 // the same by size, for which each message is read
	matched int64 // recipients, or finds of the index of words, looked at one by one, at most
	tried   int64 // recipients looked at, of messages, before the index of words is asked
	indexed int64 // recipients whose messages are added to the index of words at once
}

// measured is what they are where the index of words begins to pay: on two cores
// with a million held recipients.
func measured() limits {
	return limits{lanes: 200, sorted: 50_000, sized: 10_000, matched: 4_000, tried: 4_000, indexed: 512}
}

// keys returns the page in order.
func (l *lister) keys() ([]key, error) {
	l.parts, l.order = partsOf(l.f), order(l.f.Order)
	err := l.begin()
	if err != nil {
		return nil, err
	}
	searched := l.parts != (parts{})
	if l.want, err = choice(l.ctx, l.tx, l.f, searched || l.order == bySize); err != nil {
		return nil, err
	}
	switch n := l.want.n; {
	case n == 0:
		return nil, nil
	case searched && n > l.most.matched:
		return l.search(l.order.messages())
	case searched:
		return l.search(l.counted())
	case l.order != bySize && len(l.want.lanes) <= l.most.lanes:
		return l.walkLanes()
	case n <= l.most.sized || n <= l.most.sorted && l.order != bySize:
		return l.gather()
	}
	return l.walk()
}

// walk looks at the messages one by one.
func (l *lister) walk() ([]key, error) {
	keys, _, err := l.read(l.order.messages(), l.after, math.MaxInt64)
	return keys, err
}

// begin finds where the page begins.
func (l *lister) begin() (err error) {
	l.after = l.order.start()
	if l.f.After != "" {
		if l.after, err = placeOf(l.ctx, l.tx, l.f.After); err != nil {
			return err
		}
	}
	if !l.f.Since.IsZero() {
		l.first, err = firstSince(l.ctx, l.tx, l.f.Since, l.now)
	}
	return err
}

// gather looks at all that the tallies tell of.
func (l *lister) gather() ([]key, error) {
	keys, _, err := l.read(l.counted(), l.after, math.MaxInt64)
	return keys, err
}

// counted are the messages that the tallies tell of.
func (l *lister) counted() source {
	q := l.want.tallies()
	q.where("r.message >= ?", l.first)
	return source{text: `(SELECT DISTINCT r.message AS seq FROM tallies t
		CROSS JOIN recipients r INDEXED BY recipients_by_identity
		ON r.identity = t.identity AND r.state = t.state AND r.cause = t.cause` + q.text() + `) c
		CROSS JOIN messages m ON m.seq = c.seq`, args: q.args}
}

// search tries some messages, and then asks the index of words for the others.
func (l *lister) search(some source) ([]key, error) {
	found, last, err := l.read(some, l.after, l.most.tried)
	if err != nil || last == nil || len(found) == l.f.Limit {
		return found, err
	}
	ways, err := l.indexed()
	if err != nil {
		return nil, err
	}
	for _, from := range ways {
		more, _, err := l.read(from, *last, math.MaxInt64)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return l.page(found), nil
}

// indexed are the messages that the index of words finds, and those that it doesn't
// know of yet.
func (l *lister) indexed() ([]source, error) {
	var last int64
	if err := l.tx.QueryRowContext(l.ctx, "SELECT "+lastIndexed).Scan(&last); err != nil {
		return nil, err
	}
	words, err := l.words()
	return []source{
		{text: "messages m NOT INDEXED", where: "m.seq > ?", args: []any{last}},
		{text: "stale CROSS JOIN messages m ON m.seq = stale.message"},
		words,
	}, err
}

// words are the messages that the index of words finds, which has them in the order
// of taking. By size, a few are sorted; of many, the page is found sooner by going
// through all in order.
func (l *lister) words() (source, error) {
	asked := []any{l.parts.query(l.want.causes)}
	const match = "search MATCH ?"
	if l.order == bySize {
		var n int64
		err := l.tx.QueryRowContext(l.ctx, "SELECT count(*) FROM (SELECT 1 FROM search WHERE "+match+" LIMIT ?)", asked[0], l.most.matched+1).Scan(&n)
		if err != nil || n > l.most.matched {
			from := l.order.messages()
			from.where, from.args = "m.seq IN (SELECT rowid FROM search WHERE "+match+")", asked
			return from, err
		}
	}
	return source{text: "search CROSS JOIN messages m ON m.seq = search.rowid", where: match, args: asked, seq: "search.rowid"}, nil
}

// page puts keys from several ways in order and leaves what is too much.
func (l *lister) page(keys []key) []key {
	slices.SortFunc(keys, l.order.compare)
	keys = slices.Compact(keys)
	return keys[:min(len(keys), l.f.Limit)]
}

// source is a FROM clause with messages m in it, and a term that goes with it.
type source struct {
	text, where string
	args        []any
	seq         string // the key of messages as the source has it in order; empty: m.seq
}

// read returns the first of the messages beyond a place that answer to the filter:
// a page of them, or fewer when the recipients of most have been looked at. In that
// case last is the message looked at last.
func (l *lister) read(from source, after key, most int64) (found []key, last *key, err error) {
	q := query{}
	columns := l.columns(&q)
	q.args = append(q.args, from.args...)
	if from.where != "" {
		q.where(from.where)
	}
	seq := cmp.Or(from.seq, "m.seq")
	l.order.beyond(&q, seq, after)
	if l.first > 0 {
		q.where(seq+" >= ?", l.first)
	}
	rows, err := l.tx.QueryContext(l.ctx, "SELECT "+columns+" FROM "+from.text+q.text()+" ORDER BY "+l.order.by(seq)+" LIMIT ?",
		append(q.args, most)...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	var r row
	for visited := int64(0); len(found) < l.f.Limit && rows.Next(); {
		if err := rows.Scan(&r.seq, &r.size, &r.subject, &r.from, &r.mailFrom, &r.chosen, &r.everyone); err != nil {
			return nil, nil, err
		}
		if r.chosen.Valid && l.parts.in(&r) {
			found = append(found, r.key)
		}
		if visited += r.weight(); visited >= most {
			return found, &r.key, nil
		}
	}
	return found, last, rows.Err()
}

// columns are those of row, as far as the filter needs them.
func (l *lister) columns(q *query) string {
	subject, from, mailFrom, all := "''", "''", "''", "''"
	if l.parts.sender != "" || l.parts.text != "" {
		from = fromAddress
	}
	if l.parts.sender != "" {
		mailFrom = mailFromAddress
	}
	if l.parts.text != "" {
		subject, all = "m.subject", everyone
	}
	return strings.Join([]string{"m.seq, m.size", subject, from, mailFrom, l.want.chosen(q, l.parts.recipient != ""), all}, ", ")
}
