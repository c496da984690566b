-- Blocks that no follow has read: their instants stay apart, and they go when nobody reads them.
ALTER TABLE site_blocks ADD COLUMN is_once INTEGER NOT NULL DEFAULT 0;
ALTER TABLE site_blocks ADD COLUMN last_access_ms INTEGER NOT NULL DEFAULT 0;
