package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// ownSteps are the steps of the schema, numbered from 1.
func ownSteps() (fs.FS, error) { return fs.Sub(migrations, "migrations/sqlite") }

// migrate brings the schema up to date, each step in a transaction, and refuses
// one that is newer than this program. A step that fails leaves the schema as the
// step before it made it.
func migrate(ctx context.Context, db *sql.DB, steps fs.FS) error {
	p, err := provider(db, steps)
	if err != nil {
		return err
	}
	current, known, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if current > known {
		return fmt.Errorf("the schema is version %d, and this mailgate knows only up to %d: start the newer one, or restore a backup from before", current, known)
	}
	if current == known {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the schema from version %d to %d: %w", current, known, err)
	}
	return nil
}

func provider(db *sql.DB, steps fs.FS) (*goose.Provider, error) {
	p, err := goose.NewProvider(goose.DialectSQLite3, db, steps, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return p, nil
}

// knownVersion is the version of the schema that this program makes.
func knownVersion() (version int64, err error) {
	steps, err := ownSteps()
	if err != nil {
		return 0, err
	}
	names, err := fs.Glob(steps, "*.sql")
	for _, name := range names {
		var n int64
		if _, err := fmt.Sscanf(name, "%d_", &n); err != nil {
			return 0, fmt.Errorf("migration %s: %w", name, err)
		}
		version = max(version, n)
	}
	return version, err
}
