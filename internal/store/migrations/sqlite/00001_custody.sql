-- +goose Up

-- What one pre-flight check decides for. "" is no domain.
CREATE TABLE identities (
	id          INTEGER PRIMARY KEY,
	from_domain TEXT NOT NULL,              -- of RFC 5322 From
	mail_domain TEXT NOT NULL,              -- of MAIL FROM
	UNIQUE (from_domain, mail_domain)
) STRICT;

-- Pre-flight reports; one report holds many messages.
CREATE TABLE evidence (
	id   INTEGER PRIMARY KEY,
	hash BLOB NOT NULL UNIQUE,              -- SHA-256 of data
	data BLOB NOT NULL                      -- JSON
) STRICT;

-- seq is the order of taking. Times are nanoseconds since 1970.
CREATE TABLE messages (
	seq         INTEGER PRIMARY KEY,
	id          TEXT NOT NULL UNIQUE,
	source      TEXT NOT NULL,
	taken       INTEGER NOT NULL,           -- the store's clock, never going back
	received    INTEGER NOT NULL,
	identity    INTEGER NOT NULL REFERENCES identities (id),
	mail_local  TEXT NOT NULL,              -- MAIL FROM
	mail_domain TEXT NOT NULL,
	helo        TEXT NOT NULL,
	client      TEXT NOT NULL,
	host        TEXT NOT NULL,
	user        TEXT NOT NULL,
	queue_id    TEXT NOT NULL,
	smtputf8    INTEGER NOT NULL,
	from_local  TEXT NOT NULL,              -- RFC 5322 From
	from_domain TEXT NOT NULL,
	subject     TEXT NOT NULL,
	message_id  TEXT NOT NULL,
	size        INTEGER NOT NULL,           -- bytes
	digest      BLOB NOT NULL,              -- SHA-256 of the original bytes
	body        INTEGER,                    -- of chunks; NULL once purged
	finished    INTEGER,                    -- when the last recipient reached a final state
	evidence    INTEGER REFERENCES evidence (id)
) STRICT;

CREATE INDEX messages_by_taken ON messages (taken);
CREATE INDEX messages_to_purge ON messages (finished) WHERE finished IS NOT NULL AND body IS NOT NULL;

-- The original bytes, in pieces of 256 KiB: at = body * 2^20 + number of the piece.
CREATE TABLE chunks (
	at   INTEGER PRIMARY KEY,
	data BLOB NOT NULL
) STRICT;

-- Bodies of no message: still coming in, or being deleted.
CREATE TABLE loose (
	body INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE recipients (
	message  INTEGER NOT NULL REFERENCES messages (seq),
	n        INTEGER NOT NULL,              -- 0, 1, 2 … in the envelope's order
	identity INTEGER NOT NULL,              -- its message's
	local    TEXT NOT NULL,
	domain   TEXT NOT NULL,
	state    TEXT NOT NULL CHECK (state IN ('held', 'queued', 'delivered', 'bounced', 'discarded')),
	reason   TEXT NOT NULL,
	provider TEXT NOT NULL,
	codes    TEXT NOT NULL,                 -- with a space between
	rule     TEXT NOT NULL,
	reply    TEXT NOT NULL,
	changed  INTEGER NOT NULL,
	PRIMARY KEY (message, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX recipients_by_state ON recipients (state, reason, message);
CREATE INDEX recipients_by_identity ON recipients (identity, state, reason, message);

-- How many recipients there are of each kind; kept by the triggers below.
CREATE TABLE tallies (
	identity INTEGER NOT NULL,
	state    TEXT NOT NULL,
	reason   TEXT NOT NULL,
	n        INTEGER NOT NULL,
	PRIMARY KEY (identity, state, reason)
) STRICT, WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER recipients_added AFTER INSERT ON recipients BEGIN
	INSERT INTO tallies (identity, state, reason, n) VALUES (NEW.identity, NEW.state, NEW.reason, 1)
		ON CONFLICT DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER recipients_moved AFTER UPDATE OF state, reason ON recipients BEGIN
	UPDATE tallies SET n = n - 1
		WHERE identity = OLD.identity AND state = OLD.state AND reason = OLD.reason;
	INSERT INTO tallies (identity, state, reason, n) VALUES (NEW.identity, NEW.state, NEW.reason, 1)
		ON CONFLICT DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER recipients_removed AFTER DELETE ON recipients BEGIN
	UPDATE tallies SET n = n - 1
		WHERE identity = OLD.identity AND state = OLD.state AND reason = OLD.reason;
END;
-- +goose StatementEnd

-- Originals never change.
-- +goose StatementBegin
CREATE TRIGGER chunks_unchanged BEFORE UPDATE ON chunks BEGIN
	SELECT RAISE(ABORT, 'original bytes never change');
END;
-- +goose StatementEnd

-- The review log: append-only, each entry with the hash of the one before in its own.
CREATE TABLE review_log (
	n          INTEGER PRIMARY KEY,         -- 1, 2, 3 … without a gap
	time       INTEGER NOT NULL,
	id         TEXT NOT NULL,               -- of the message
	local      TEXT NOT NULL,               -- recipient
	domain     TEXT NOT NULL,
	action     TEXT NOT NULL,
	from_state TEXT NOT NULL,
	into_state TEXT NOT NULL,
	before     TEXT NOT NULL,
	after      TEXT NOT NULL,
	actor      TEXT NOT NULL,
	reason     TEXT NOT NULL,
	codes      TEXT NOT NULL,
	place      TEXT NOT NULL,
	hash       BLOB NOT NULL
) STRICT;

CREATE INDEX review_log_by_id ON review_log (id);

-- +goose StatementBegin
CREATE TRIGGER review_log_appended BEFORE INSERT ON review_log
WHEN NEW.n IS NOT (SELECT coalesce(max(n), 0) + 1 FROM review_log) BEGIN
	SELECT RAISE(ABORT, 'the review log is only appended to');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER review_log_unchanged BEFORE UPDATE ON review_log BEGIN
	SELECT RAISE(ABORT, 'the review log is only appended to');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER review_log_kept BEFORE DELETE ON review_log BEGIN
	SELECT RAISE(ABORT, 'the review log is only appended to');
END;
-- +goose StatementEnd

-- One-time passes of released messages; only the hash of a token is here.
CREATE TABLE tokens (
	hash    BLOB PRIMARY KEY,
	id      TEXT NOT NULL,                  -- of the message
	expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_by_expiry ON tokens (expires);
