package store

import (
	"context"
	"database/sql"
	"math"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// selection is the recipients that answer to a filter's states, reason, code,
// provider and domain.
type selection struct {
	n      int64 // how many there are; math.MaxInt64 when nobody has counted
	lanes  []lane
	states []string    // none: any
	causes []int64     // none: any
	domain mail.Domain // empty: any
}

// lane is a run of recipients that an index has in the order of taking.
type lane struct {
	identity int64 // 0: any
	state    string
	cause    int64 // 0: any
}

// choice finds them. They are counted if the filter asks for more than states, or
// if count says so.
func choice(ctx context.Context, tx *sql.Tx, f *spool.Filter, count bool) (w selection, err error) {
	w = selection{n: math.MaxInt64, domain: f.Domain}
	for _, state := range f.States {
		w.states = append(w.states, string(state))
		w.lanes = append(w.lanes, lane{state: string(state)})
	}
	caused := f.Reason != "" || f.Code != "" || f.Provider != ""
	if caused {
		w.causes, err = causes(ctx, tx, f)
		if err != nil || len(w.causes) == 0 {
			return selection{}, err
		}
	}
	if caused || w.domain != "" || count && len(w.states) > 0 {
		err = w.count(ctx, tx)
	}
	return w, err
}

// causes returns those a filter asks for.
func causes(ctx context.Context, tx *sql.Tx, f *spool.Filter) ([]int64, error) {
	q := query{}
	q.equal("reason", string(f.Reason))
	q.equal("provider", f.Provider)
	q.code(f.Code)
	return column[int64](tx.QueryContext(ctx, "SELECT id FROM causes"+q.text(), q.args...))
}

// tallies are the terms for the tallies t of the selection.
func (w *selection) tallies() query {
	q := query{}
	if w.domain != "" {
		q.where("t.identity IN (SELECT id FROM identities WHERE from_domain = ?)", string(w.domain))
	}
	in(&q, "t.state", w.states)
	in(&q, "t.cause", w.causes)
	return q
}

// count adds the tallies up and finds the lanes that have any.
func (w *selection) count(ctx context.Context, tx *sql.Tx) error {
	identity := "0"
	if w.domain != "" {
		identity = "t.identity"
	}
	q := w.tallies()
	w.n, w.lanes = 0, nil
	rows, err := tx.QueryContext(ctx, "SELECT "+identity+", t.state, t.cause, sum(t.n) FROM tallies t"+q.text()+" GROUP BY 1, 2, 3", q.args...)
	return each(rows, err, func(rows *sql.Rows) error {
		var lane lane
		var n int64
		err := rows.Scan(&lane.identity, &lane.state, &lane.cause, &n)
		w.n += n
		w.lanes = append(w.lanes, lane)
		return err
	})
}

// chosen is the expression for those of a message's recipients that are selected,
// a line each, or nothing if the lines aren't wanted; NULL if there are none.
func (w *selection) chosen(q *query, lines bool) string {
	term := query{}
	if w.domain != "" {
		term.where("m.from_domain = ?", string(w.domain))
	}
	in(&term, "r.state", w.states)
	in(&term, "r.cause", w.causes)
	if len(term.terms) == 0 && !lines {
		return "''"
	}
	q.args = append(q.args, term.args...)
	term.where("r.message = m.seq")
	if lines {
		return "(SELECT " + recipientLines + " FROM recipients r" + term.text() + ")"
	}
	return "(SELECT '' FROM recipients r" + term.text() + " LIMIT 1)"
}
