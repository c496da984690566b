-- A follow goes on from what an earlier one of the site has left, which was fetched before it began.
ALTER TABLE site_follows ADD COLUMN trusted_ms INTEGER NOT NULL DEFAULT 0;

UPDATE site_follows SET trusted_ms = begun_ms;
