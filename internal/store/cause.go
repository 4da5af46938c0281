package store

import (
	"strings"

	"mailgate/internal/spool"
)

// cause returns the key of what a recipient is held for.
func (b *batch) cause(r *spool.Recipient) (int64, error) {
	args := []any{string(r.Reason), r.Provider, r.Rule, strings.Join(r.Codes, " ")}
	return b.keyOf("SELECT id FROM causes WHERE reason = ? AND provider = ? AND rule = ? AND codes = ?", args,
		"INSERT INTO causes (reason, provider, rule, codes) VALUES (?, ?, ?, ?)", args)
}

// reply returns the key of a predicted reply.
func (b *batch) reply(text string) (int64, error) {
	args := []any{text}
	id, err := b.keyOf("SELECT id FROM replies WHERE text = ?", args, "INSERT INTO replies (text) VALUES (?)", args)
	if b.w.replied != nil && err == nil {
		b.w.replied[id] = true
	}
	return id, err
}
