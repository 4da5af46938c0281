package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"mailgate/internal/spool"
)

// Checked is what Check found.
type Checked struct {
	Path          string
	Schema, Known int64 // versions of the schema: the file's, and this program's
	Messages      int64
	Bodies        int64 // that are kept
	BodyBytes     int64
	Chain         spool.Chain
	Faults        []Fault // the first ones
	More          bool    // there are more than those
}

// Fault is something that is not as it must be.
type Fault struct {
	Step string // pages, references, tallies, bodies, evidence, words, states or log
	Text string
}

// maxFaults is how many faults are told.
const maxFaults = 100

// Check looks at everything in the store at url, whether or not a mailgate has it
// open, and changes nothing. A fault is no error: errors are what keeps it from
// looking. report, which may be nil, is told how far a step is; total is 0 while it
// is not known. Of a schema that isn't this program's only pages and references
// are looked at.
func Check(ctx context.Context, url string, report func(step string, done, total int64)) (Checked, error) {
	c := checker{ctx: ctx, report: report}
	path, _, err := existing(url)
	if err != nil {
		return c.Checked, err
	}
	c.Path = path
	if c.db, err = outside(ctx, path); err != nil {
		return c.Checked, err
	}
	defer c.db.Close()
	err = c.all()
	return c.Checked, err
}

// checker is a Check under way.
type checker struct {
	Checked
	ctx    context.Context
	db     *sql.DB
	report func(step string, done, total int64)
	step   string
}

// all takes every step. One that a damaged file breaks off is a fault.
func (c *checker) all() error {
	steps := []struct {
		name string
		do   func() error
	}{
		{"pages", c.pages}, {"references", c.references}, {"tallies", c.tallies},
		{"bodies", c.bodies}, {"evidence", c.evidence}, {"words", c.words}, {"states", c.states}, {"log", c.log},
	}
	for i, s := range steps {
		if i == 2 && c.Schema != c.Known {
			return nil
		}
		c.step = s.name
		c.progress(0, 0)
		err := s.do()
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		if err != nil && !errors.Is(err, errEnough) {
			if f := faultOf(err); f != faultFile && f != faultStop {
				return fmt.Errorf("check %s: %w", s.name, err)
			}
			c.fault("can't be read: %v", err)
		}
	}
	return nil
}

func (c *checker) progress(done, total int64) {
	if c.report != nil {
		c.report(c.step, done, total)
	}
}

// errEnough ends a step of which there is no more room for faults.
var errEnough = errors.New("too many faults")

// fault notes one, and says when there were enough.
func (c *checker) fault(format string, args ...any) error {
	if len(c.Faults) == maxFaults {
		c.More = true
		return errEnough
	}
	c.Faults = append(c.Faults, Fault{c.step, fmt.Sprintf(format, args...)})
	return nil
}

// pages reads every page, with the order of indexes and rows, and the schema's
// version.
func (c *checker) pages() error {
	found, err := column[string](c.db.QueryContext(c.ctx, fmt.Sprintf("PRAGMA integrity_check(%d)", maxFaults)))
	if err != nil {
		return err
	}
	for _, f := range found {
		if f != "ok" {
			if err := c.fault("%s", f); err != nil {
				break
			}
		}
	}
	if c.Known, err = knownVersion(); err != nil {
		return err
	}
	return c.db.QueryRowContext(c.ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&c.Schema)
}

func (c *checker) references() error {
	rows, err := c.db.QueryContext(c.ctx, "PRAGMA foreign_key_check")
	return each(rows, err, func(rows *sql.Rows) error {
		var table, parent string
		var row, key sql.NullInt64
		if err := rows.Scan(&table, &row, &parent, &key); err != nil {
			return err
		}
		return c.fault("a row of %s (%d) belongs to one of %s that isn't there", table, row.Int64, parent)
	})
}

// tallies compares the numbers kept with what there is.
func (c *checker) tallies() error {
	rows, err := c.db.QueryContext(c.ctx, `SELECT identity, state, coalesce(t.n, 0), coalesce(r.n, 0) FROM tallies t
		FULL JOIN (SELECT identity, state, cause, count(*) AS n FROM recipients GROUP BY identity, state, cause) r
		USING (identity, state, cause) WHERE coalesce(t.n, 0) <> coalesce(r.n, 0)`)
	err = each(rows, err, func(rows *sql.Rows) error {
		var identity, counted, there int64
		var state string
		if err := rows.Scan(&identity, &state, &counted, &there); err != nil {
			return err
		}
		return c.fault("%d %s recipients of identity %d are counted, and %d are there", counted, state, identity, there)
	})
	if err != nil {
		return err
	}
	return c.destinations()
}

// log follows the chain of the review log.
func (c *checker) log() (err error) {
	if c.Chain, err = verifyLog(c.ctx, c.db, c.progress); errors.Is(err, spool.ErrLog) {
		return c.fault("%v", err)
	}
	return err
}
