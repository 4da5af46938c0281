package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"sync"

	"mailgate/internal/spool"
)

const (
	groupOps   = 256     // operations in a transaction, at most
	groupBytes = 4 << 20 // and their bodies and recipients, about

	// checkpointBytes is about how much is written to the WAL before it is copied
	// into the database.
	checkpointBytes = 32 << 20

	// opBytes stands for the pages an operation writes beside a body.
	opBytes = 16 << 10

	// recipientBytes stands for the rows of a recipient: its own, those of the
	// indexes and its entry in the log. It is also what they cost in time, in bytes
	// of a body.
	recipientBytes = 1 << 10
)

// op is one operation of the writer: all of it is done, or nothing.
type op struct {
	name string // of its crash point; empty: none
	ctx  context.Context
	size int                // of the body in it, bytes
	do   func(*batch) error // may run twice, when the first run is undone
	adds bool               // it adds to a message, and hardly ever fails

	bounded bool  // Options.MaxBytes counts for it
	rest    int64 // bytes of the body from here on

	err  error
	done chan struct{}
}

// writer is the one goroutine that writes.
type writer struct {
	s       *Store
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt
	ops     chan *op
	quit    chan struct{}
	once    sync.Once
	ended   chan struct{}
	copier  copier
	written int // bytes since the last checkpoint began, about
	every   int // bytes between checkpoints

	pageSize int64 // of the database, bytes

	next      position
	suspected sync.Once

	replied map[int64]bool // replies that came into use since a sweep began; nil without one
}

// position is what the writer knows of the database without asking. It goes back
// with a transaction or a savepoint that is rolled back.
type position struct {
	body  int64    // number of the next body
	seq   int64    // of the last message
	taken int64    // its time
	entry int64    // number of the last entry of the review log
	hash  [32]byte // of that entry
}

