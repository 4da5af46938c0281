-- +goose Up

-- Times kept over a restart. Nanoseconds since 1970.
CREATE TABLE marks (
	name TEXT PRIMARY KEY,
	time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX messages_to_trim ON messages (finished) WHERE finished IS NOT NULL AND body IS NULL;
CREATE INDEX messages_by_identity ON messages (identity);
CREATE INDEX messages_by_evidence ON messages (evidence) WHERE evidence IS NOT NULL;

-- The last entry of the review log that was removed. Those up to it that are still
-- there are being removed.
CREATE TABLE review_log_base (
	one  INTEGER PRIMARY KEY CHECK (one = 1),
	n    INTEGER NOT NULL,
	hash BLOB NOT NULL
) STRICT;

INSERT INTO review_log_base VALUES (1, 0, zeroblob(32));

-- The last entry written.
CREATE TABLE review_log_head (
	one  INTEGER PRIMARY KEY CHECK (one = 1),
	n    INTEGER NOT NULL,
	hash BLOB NOT NULL
) STRICT;

INSERT INTO review_log_head SELECT 1, coalesce(max(n), 0),
	coalesce((SELECT hash FROM review_log ORDER BY n DESC LIMIT 1), zeroblob(32)) FROM review_log;

-- The base goes only forward, to an entry that is there, and only when the last
-- entry of the log says so.
-- +goose StatementBegin
CREATE TRIGGER review_log_base_moved BEFORE UPDATE ON review_log_base
WHEN NOT coalesce(NEW.one = OLD.one AND NEW.n > OLD.n
	AND NEW.hash = (SELECT hash FROM review_log WHERE n = NEW.n)
	AND (SELECT action = 'trim' AND place = lower(hex(NEW.hash)) AND n > NEW.n FROM review_log ORDER BY n DESC LIMIT 1), FALSE) BEGIN
	SELECT RAISE(ABORT, 'the review log is trimmed only with an entry that says so');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER review_log_base_kept BEFORE DELETE ON review_log_base BEGIN
	SELECT RAISE(ABORT, 'the review log is trimmed only with an entry that says so');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER review_log_base_one BEFORE INSERT ON review_log_base BEGIN
	SELECT RAISE(ABORT, 'the review log is trimmed only with an entry that says so');
END;
-- +goose StatementEnd

-- The head is the last entry of the log, and only goes forward.
-- +goose StatementBegin
CREATE TRIGGER review_log_head_moved BEFORE UPDATE ON review_log_head
WHEN NOT coalesce(NEW.one = OLD.one AND NEW.n > OLD.n
	AND NEW.n = (SELECT max(n) FROM review_log)
	AND NEW.hash = (SELECT hash FROM review_log WHERE n = NEW.n), FALSE) BEGIN
	SELECT RAISE(ABORT, 'the review log is only appended to');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER review_log_head_kept BEFORE DELETE ON review_log_head BEGIN
	SELECT RAISE(ABORT, 'the review log is only appended to');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER review_log_head_one BEFORE INSERT ON review_log_head BEGIN
	SELECT RAISE(ABORT, 'the review log is only appended to');
END;
-- +goose StatementEnd

-- What the base has passed may go, and nothing else.
DROP TRIGGER review_log_kept;

-- +goose StatementBegin
CREATE TRIGGER review_log_kept BEFORE DELETE ON review_log
WHEN OLD.n > coalesce((SELECT n FROM review_log_base), 0) BEGIN
	SELECT RAISE(ABORT, 'the review log is only appended to');
END;
-- +goose StatementEnd
