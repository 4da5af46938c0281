-- +goose Up

-- What recipients are held for, each once: few rows.
CREATE TABLE causes (
	id       INTEGER PRIMARY KEY,
	reason   TEXT NOT NULL,                 -- "" for one that was never held
	provider TEXT NOT NULL,
	rule     TEXT NOT NULL,
	codes    TEXT NOT NULL,                 -- with a space between
	UNIQUE (reason, provider, rule, codes)
) STRICT;

-- Predicted replies. They may name the domain, so they are kept apart.
CREATE TABLE replies (
	id   INTEGER PRIMARY KEY,
	text TEXT NOT NULL UNIQUE
) STRICT;

INSERT INTO causes (reason, provider, rule, codes)
	SELECT DISTINCT reason, provider, rule, codes FROM recipients;
INSERT INTO replies (text) SELECT DISTINCT reply FROM recipients;

CREATE TABLE recipients_2 (
	message  INTEGER NOT NULL REFERENCES messages (seq),
	n        INTEGER NOT NULL,              -- 0, 1, 2 … in the envelope's order
	identity INTEGER NOT NULL,              -- its message's
	local    TEXT NOT NULL,
	domain   TEXT NOT NULL,
	state    TEXT NOT NULL CHECK (state IN ('held', 'queued', 'delivered', 'bounced', 'discarded')),
	cause    INTEGER NOT NULL,              -- of causes
	reply    INTEGER NOT NULL,              -- of replies
	changed  INTEGER NOT NULL,
	PRIMARY KEY (message, n)
) STRICT, WITHOUT ROWID;

INSERT INTO recipients_2 (message, n, identity, local, domain, state, cause, reply, changed)
	SELECT r.message, r.n, r.identity, r.local, r.domain, r.state, c.id, p.id, r.changed
	FROM recipients r
	JOIN causes c ON c.reason = r.reason AND c.provider = r.provider AND c.rule = r.rule AND c.codes = r.codes
	JOIN replies p ON p.text = r.reply
	ORDER BY r.message, r.n;

DROP TABLE recipients;
ALTER TABLE recipients_2 RENAME TO recipients;

CREATE INDEX recipients_by_state ON recipients (state, message);
CREATE INDEX recipients_by_cause ON recipients (state, cause, message);
CREATE INDEX recipients_by_identity ON recipients (identity, state, cause, message);

-- How many recipients there are of each kind, where there are any; kept by the
-- triggers below.
DROP TABLE tallies;
CREATE TABLE tallies (
	identity INTEGER NOT NULL,
	state    TEXT NOT NULL,
	cause    INTEGER NOT NULL,
	n        INTEGER NOT NULL,
	PRIMARY KEY (identity, state, cause)
) STRICT, WITHOUT ROWID;

INSERT INTO tallies (identity, state, cause, n)
	SELECT identity, state, cause, count(*) FROM recipients GROUP BY identity, state, cause;

-- +goose StatementBegin
CREATE TRIGGER recipients_added AFTER INSERT ON recipients BEGIN
	INSERT INTO tallies (identity, state, cause, n) VALUES (NEW.identity, NEW.state, NEW.cause, 1)
		ON CONFLICT DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER recipients_moved AFTER UPDATE OF state, cause ON recipients
WHEN OLD.state <> NEW.state OR OLD.cause <> NEW.cause BEGIN
	UPDATE tallies SET n = n - 1
		WHERE identity = OLD.identity AND state = OLD.state AND cause = OLD.cause;
	DELETE FROM tallies
		WHERE identity = OLD.identity AND state = OLD.state AND cause = OLD.cause AND n = 0;
	INSERT INTO tallies (identity, state, cause, n) VALUES (NEW.identity, NEW.state, NEW.cause, 1)
		ON CONFLICT DO UPDATE SET n = n + 1;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER recipients_removed AFTER DELETE ON recipients BEGIN
	UPDATE tallies SET n = n - 1
		WHERE identity = OLD.identity AND state = OLD.state AND cause = OLD.cause;
	DELETE FROM tallies
		WHERE identity = OLD.identity AND state = OLD.state AND cause = OLD.cause AND n = 0;
END;
-- +goose StatementEnd

-- When the sender was told that the message is held.
ALTER TABLE messages ADD COLUMN noticed INTEGER;

CREATE INDEX messages_unnoticed ON messages (seq)
	WHERE noticed IS NULL AND finished IS NULL AND NOT (mail_local = '' AND mail_domain = '');
CREATE INDEX messages_by_size ON messages (size);

-- The index of words: rowid is messages.seq, grams are what grams.go makes of the
-- message. It may lag behind the messages, by the newest.
CREATE VIRTUAL TABLE search USING fts5 (
	grams, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
);

-- Messages held for another cause since they were indexed.
CREATE TABLE stale (
	message INTEGER PRIMARY KEY
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER recipients_reassessed AFTER UPDATE OF cause ON recipients WHEN OLD.cause <> NEW.cause BEGIN
	INSERT OR IGNORE INTO stale (message) VALUES (NEW.message);
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER messages_removed AFTER DELETE ON messages BEGIN
	DELETE FROM search WHERE rowid = OLD.seq;
	DELETE FROM stale WHERE message = OLD.seq;
END;
-- +goose StatementEnd