func newWriter(ctx context.Context, s *Store) (*writer, error) {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		s: s, conn: conn, stmts: map[string]*sql.Stmt{},
		every: cmp.Or(s.o.CheckpointBytes, checkpointBytes), ops: make(chan *op), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	if err = w.look(ctx); err == nil {
		w.copier, err = newCopier(ctx, s)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return w, nil
}

// look reads what the writer has to know of the file before its first operation.
func (w *writer) look(ctx context.Context) (err error) {
	if err := w.conn.QueryRowContext(ctx, "PRAGMA page_size").Scan(&w.pageSize); err != nil {
		return err
	}
	used, err := (&batch{w: w}).measure()
	if err != nil {
		return err
	}
	w.measured(used)
	if w.next, err = readPosition(ctx, w.conn); err != nil {
		return err
	}
	w.tellAhead()
	_, head, err := ends(ctx, w.conn)
	if err != nil && !errors.Is(err, spool.ErrLog) {
		return err
	}
	if (head != link{w.next.entry, w.next.hash}) {
		w.suspect()
	}
	return nil
}

func readPosition(ctx context.Context, conn *sql.Conn) (position, error) {
	var p position
	var hash []byte
	err := conn.QueryRowContext(ctx, `SELECT
		max((SELECT coalesce(max(at) >> 20, 0) FROM chunks), (SELECT coalesce(max(body), 0) FROM loose)) + 1,
		(SELECT coalesce(max(seq), 0) FROM messages),
		(SELECT coalesce(max(taken), 0) FROM messages),
		(SELECT coalesce(max(n), 0) FROM review_log),
		(SELECT hash FROM review_log ORDER BY n DESC LIMIT 1)`).
		Scan(&p.body, &p.seq, &p.taken, &p.entry, &hash)
	copy(p.hash[:], hash)
	return p, err
}

// update has the writer do something and returns when that is durable, or when
// it has failed and nothing of it is kept. Once the writer has it, ctx counts no
// more: the caller must know how it ended.
func (s *Store) update(ctx context.Context, name string, size int, do func(*batch) error) error {
	return s.submit(&op{name: name, ctx: ctx, size: size, do: do})
}

func (s *Store) submit(o *op) error {
	o.done = make(chan struct{})
	if err := s.Err(); err != nil {
		return err
	}
	select {
	case s.w.ops <- o:
	case <-o.ctx.Done():
		return o.ctx.Err()
	case <-s.w.quit:
		return s.stop(errClosed)
	}
	<-o.done
	return o.err
}

// settle returns when what has its time already is durable, or has failed: messages get
// theirs before they are committed, which may take a while.
func (s *Store) settle(ctx context.Context) error {
	return s.submit(&op{ctx: ctx, do: func(*batch) error { return nil }})
}

// run takes operations until close.
func (w *writer) run() {
	defer close(w.ended)
	for {
		select {
		case o := <-w.ops:
			w.write(w.gather(o))
			w.checkpointSome()
		case <-w.copier.done:
			w.copied()
		case <-w.quit:
			w.awaitCopier()
			return
		}
	}
}

// gather adds to o those that wait already.
func (w *writer) gather(o *op) []*op {
	group := []*op{o}
	for size := o.size; len(group) < groupOps && size < groupBytes; {
		select {
		case o := <-w.ops:
			group = append(group, o)
			size += o.size
		default:
			return group
		}
	}
	return group
}

// write does a group and answers it.
func (w *writer) write(group []*op) {
	err := w.commit(group)
	if err != nil && faultOf(err) == faultFull {
		w.writeEach(group)
	} else if err != nil {
		err = w.s.failed(err)
		for _, o := range group {
			o.err = err
		}
	}
	for _, o := range group {
		w.written += o.size + opBytes
		close(o.done)
	}
}

// writeEach does the operations of a group that had no room one by one, since the
// small ones may have. The checkpoint lets the WAL begin anew.
func (w *writer) writeEach(group []*op) {
	w.awaitCopier()
	w.checkpoint()
	for _, o := range group {
		if err := w.commit([]*op{o}); err != nil {
			o.err = w.s.failed(err)
		}
	}
}

// commit does a group in one transaction. An error says that nothing of it is
// kept; otherwise each operation has its own result.
func (w *writer) commit(group []*op) error {
	err := w.transact(group, false)
	if errors.Is(err, errUnguarded) {
		err = w.transact(group, true)
	}
	return err
}

// errUnguarded: an operation failed that had no savepoint.
var errUnguarded = errors.New("an operation without a savepoint failed")

// transact is commit. Savepoints cost as much as a good part of the rows, so only
// guarded gives one to operations that add: without it the failure of one of them
// undoes the group.
func (w *writer) transact(group []*op, guarded bool) (err error) {
	if err := w.s.Err(); err != nil {
		return err
	}
	b := &batch{w: w}
	before := w.next
	if err := b.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			w.next = before
			w.conn.ExecContext(context.Background(), "ROLLBACK") // may have happened already
		}
	}()
	var coming int64
	for _, o := range group {
		if o.err = o.ctx.Err(); o.err != nil {
			continue
		}
		if o.err = w.admit(o, &coming); o.err != nil {
			continue
		}
		if err := b.do(o, guarded); err != nil {
			return err
		}
	}
	if err := b.moveHead(before); err != nil {
		return err
	}
	used, err := b.measure()
	if err != nil {
		return err
	}
	w.s.o.CrashPoint("before-commit")
	if err := b.exec("COMMIT"); err != nil {
		return err
	}
	w.s.o.CrashPoint("after-commit")
	w.measured(used)
	return nil
}

// do does one operation; see try for its errors.
func (b *batch) do(o *op, guarded bool) error {
	if guarded || !o.adds {
		err := b.try(o)
		b.known = nil // it may have deleted or, undone, never added what is known
		return err
	}
	if o.err = o.do(b); o.err != nil {
		if faultOf(o.err) != faultOne {
			return o.err
		}
		return errUnguarded
	}
	b.passes(o)
	return nil
}

// try does one operation behind a savepoint. Its own failure is in o.err; the
// error returned is one that concerns the whole group.
func (b *batch) try(o *op) error {
	before := b.w.next
	if err := b.exec("SAVEPOINT op"); err != nil {
		return err
	}
	if o.err = o.do(b); o.err != nil {
		if faultOf(o.err) != faultOne {
			return o.err
		}
		b.w.next = before
		if err := b.exec("ROLLBACK TO op"); err != nil {
			return err
		}
	}
	b.passes(o)
	return b.exec("RELEASE op")
}

func (b *batch) passes(o *op) {
	if o.name != "" {
		b.w.s.o.CrashPoint(o.name)
	}
}

// close ends the goroutine after the operation it is at.
func (w *writer) close() {
	w.once.Do(func() { close(w.quit) })
	<-w.ended
}

// release gives the connection back.
func (w *writer) release() error {
	for _, stmt := range w.stmts {
		stmt.Close()
	}
	return errors.Join(w.copier.conn.Close(), w.conn.Close())
}
