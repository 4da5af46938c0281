package store

import (
	"context"
	"database/sql"
	"strings"
	"sync/atomic"
)

// indexEvery is how many messages are added to the index of words at once. Those
// that are not yet in it are looked at one by one by every search, which is quick
// for so few; one by one, adding them would cost more than taking them.
const indexEvery = 512

// selectIndexed is what the index is made of.
const selectIndexed = `SELECT m.seq, m.subject, ` + fromAddress + `, ` + mailFromAddress + `,
	` + everyone + `,
	(SELECT group_concat(c.provider, char(10)) FROM recipients r CROSS JOIN causes c ON c.id = r.cause WHERE r.message = m.seq)
	FROM messages m`

// lastIndexed is the seq of the last message in the index: those before it are in
// it, those after it are not.
const lastIndexed = "(SELECT coalesce(max(id), 0) FROM search_docsize)"

// indexer keeps the index of words up to date, a number of messages behind.
type indexer struct {
	s     *Store
	every int64
	last  atomic.Int64 // seq of the last message in the index, at least
	wake  chan struct{}
	ctx   context.Context // until close
	quit  context.CancelFunc
	ended chan struct{}
}

// newIndexer starts one.
func newIndexer(s *Store, every int64) *indexer {
	x := &indexer{s: s, every: every, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	x.ctx, x.quit = context.WithCancel(context.Background())
	go x.run()
	return x
}

// noticeTaken tells the indexer of a message; it never waits.
func (x *indexer) noticeTaken(seq int64) {
	if seq-x.last.Load() >= x.every {
		select {
		case x.wake <- struct{}{}:
		default:
		}
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
	var missing []indexed
	err = x.s.view(x.ctx, func(tx *sql.Tx) (err error) {
		missing, err = x.missing(tx)
		return err
	})
	if err != nil || len(missing) == 0 {
		return false, err
	}
	err = x.s.update(x.ctx, "index", 0, func(b *batch) error { return b.index(missing) })
	return true, err
}

// indexed is a message and its grams.
type indexed struct {
	seq   int64
	grams string
}

// missing returns the messages to be added next; none if there are only a few.
func (x *indexer) missing(tx *sql.Tx) ([]indexed, error) {
	var first, last int64
	err := tx.QueryRowContext(x.ctx, "SELECT "+lastIndexed+", (SELECT coalesce(max(seq), 0) FROM messages)").Scan(&first, &last)
	if err != nil {
		return nil, err
	}
	if x.last.Store(first); last-first < x.every {
		return nil, nil
	}
	var missing []indexed
	rows, err := tx.QueryContext(x.ctx, selectIndexed+" WHERE m.seq > ? ORDER BY m.seq LIMIT ?", first, x.every)
	return missing, each(rows, err, func(rows *sql.Rows) error {
		var r row
		var providers sql.NullString
		err := rows.Scan(&r.seq, &r.subject, &r.from, &r.mailFrom, &r.chosen, &providers)
		missing = append(missing, indexed{r.seq, r.grams(providers.String)})
		return err
	})
}

// grams returns what goes into the index. r.chosen are all recipients.
func (r *row) grams(providers string) string {
	var g gramSet
	g.add(inSubject, fold(r.subject))
	g.add(inFrom, fold(r.from))
	if r.mailFrom != r.from {
		g.add(inMailFrom, fold(r.mailFrom))
	}
	for line := range strings.SplitSeq(r.chosen.String, "\n") {
		g.add(inTo, fold(line))
	}
	for name := range strings.SplitSeq(providers, "\n") {
		g.addName(inProvider, name)
	}
	return string(g.text)
}

// index adds messages that are still there.
func (b *batch) index(missing []indexed) error {
	for _, m := range missing {
		err := b.exec("INSERT INTO search (rowid, grams) SELECT seq, ? FROM messages WHERE seq = ?", m.grams, m.seq)
		if err != nil {
			return err
		}
	}
	return nil
}
