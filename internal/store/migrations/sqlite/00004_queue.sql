-- +goose Up

-- What only the relay needs of a message; one that needs none of it has no row.
CREATE TABLE relayed (
	message     INTEGER PRIMARY KEY REFERENCES messages (seq) ON DELETE CASCADE,
	signed      INTEGER NOT NULL,           -- 0: the prefix has no signature
	envelope_id TEXT NOT NULL,
	ret         TEXT NOT NULL,
	prefix      BLOB NOT NULL
) STRICT;

-- What the relay has to do with a recipient, and what came of it. Those with due
-- are the queue: queued recipients that the relay delivers. The others have left
-- it, or came by another way.
CREATE TABLE deliveries (
	message     INTEGER NOT NULL,
	n           INTEGER NOT NULL,
	destination TEXT NOT NULL,              -- the recipient's domain
	due         INTEGER,                    -- next, or until when it is leased; NULL: not in the queue
	next        INTEGER NOT NULL,           -- of the next try
	leased      INTEGER,                    -- until then; NULL: it isn't
	fence       INTEGER NOT NULL,           -- of the last lease
	tries       INTEGER NOT NULL,
	answer      TEXT NOT NULL,              -- of the last try
	host        TEXT NOT NULL,
	tls         TEXT NOT NULL,
	expected    TEXT NOT NULL,
	notify      TEXT NOT NULL,
	original    TEXT NOT NULL,
	PRIMARY KEY (message, n),
	FOREIGN KEY (message, n) REFERENCES recipients (message, n) ON DELETE CASCADE,
	CHECK (due IS NOT NULL OR leased IS NULL)
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_due ON deliveries (destination, due) WHERE due IS NOT NULL;
CREATE INDEX deliveries_leased ON deliveries (destination) WHERE leased IS NOT NULL;

-- The destinations of the queue, each as long as it has recipients there; kept by
-- the triggers below.
CREATE TABLE destinations (
	domain    TEXT PRIMARY KEY,
	queued    INTEGER NOT NULL,             -- recipients
	first_due INTEGER NOT NULL,             -- the least due of them
	pause     INTEGER NOT NULL DEFAULT 0,   -- nothing is tried before
	answer    TEXT NOT NULL DEFAULT '',     -- of the latest try
	host      TEXT NOT NULL DEFAULT '',
	tls       TEXT NOT NULL DEFAULT '',
	tried     INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX destinations_by_next ON destinations (max(first_due, pause));

-- +goose StatementBegin
CREATE TRIGGER deliveries_added AFTER INSERT ON deliveries WHEN NEW.due IS NOT NULL BEGIN
	INSERT INTO destinations (domain, queued, first_due) VALUES (NEW.destination, 1, NEW.due)
		ON CONFLICT DO UPDATE SET queued = queued + 1, first_due = min(first_due, excluded.first_due);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER deliveries_entered AFTER UPDATE OF due ON deliveries
WHEN OLD.due IS NULL AND NEW.due IS NOT NULL BEGIN
	INSERT INTO destinations (domain, queued, first_due) VALUES (NEW.destination, 1, NEW.due)
		ON CONFLICT DO UPDATE SET queued = queued + 1, first_due = min(first_due, excluded.first_due);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER deliveries_put_off AFTER UPDATE OF due ON deliveries
WHEN OLD.due <> NEW.due BEGIN
	UPDATE destinations SET first_due = CASE WHEN NEW.due < first_due THEN NEW.due
			ELSE (SELECT min(due) FROM deliveries WHERE destination = NEW.destination AND due IS NOT NULL) END
		WHERE domain = NEW.destination AND (NEW.due < first_due OR OLD.due = first_due);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER deliveries_left AFTER UPDATE OF due ON deliveries
WHEN OLD.due IS NOT NULL AND NEW.due IS NULL BEGIN
	DELETE FROM destinations WHERE domain = OLD.destination AND queued = 1;
	UPDATE destinations SET queued = queued - 1, first_due = CASE WHEN OLD.due > first_due THEN first_due
			ELSE (SELECT min(due) FROM deliveries WHERE destination = OLD.destination AND due IS NOT NULL) END
		WHERE domain = OLD.destination;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER deliveries_removed AFTER DELETE ON deliveries WHEN OLD.due IS NOT NULL BEGIN
	DELETE FROM destinations WHERE domain = OLD.destination AND queued = 1;
	UPDATE destinations SET queued = queued - 1, first_due = CASE WHEN OLD.due > first_due THEN first_due
			ELSE (SELECT min(due) FROM deliveries WHERE destination = OLD.destination AND due IS NOT NULL) END
		WHERE domain = OLD.destination;
END;
-- +goose StatementEnd
