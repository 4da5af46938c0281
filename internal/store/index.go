package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"sync/atomic"
)

// selectIndexed is what the index is made of.
const selectIndexed = `SELECT m.seq, m.subject, ` + fromAddress + `, ` + mailFromAddress + `,
	` + everyone + `,
	(SELECT ` + causeLines + ` FROM recipients r WHERE r.message = m.seq) FROM messages m`

const causeLines = "group_concat(r.cause, char(10))"

// lastIndexed is the seq of the last message in the index: those before it are in
// it, those after it are not. What has changed since is in stale.
const lastIndexed = "(SELECT coalesce(max(id), 0) FROM search_docsize)"

// indexer keeps the index of words up to date, a number of recipients behind. Those
// that are not yet in it are looked at one by one by every search, which is quick
// for so few; one by one, adding them would cost more than taking them.
type indexer struct {
	s      *Store
	every  int64        // recipients
	behind atomic.Int64 // recipients of messages not in the index, about
	stale  atomic.Int64 // changes noticed
	wake   chan struct{}
	ctx    context.Context // until close
	quit   context.CancelFunc
	ended  chan struct{}
}

// newIndexer starts one.
func newIndexer(s *Store, every int64) *indexer {
	x := &indexer{s: s, every: every, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	x.ctx, x.quit = context.WithCancel(context.Background())
	go x.run()
	return x
}

// noticeTaken tells the indexer of a message; it never waits.
func (x *indexer) noticeTaken(recipients int) {
	if x.behind.Add(int64(recipients)) >= x.every {
		x.call()
	}
}

// noticeStale tells it of a change.
func (x *indexer) noticeStale() {
	if x.stale.Add(1)%x.every == 0 {
		x.call()
	}
}

func (x *indexer) call() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// run adds what is missing, then waits for more. An error that doesn't stop the
// store, such as a full disk, is met again with the next message.
func (x *indexer) run() {
	defer close(x.ended)
	for {
		if more, err := x.step(); more && err == nil && x.ctx.Err() == nil {
			continue
		}
		select {
		case <-x.wake:
		case <-x.ctx.Done():
			return
		}
	}
}

// close ends the goroutine.
func (x *indexer) close() {
	x.quit()
	<-x.ended
}

// step adds some messages, if there are enough.
func (x *indexer) step() (more bool, err error) {
	var missing, stale []indexed
	x.behind.Store(0) // what comes from here on counts, that before is counted
	err = x.s.view(x.ctx, func(tx *sql.Tx) (err error) {
		missing, stale, err = x.read(tx)
		return err
	})
	if err != nil || len(missing)+len(stale) == 0 {
		return false, err
	}
	err = x.s.update(x.ctx, "index", 0, func(b *batch) error {
		if err := b.index(missing); err != nil {
			return err
		}
		return b.indexAnew(stale)
	})
	return true, err
}

// indexed is a message and its grams.
type indexed struct {
	seq           int64
	causes, grams string
}

// read returns the messages to be added next, or else those to be added anew; none
// if there are only a few.
func (x *indexer) read(tx *sql.Tx) (missing, stale []indexed, err error) {
	var first int64
	if err := tx.QueryRowContext(x.ctx, "SELECT "+lastIndexed).Scan(&first); err != nil {
		return nil, nil, err
	}
	last, behind, err := x.enough(tx, "SELECT seq FROM messages WHERE seq > ? ORDER BY seq", first)
	if err != nil {
		return nil, nil, err
	}
	if behind >= x.every {
		missing, err = readIndexed(x.ctx, tx, " WHERE m.seq > ? AND m.seq <= ? ORDER BY m.seq", first, last)
		return missing, nil, err
	}
	x.behind.Add(behind)
	last, behind, err = x.enough(tx, "SELECT message FROM stale WHERE message <= ? ORDER BY message", first)
	if err == nil && behind >= x.every {
		stale, err = readIndexed(x.ctx, tx, " WHERE m.seq IN (SELECT message FROM stale WHERE message <= ?)", last)
	}
	return nil, stale, err
}

// enough goes through messages until they have as many recipients as one step is
// for, and returns the last one and how many there are.
func (x *indexer) enough(tx *sql.Tx, messages string, arg int64) (last, recipients int64, err error) {
	rows, err := tx.QueryContext(x.ctx, "WITH some (seq) AS ("+messages+") SELECT seq, coalesce((SELECT max(n) FROM recipients WHERE message = seq), 0) + 1 FROM some", arg)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	for recipients < x.every && rows.Next() {
		var n int64
		if err := rows.Scan(&last, &n); err != nil {
			return 0, 0, err
		}
		recipients += n
	}
	return last, recipients, rows.Err()
}

// readIndexed returns messages and makes their grams.
func readIndexed(ctx context.Context, tx *sql.Tx, which string, args ...any) ([]indexed, error) {
	var some []indexed
	rows, err := tx.QueryContext(ctx, selectIndexed+which, args...)
	err = each(rows, err, func(rows *sql.Rows) error {
		var r row
		var causes sql.NullString
		err := rows.Scan(&r.seq, &r.subject, &r.from, &r.mailFrom, &r.chosen, &causes)
		some = append(some, indexed{r.seq, causes.String, r.grams(causes.String)})
		return err
	})
	return some, err
}

// grams returns what goes into the index. r.chosen are all recipients.
func (r *row) grams(causes string) string {
	var g gramSet
	g.add(inSubject, fold(r.subject))
	g.add(inFrom, fold(r.from))
	if r.mailFrom != r.from {
		g.add(inMailFrom, fold(r.mailFrom))
	}
	for line := range strings.SplitSeq(r.chosen.String, "\n") {
		g.add(inTo, fold(line))
	}
	for cause := range strings.SplitSeq(causes, "\n") {
		n, _ := strconv.ParseInt(cause, 10, 64)
		g.addNumber(inCause, n)
	}
	return string(g.text)
}

// index adds messages that follow one another, if all are still there. The INSERT
// is a plain one on purpose: with a SELECT in it, FTS5 would write to the disk after
// each row.
func (b *batch) index(missing []indexed) error {
	if len(missing) == 0 {
		return nil
	}
	var there int
	err := b.row("SELECT count(*) FROM messages WHERE seq BETWEEN ? AND ?", []any{missing[0].seq, missing[len(missing)-1].seq}, &there)
	if err != nil || there != len(missing) {
		return err // the next step reads them again
	}
	for _, m := range missing {
		if err := b.exec("INSERT INTO search (rowid, grams) VALUES (?, ?)", m.seq, m.grams); err != nil {
			return err
		}
	}
	return nil
}

// indexAnew replaces messages in the index, those that are still what they were
// when they were read.
func (b *batch) indexAnew(stale []indexed) error {
	for _, m := range stale {
		n, err := b.change("DELETE FROM stale WHERE message = ?1 AND ?2 = (SELECT "+causeLines+" FROM recipients r WHERE r.message = ?1)",
			m.seq, m.causes)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		if err := b.exec("INSERT OR REPLACE INTO search (rowid, grams) VALUES (?, ?)", m.seq, m.grams); err != nil {
			return err
		}
	}
	return nil
}
