package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"hash"
	"io"

	"mailgate/internal/spool"
)

const (
	// pieceBytes is the size of the pieces a body is kept in: what a large message
	// costs in memory, and how long others wait for it.
	pieceBytes = 256 << 10

	// pieceBits is the room for the number of a piece beside that of its body in
	// the key of a chunk: bodies up to 256 GiB.
	pieceBits = 20

	// dropPieces is how many pieces are deleted in one operation.
	dropPieces = 16
)

// newBody gives the next body's number. A number is not used again while the
// store is open, so that a reader never finds another message's bytes.
func (b *batch) newBody() int64 {
	n := b.w.next.body
	b.w.next.body++
	return n
}

func (b *batch) addPiece(body, n int64, data []byte) error {
	if data == nil {
		data = []byte{}
	}
	return b.exec("INSERT INTO chunks (at, data) VALUES (?, ?)", body<<pieceBits|n, data)
}

// dropSome deletes the first pieces of a loose body, and the body from the list of
// loose ones with the last; more says that pieces are left.
func (b *batch) dropSome(body int64) (more bool, err error) {
	n, err := b.change("DELETE FROM chunks WHERE at IN (SELECT at FROM chunks WHERE at >= ? AND at < ? ORDER BY at LIMIT ?)",
		body<<pieceBits, (body+1)<<pieceBits, dropPieces)
	if n == dropPieces || err != nil {
		return true, err
	}
	return false, b.exec("DELETE FROM loose WHERE body = ?", body)
}

// drop deletes a loose body, others being served in between.
func (s *Store) drop(ctx context.Context, body int64) error {
	for more := true; more; {
		err := s.update(ctx, "drop", 0, func(b *batch) (err error) {
			more, err = b.dropSome(body)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dropLoose deletes every loose body. At start these are what a crash left.
func (s *Store) dropLoose(ctx context.Context) error {
	var bodies []int64
	err := s.view(ctx, func(tx *sql.Tx) (err error) {
		bodies, err = column[int64](tx.QueryContext(ctx, "SELECT body FROM loose"))
		return err
	})
	if err != nil {
		return err
	}
	for _, body := range bodies {
		if err := s.drop(ctx, body); err != nil {
			return err
		}
	}
	return nil
}

// Open implements spool.Bodies. The reader has one piece in memory and holds no
// transaction open; at the end it compares size and digest with those of the
// message that was taken.
func (s *Store) Open(ctx context.Context, id string) (io.ReadCloser, error) {
	r := &bodyReader{s: s, ctx: ctx, id: id, digest: sha256.New()}
	err := s.view(ctx, func(tx *sql.Tx) error {
		var body sql.NullInt64
		err := s.stmt(ctx, tx, selectBody).QueryRowContext(ctx, id).Scan(&body, &r.left, &r.want)
		if err == nil && !body.Valid {
			err = fmt.Errorf("%w: its body was deleted", spool.ErrNotFound)
		}
		r.at = body.Int64 << pieceBits
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// errBody: what is read is not what was taken.
var errBody = errors.New("the stored bytes are not those that were taken")

// bodyReader streams the original bytes of a message.
type bodyReader struct {
	s      *Store
	ctx    context.Context
	id     string
	at     int64 // key of the next chunk
	left   int64 // bytes not yet in piece
	piece  []byte
	digest hash.Hash
	want   []byte
	err    error
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (int, error) {
	for len(r.piece) == 0 && r.err == nil {
		r.err = r.next()
	}
	if len(r.piece) == 0 {
		return 0, r.err
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	return n, nil
}

// next loads a piece; io.EOF after the last, when all is as it was taken.
func (r *bodyReader) next() error {
	if r.left == 0 {
		if !bytes.Equal(r.digest.Sum(nil), r.want) {
			return fmt.Errorf("read message %s: %w", r.id, errBody)
		}
		return io.EOF
	}
	err := r.s.view(r.ctx, func(tx *sql.Tx) error {
		return r.s.stmt(r.ctx, tx, selectChunk).QueryRowContext(r.ctx, r.at).Scan(&r.piece)
	})
	if err != nil {
		return fmt.Errorf("read message %s: %w", r.id, err)
	}
	r.at++
	r.left -= int64(len(r.piece))
	if len(r.piece) == 0 || r.left < 0 {
		r.piece = nil
		return fmt.Errorf("read message %s: %w", r.id, errBody)
	}
	r.digest.Write(r.piece)
	return nil
}

// Close implements io.Closer.
func (r *bodyReader) Close() error {
	r.piece, r.err = nil, io.ErrClosedPipe
	return nil
}
