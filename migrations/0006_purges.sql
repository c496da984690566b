-- Purges cut segments, marks say what was purged, and objects outlive their last segment.
ALTER TABLE cache_segments ADD COLUMN is_cut INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cache_metadata ADD COLUMN orphaned_ms INTEGER;

CREATE INDEX IF NOT EXISTS cache_metadata_orphaned ON cache_metadata (orphaned_ms)
  WHERE orphaned_ms IS NOT NULL;

ALTER TABLE cache_purges RENAME TO old_cache_purges;

CREATE TABLE IF NOT EXISTS cache_purges (
  site TEXT NOT NULL,
  point TEXT NOT NULL,           -- empty: all of the site
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  purged_ms INTEGER NOT NULL,
  PRIMARY KEY (site, point, start_ms, end_ms)
) STRICT, WITHOUT ROWID;

-- Marks of before stood for all of a site: a fetch under way must not bring back what was purged.
INSERT INTO cache_purges (site, point, start_ms, end_ms, purged_ms)
SELECT site, '', -8640000000000000, 8640000000000000, purged_ms FROM old_cache_purges;

DROP TABLE old_cache_purges;
