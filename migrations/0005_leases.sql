-- A lease tells how long its holder still needs, for whom it fetches, and how its fetch failed.
ALTER TABLE fetch_leases ADD COLUMN begun_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fetch_leases ADD COLUMN ends_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fetch_leases ADD COLUMN is_background INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fetch_leases ADD COLUMN failure TEXT;
