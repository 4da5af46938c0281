-- +goose Up

-- What isn't about a message and outlives a restart.
CREATE TABLE notes (
	kind  TEXT NOT NULL,
	name  TEXT NOT NULL,
	data  BLOB NOT NULL,
	until INTEGER NOT NULL,                 -- not given back from then on; 0: kept
	PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
