package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"modernc.org/sqlite"
)

// checkOwner refuses a database that is somebody else's, before the settings of our
// own connections change it. It only reads; what can't be read is for the checks
// that follow to report.
func checkOwner(ctx context.Context, path string) error {
	c, err := sqlite.NewConnector((&url.URL{Scheme: "file", Path: path, OmitHost: true, RawQuery: "mode=ro&_busy_timeout=10000"}).String())
	if err != nil {
		return err
	}
	db := sql.OpenDB(c)
	defer db.Close()
	tables, err := column[string](db.QueryContext(ctx, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"))
	if table, found := strange(tables); err == nil && found {
		return fmt.Errorf("the database %s is another program's: it has a table %s and isn't a mailgate store. "+
			"It was left as it is: name another file", path, table)
	}
	return ctx.Err()
}

// strange finds a table that doesn't belong in a store. What the first step of a
// first start leaves is none.
func strange(tables []string) (name string, found bool) {
	if slices.Contains(tables, "review_log") && slices.Contains(tables, "goose_db_version") {
		return "", false
	}
	i := slices.IndexFunc(tables, func(name string) bool {
		return name != "goose_db_version" && !strings.HasPrefix(name, "sqlite_")
	})
	if i < 0 {
		return "", false
	}
	return tables[i], true
}
