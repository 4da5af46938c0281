package store

import (
	"strings"

	"mailgate/internal/spool"
)

// Rows of causes and replies, as keyOf knows them.
type (
	causeRow [4]string
	replyRow string
)

// cause returns the key of what a recipient is held for.
func (b *batch) cause(r *spool.Recipient) (int64, error) {
	what := causeRow{string(r.Reason), r.Provider, r.Rule, strings.Join(r.Codes, " ")}
	args := []any{what[0], what[1], what[2], what[3]}
	return b.keyOf(what, "SELECT id FROM causes WHERE reason = ? AND provider = ? AND rule = ? AND codes = ?", args,
		"INSERT INTO causes (reason, provider, rule, codes) VALUES (?, ?, ?, ?)", args)
}

// reply returns the key of a predicted reply.
func (b *batch) reply(text string) (int64, error) {
	args := []any{text}
	id, err := b.keyOf(replyRow(text), "SELECT id FROM replies WHERE text = ?", args, "INSERT INTO replies (text) VALUES (?)", args)
	if b.w.replied != nil && err == nil {
		b.w.replied[id] = true
	}
	return id, err
}
