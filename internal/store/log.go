package store

import (
	"context"
	"database/sql"
	"strings"

	"mailgate/internal/spool"
)

// defaultLogLimit is how many entries Log returns when the filter doesn't say.
const defaultLogLimit = 1000

// log appends an entry to the review log; its number and hash are set here.
func (b *batch) log(e spool.LogEntry) error {
	last := &b.w.next
	e.N = last.entry + 1
	e.Hash = e.Digest(last.hash)
	err := b.exec(`INSERT INTO review_log (n, time, id, local, domain, action, from_state, into_state,
		before, after, actor, reason, codes, place, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		e.N, e.Time.UnixNano(), e.ID, e.Recipient.Local, string(e.Recipient.Domain), string(e.Action),
		string(e.From), string(e.Into), string(e.Before), e.After, e.Actor, e.Reason,
		strings.Join(e.Codes, " "), e.Where, e.Hash[:])
	if err == nil {
		last.entry, last.hash = e.N, e.Hash
	}
	return err
}

const selectLog = `SELECT n, time, id, local, domain, action, from_state, into_state,
	before, after, actor, reason, codes, place, hash FROM review_log`

func scanEntry(rows *sql.Rows) (spool.LogEntry, error) {
	var e spool.LogEntry
	var time int64
	var codes string
	var hash []byte
	err := rows.Scan(&e.N, &time, &e.ID, &e.Recipient.Local, &e.Recipient.Domain, &e.Action, &e.From, &e.Into,
		&e.Before, &e.After, &e.Actor, &e.Reason, &codes, &e.Where, &hash)
	e.Time = moment(time)
	e.Codes = strings.Fields(codes)
	copy(e.Hash[:], hash)
	return e, err
}

// Log implements spool.Reviewer.
func (s *Store) Log(ctx context.Context, f spool.LogFilter) ([]spool.LogEntry, error) {
	q := query{}
	q.where("n > (SELECT n FROM review_log_base)")
	q.equal("id", f.ID)
	q.equal("action", string(f.Action))
	q.contains(f.Actor, "actor")
	q.contains(f.Recipient, address("local", "domain"))
	if !f.Since.IsZero() {
		q.where("time >= ?", nanos(f.Since))
	}
	if !f.Until.IsZero() {
		q.where("time < ?", nanos(f.Until))
	}
	if f.After != 0 {
		q.where("n "+beyond(f.OldestFirst)+" ?", f.After)
	}
	var entries []spool.LogEntry
	err := s.view(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, selectLog+q.text()+" ORDER BY n "+direction(f.OldestFirst)+" LIMIT ?",
			append(q.args, limit(f.Limit, defaultLogLimit))...)
		return each(rows, err, func(rows *sql.Rows) error {
			e, err := scanEntry(rows)
			entries = append(entries, e)
			return err
		})
	})
	return entries, err
}

// logMove is the entry of one recipient of a move.
func logMove(m *spool.Move, r *spool.Recipient, action spool.Action) spool.LogEntry {
	return spool.LogEntry{
		Time: m.At, ID: m.ID, Recipient: r.Address, Action: action, From: m.From, Into: m.Into,
		Before: r.Reason, After: m.Verdict, Actor: m.Actor, Reason: m.Reason, Codes: m.Codes, Where: m.Where,
	}
}
