-- +goose Up

-- The message is our report on TLS, which goes out whatever TLS policies demand.
ALTER TABLE relayed ADD COLUMN tls_report INTEGER NOT NULL DEFAULT 0;
