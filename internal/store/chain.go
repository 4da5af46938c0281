package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"mailgate/internal/spool"
)

// link is a place in the review log's chain: an entry's number and its hash.
type link struct {
	n    int64
	hash [32]byte
}

// asker is a transaction, a connection or a pool.
type asker interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// ends reads the base of the chain (the last entry removed) and its head (the last
// entry written).
func ends(ctx context.Context, db asker) (base, head link, err error) {
	var baseHash, headHash []byte
	err = db.QueryRowContext(ctx, `SELECT b.n, b.hash, h.n, h.hash FROM review_log_base b JOIN review_log_head h`).
		Scan(&base.n, &baseHash, &head.n, &headHash)
	copy(base.hash[:], baseHash)
	copy(head.hash[:], headHash)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: where it begins or ends is not known", spool.ErrLog)
	}
	return base, head, err
}

// VerifyLog implements spool.Reviewer.
func (s *Store) VerifyLog(ctx context.Context) (chain spool.Chain, err error) {
	err = s.view(ctx, func(tx *sql.Tx) (err error) {
		chain, err = verifyLog(ctx, tx, nil)
		return err
	})
	return chain, err
}

// progressRows is how many rows are read between two reports of progress.
const progressRows = 1 << 14

// verifyLog follows the chain from its base to its head. progress may be nil.
func verifyLog(ctx context.Context, db asker, progress func(done, total int64)) (spool.Chain, error) {
	base, head, err := ends(ctx, db)
	if err != nil {
		return spool.Chain{}, err
	}
	c := chainCheck{head: head, last: base, place: hex.EncodeToString(base.hash[:])}
	rows, err := db.QueryContext(ctx, selectLog+" WHERE n > ? ORDER BY n", base.n)
	err = each(rows, err, func(rows *sql.Rows) error {
		if progress != nil && (c.last.n-base.n)%progressRows == 0 {
			progress(c.last.n-base.n, head.n-base.n)
		}
		e, err := scanEntry(rows)
		if err != nil {
			return err
		}
		return c.follow(&e)
	})
	if err == nil {
		err = c.end(base)
	}
	chain := spool.Chain{Trimmed: base.n, Base: base.hash}
	if c.last.n > base.n {
		chain.First, chain.Last, chain.Head = base.n+1, c.last.n, c.last.hash
	}
	return chain, err
}

// chainCheck follows a chain entry by entry.
type chainCheck struct {
	last, head link
	place      string // what the latest trim entry must say
	trims      int64
	trimmed    string // what it says
}

func (c *chainCheck) follow(e *spool.LogEntry) error {
	if e.N != c.last.n+1 {
		return fmt.Errorf("%w: entry %d is missing", spool.ErrLog, c.last.n+1)
	}
	if e.Digest(c.last.hash) != e.Hash {
		return fmt.Errorf("%w: entry %d was changed, or one before it", spool.ErrLog, e.N)
	}
	if e.N == c.head.n && e.Hash != c.head.hash {
		return fmt.Errorf("%w: entry %d is not the one that was written", spool.ErrLog, e.N)
	}
	if e.Action == spool.ActionTrim {
		c.trims, c.trimmed = e.N, e.Where
	}
	c.last = link{e.N, e.Hash}
	return nil
}

// end compares both ends of the chain with what is noted of them. An empty log
// that was trimmed can't be: the entry that says so is after what was removed.
func (c *chainCheck) end(base link) error {
	switch {
	case c.last.n < c.head.n:
		return fmt.Errorf("%w: entry %d is missing: the log ended with entry %d", spool.ErrLog, c.last.n+1, c.head.n)
	case c.last != c.head:
		return fmt.Errorf("%w: the log ended with entry %d, entry %d was added by another program", spool.ErrLog, c.head.n, c.head.n+1)
	case base.n > 0 && c.trimmed != c.place:
		return fmt.Errorf("%w: entry 1 is missing: the log begins with entry %d, and no entry says that those before were removed", spool.ErrLog, base.n+1)
	case base.n == 0 && c.trims > 0:
		return fmt.Errorf("%w: entry %d says that entries were removed, the log's beginning says that none was", spool.ErrLog, c.trims)
	}
	return nil
}

// moveHead notes the last entry of the log, once in a transaction. It does so only
// from where the head was left: what was changed behind our back stays seen.
func (b *batch) moveHead(before position) error {
	if b.w.next.entry == before.entry {
		return nil
	}
	n, err := b.change("UPDATE review_log_head SET n = ?, hash = ? WHERE n = ? AND hash = ?",
		b.w.next.entry, b.w.next.hash[:], before.entry, before.hash[:])
	if err == nil && n == 0 {
		b.w.suspect()
	}
	return err
}

// suspect tells once that the log's end is not as the writer left it.
func (w *writer) suspect() {
	w.suspected.Do(func() {
		w.s.o.Logger.Error("the review log does not end as it was written: it was tampered with or is damaged; see what mailgate quarantine log --verify says",
			"database", w.s.path)
	})
}
