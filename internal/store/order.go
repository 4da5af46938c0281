package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"

	"mailgate/internal/spool"
)

// key is a message's place in every order.
type key struct{ size, seq int64 }

// order is that of a list.
type order spool.Order

const (
	newest = order(spool.Newest)
	oldest = order(spool.Oldest)
	bySize = order(spool.Largest)
)

// start is the place before the first.
func (o order) start() key {
	if o == oldest {
		return key{}
	}
	return key{math.MaxInt64, math.MaxInt64}
}

// compare says which of two comes first.
func (o order) compare(a, b key) int {
	switch o {
	case oldest:
		return cmp.Compare(a.seq, b.seq)
	case bySize:
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(b.seq, a.seq))
	}
	return cmp.Compare(b.seq, a.seq)
}

// messages are all, in the order.
func (o order) messages() source {
	if o == bySize {
		return source{text: "messages m INDEXED BY messages_by_size"}
	}
	return source{text: "messages m NOT INDEXED"}
}

// by is the ORDER BY of messages m, whose key is named seq.
func (o order) by(seq string) string {
	switch o {
	case oldest:
		return seq
	case bySize:
		return "m.size DESC, " + seq + " DESC"
	}
	return seq + " DESC"
}

// beyond asks for the messages m that come after a place.
func (o order) beyond(q *query, seq string, k key) {
	switch o {
	case oldest:
		q.where(seq+" > ?", k.seq)
	case bySize:
		q.where("m.size <= ? AND (m.size < ? OR "+seq+" < ?)", k.size, k.size, k.seq)
	default:
		q.where(seq+" < ?", k.seq)
	}
}

// placeOf returns the place of a message that a list goes on after.
func placeOf(ctx context.Context, tx *sql.Tx, id string) (k key, err error) {
	err = tx.QueryRowContext(ctx, "SELECT size, seq FROM messages WHERE id = ?", id).Scan(&k.size, &k.seq)
	if err != nil {
		return k, fmt.Errorf("message %s to go on after: %w", id, notFound(err))
	}
	return k, nil
}
