package store

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"

	"mailgate/internal/spool"
)

// defaultLimit is how many messages List returns when the filter doesn't say.
const defaultLimit = 100

// List implements spool.Lister. Pages are cut by seq, which never changes.
func (s *Store) List(ctx context.Context, f spool.Filter) ([]*spool.Message, error) {
	f.Limit = limit(f.Limit, defaultLimit)
	var page []*spool.Message
	err := s.view(ctx, func(tx *sql.Tx) error {
		l := lister{ctx: ctx, tx: tx, f: &f}
		seqs, err := l.seqs()
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			m, err := scanMessage(ctx, tx, tx.QueryRowContext(ctx, selectMessage+" WHERE m.seq = ?", seq))
			if err != nil {
				return err
			}
			page = append(page, m)
		}
		return nil
	})
	return page, err
}

func (l *lister) ascending() bool { return l.f.Order == spool.Oldest }

// lister finds the messages of one page.
type lister struct {
	ctx  context.Context
	tx   *sql.Tx
	f    *spool.Filter
	from int64 // seq the page begins beyond
}

// seqs returns the page in order.
func (l *lister) seqs() ([]int64, error) {
	from, err := place(l.ctx, l.tx, l.f.After)
	if err != nil {
		return nil, err
	}
	l.from = from
	if from == 0 && !l.ascending() {
		l.from = math.MaxInt64
	}
	f := l.f
	if len(f.States) == 0 && f.Domain == "" && f.Reason == "" && f.Recipient == "" && f.Code == "" && f.Provider == "" {
		return l.allSeqs()
	}
	return l.laneSeqs()
}

// allSeqs walks the messages themselves.
func (l *lister) allSeqs() ([]int64, error) {
	q := query{}
	q.where("m.seq "+beyond(l.ascending())+" ?", l.from)
	if err := l.messageTerms(&q); err != nil {
		return nil, err
	}
	return column[int64](l.tx.QueryContext(l.ctx,
		"SELECT m.seq FROM messages m"+q.text()+" ORDER BY m.seq "+direction(l.ascending())+" LIMIT ?",
		append(q.args, l.f.Limit)...))
}

// lane is a run of recipients that an index has in the order of seq.
type lane struct {
	identity int64 // 0: any
	state    string
	reason   string
}

// laneSeqs walks the recipients, lane by lane, each for a whole page, and merges.
// So the work is bounded by the page and not by what is in other states: five
// held messages are found at once behind a million delivered ones.
func (l *lister) laneSeqs() ([]int64, error) {
	lanes, err := l.lanes()
	if err != nil {
		return nil, err
	}
	var seqs []int64
	for _, lane := range lanes {
		some, err := l.walk(lane)
		if err != nil {
			return nil, err
		}
		seqs = append(seqs, some...)
	}
	slices.SortFunc(seqs, func(a, b int64) int {
		if l.ascending() {
			return cmp.Compare(a, b)
		}
		return cmp.Compare(b, a)
	})
	seqs = slices.Compact(seqs)
	return seqs[:min(len(seqs), l.f.Limit)], nil
}

// lanes returns those that have recipients the filter may want.
func (l *lister) lanes() ([]lane, error) {
	q := query{}
	q.where("t.n > 0")
	q.equal("t.reason", string(l.f.Reason))
	if len(l.f.States) > 0 {
		marks := ""
		for _, state := range l.f.States {
			marks += ", ?"
			q.args = append(q.args, string(state))
		}
		q.where("t.state IN (" + marks[2:] + ")")
	}
	identity := "0"
	if l.f.Domain != "" {
		identity = "t.identity"
		q.where("t.identity IN (SELECT id FROM identities WHERE from_domain = ?)", string(l.f.Domain))
	}
	var lanes []lane
	rows, err := l.tx.QueryContext(l.ctx, "SELECT DISTINCT "+identity+", t.state, t.reason FROM tallies t"+q.text(), q.args...)
	err = each(rows, err, func(rows *sql.Rows) error {
		var lane lane
		err := rows.Scan(&lane.identity, &lane.state, &lane.reason)
		lanes = append(lanes, lane)
		return err
	})
	return lanes, err
}

// walk returns a page of one lane. CROSS JOIN keeps SQLite to this order of
// tables.
func (l *lister) walk(lane lane) ([]int64, error) {
	q := query{}
	if lane.identity != 0 {
		q.where("r.identity = ?", lane.identity)
	}
	q.where("r.state = ? AND r.reason = ?", lane.state, lane.reason)
	q.where("r.message "+beyond(l.ascending())+" ?", l.from)
	q.equal("r.provider", l.f.Provider)
	q.contains(l.f.Recipient, address("r.local", "r.domain"))
	q.code(l.f.Code)
	if err := l.messageTerms(&q); err != nil {
		return nil, err
	}
	return column[int64](l.tx.QueryContext(l.ctx,
		"SELECT DISTINCT r.message FROM recipients r CROSS JOIN messages m ON m.seq = r.message"+q.text()+
			" ORDER BY r.message "+direction(l.ascending())+" LIMIT ?",
		append(q.args, l.f.Limit)...))
}

// messageTerms adds what the filter asks of the message itself.
func (l *lister) messageTerms(q *query) error {
	mailFrom, from := address("m.mail_local", "m.mail_domain"), address("m.from_local", "m.from_domain")
	if !l.f.Since.IsZero() {
		first, err := l.firstSince()
		if err != nil {
			return err
		}
		q.where("m.seq >= ?", first)
	}
	q.contains(l.f.Sender, mailFrom, from)
	q.contains(l.f.Text, "m.subject", from,
		"(SELECT group_concat("+address("t.local", "t.domain")+", ' ') FROM recipients t WHERE t.message = m.seq)")
	return nil
}

// firstSince returns the seq of the first message taken at f.Since or later: the
// time of taking never goes back.
func (l *lister) firstSince() (int64, error) {
	seqs, err := column[int64](l.tx.QueryContext(l.ctx,
		"SELECT seq FROM messages WHERE taken >= ? ORDER BY taken, seq LIMIT 1", nanos(l.f.Since)))
	if len(seqs) == 0 {
		return math.MaxInt64, err
	}
	return seqs[0], err
}
