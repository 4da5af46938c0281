-- +goose Up

-- When the relay last tried a recipient; 0: it did not, or an older version did.
ALTER TABLE deliveries ADD COLUMN tried INTEGER NOT NULL DEFAULT 0;
