package store

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"strings"
)

// evidence compares every report with its hash.
func (c *checker) evidence() error {
	var last int64
	if err := c.db.QueryRowContext(c.ctx, "SELECT coalesce(max(id), 0) FROM evidence").Scan(&last); err != nil {
		return err
	}
	for from := int64(0); from < last; from += checkMessages {
		c.progress(from, last)
		rows, err := c.db.QueryContext(c.ctx, "SELECT id, hash, data FROM evidence WHERE id > ? AND id <= ?", from, from+checkMessages)
		err = each(rows, err, func(rows *sql.Rows) error {
			var id int64
			var hash, data sql.RawBytes
			if err := rows.Scan(&id, &hash, &data); err != nil {
				return err
			}
			if sum := sha256.Sum256(data); !bytes.Equal(sum[:], hash) {
				return c.fault("evidence %d is not the one that was taken: its hash differs", id)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// words compares the index of words with the messages.
func (c *checker) words() error {
	var last int64
	if err := c.db.QueryRowContext(c.ctx, "SELECT "+lastIndexed).Scan(&last); err != nil {
		return err
	}
	for from := int64(0); from < last; from += checkMessages {
		c.progress(from, last)
		err := c.tx(func(tx *sql.Tx) error { return c.someWords(tx, from, min(from+checkMessages, last)) })
		if err != nil {
			return err
		}
	}
	strays, err := column[int64](c.db.QueryContext(c.ctx, `SELECT d.id FROM search_docsize d
		WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.seq = d.id) LIMIT ?`, maxFaults+1))
	if err != nil {
		return err
	}
	for _, seq := range strays {
		if err := c.fault("message number %d is in the index of words and nowhere else", seq); err != nil {
			return err
		}
	}
	return nil
}

// someWords looks at some messages in the index. What waits to be indexed anew need
// not be right.
func (c *checker) someWords(tx *sql.Tx, from, to int64) error {
	some, err := readIndexed(c.ctx, tx, ` WHERE m.seq > ? AND m.seq <= ?
		AND NOT EXISTS (SELECT 1 FROM stale WHERE message = m.seq)`, from, to)
	if err != nil {
		return err
	}
	find, err := tx.PrepareContext(c.ctx, `SELECT sz FROM search_docsize
		WHERE id = ?1 AND EXISTS (SELECT 1 FROM search WHERE rowid = ?1 AND search MATCH ?2)`)
	if err != nil {
		return err
	}
	defer find.Close()
	for _, m := range some {
		var size []byte
		grams := strings.Fields(m.grams)
		err := find.QueryRowContext(c.ctx, m.seq, sample(grams)).Scan(&size)
		if err == nil && varint(size) == len(grams) {
			continue
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := c.misindexed(tx, m.seq); err != nil {
			return err
		}
	}
	return nil
}

// misindexed notes a message whose words are not what the index has.
func (c *checker) misindexed(tx *sql.Tx, seq int64) error {
	var id string
	if err := tx.QueryRowContext(c.ctx, "SELECT id FROM messages WHERE seq = ?", seq).Scan(&id); err != nil {
		return err
	}
	return c.fault("message %s: what the index of words has of it is not what it says: a search may miss it", id)
}

// sampleGrams is how many of a message's grams are looked for, beside those of its
// causes; of all, the number is compared.
const sampleGrams = 6

// sample is a query for some of a message's grams.
func sample(grams []string) string {
	var some []string
	step := max(len(grams)/sampleGrams, 1)
	for i, g := range grams {
		if i%step == 0 || g[0] == byte(inCause) {
			some = append(some, g)
		}
	}
	return strings.Join(some, " AND ")
}

// varint is the first number in a row of FTS5's sizes, 0 if there is none: seven bits
// a byte, the first ones first.
func varint(b []byte) (n int) {
	for _, c := range b {
		if n = n<<7 | int(c&0x7f); c < 0x80 {
			return n
		}
	}
	return 0
}
