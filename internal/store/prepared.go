package store

import (
	"context"
	"database/sql"
	"fmt"
)

// What the relay asks for each message it delivers. These are prepared once on each
// connection: reading SQL takes longer than what it asks for.
const (
	selectBody     = "SELECT body, size, digest FROM messages WHERE id = ?"
	selectChunk    = "SELECT data FROM chunks WHERE at = ?"
	selectDue      = "SELECT domain FROM destinations WHERE " + nextTry + " <= ? ORDER BY " + nextTry + " LIMIT ?"
	selectNextDue  = "SELECT " + nextTry + " FROM destinations ORDER BY " + nextTry + " LIMIT 1"
	selectEnvelope = "SELECT " + messageColumns + ", x.prefix" + fromMessages + " WHERE m.seq = ?"
)

var frequent = [...]string{selectBody, selectChunk, selectDue, selectNextDue, selectEnvelope, selectLeased}

// prepareReads prepares them, before there is a reader.
func (s *Store) prepareReads(ctx context.Context) error {
	s.frequent = make(map[string]*sql.Stmt, len(frequent))
	for _, query := range frequent {
		stmt, err := s.read.PrepareContext(ctx, query)
		if err != nil {
			return fmt.Errorf("prepare %q: %w", query, err)
		}
		s.frequent[query] = stmt
	}
	return nil
}

// stmt gives one of them to a reader.
func (s *Store) stmt(ctx context.Context, tx *sql.Tx, query string) *sql.Stmt {
	return tx.StmtContext(ctx, s.frequent[query])
}
