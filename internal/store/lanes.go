package store

import "strings"

// walkLanes walks the recipients, lane by lane, each for a whole page, and merges.
// So the work is bounded by the page and not by what is in other states: five held
// messages are found at once behind a million delivered ones.
func (l *lister) walkLanes() ([]key, error) {
	if len(l.want.lanes) == 0 {
		return l.walk()
	}
	var keys []key
	for _, lane := range l.want.lanes {
		seqs, err := l.walkLane(lane)
		if err != nil {
			return nil, err
		}
		for _, seq := range seqs {
			keys = append(keys, key{seq: seq})
		}
	}
	return l.page(keys), nil
}

// walkLane returns a page of one lane, by the index that has it in order.
func (l *lister) walkLane(lane lane) ([]int64, error) {
	q, index := query{}, "recipients_by_state"
	if lane.identity != 0 {
		index = "recipients_by_identity"
		q.where("r.identity = ?", lane.identity)
	} else if lane.cause != 0 {
		index = "recipients_by_cause"
	}
	q.where("r.state = ?", lane.state)
	if lane.cause != 0 {
		q.where("r.cause = ?", lane.cause)
	}
	q.where("r.message >= ?", l.first)
	by := "r.message"
	if l.order == oldest {
		q.where("r.message > ?", l.after.seq)
	} else {
		q.where("r.message < ?", l.after.seq)
		by += " DESC"
	}
	return column[int64](l.tx.QueryContext(l.ctx, strings.Join([]string{
		"SELECT DISTINCT r.message FROM recipients r INDEXED BY", index, q.text(), "ORDER BY", by, "LIMIT ?"}, " "),
		append(q.args, l.f.Limit)...))
}
