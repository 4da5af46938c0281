package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"net/url"

	"modernc.org/sqlite"
)

// newPragmas shape a file that is still empty: so that space can be given back
// later without rewriting it all. On an old file it would only cost a write.
const newPragmas = "&_auto_vacuum=incremental"

// pragmas are set on every connection. journal_size_limit is in bytes, cache_size
// in KiB when negative. Checkpoints are the writer's, so that their errors are
// seen. Statement journals and sorts stay in memory: a full /tmp is no fault.
const pragmas = "_busy_timeout=10000&_journal_mode=wal&_synchronous=full&_foreign_keys=1" +
	"&_pragma=wal_autocheckpoint(0)&_pragma=journal_size_limit(67108864)&_pragma=cache_size(-16000)" +
	"&_pragma=temp_store(memory)&_pragma=cell_size_check(1)&_defensive=1&_dqs=0&_error_rc=1"

// required is what durability rests on, asserted on every connection: a file
// system that can't do WAL, say, leaves the journal mode as it was without an
// error.
var required = [...]struct{ pragma, value string }{
	{"journal_mode", "wal"},
	{"synchronous", "2"},
	{"foreign_keys", "1"},
	{"wal_autocheckpoint", "0"},
}

// connector opens connections to one database file and asserts their settings.
type connector struct{ driver.Connector }

// connect returns a connector for the file at path, in the driver's words for
// settings.
func connect(path, settings string) (connector, error) {
	name := (&url.URL{Scheme: "file", Path: path, OmitHost: true, RawQuery: settings}).String()
	c, err := sqlite.NewConnector(name)
	return connector{c}, err
}

// Connect opens a connection.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range required {
		got, err := pragma(ctx, conn, r.pragma)
		if err == nil && got != r.value {
			err = fmt.Errorf("SQLite answers %s=%s where %s is needed: is the database on a file system without shared memory or locks?", r.pragma, got, r.value)
		}
		if err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

// pragma asks a bare connection for the value of a setting.
func pragma(ctx context.Context, conn driver.Conn, name string) (string, error) {
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx, "PRAGMA "+name, nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(row); err == io.EOF {
		return "", nil
	} else if err != nil {
		return "", err
	}
	return fmt.Sprint(row[0]), nil
}
