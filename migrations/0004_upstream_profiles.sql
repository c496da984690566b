-- Calls by point may give other samples than pages do.
ALTER TABLE cache_segments ADD COLUMN is_by_point INTEGER NOT NULL DEFAULT 0;

-- What has been learned of the upstream, for each site.
CREATE TABLE IF NOT EXISTS upstream_profiles (
  upstream TEXT NOT NULL,        -- base URL
  site TEXT NOT NULL,
  profile TEXT NOT NULL,         -- JSON
  claimed_ms INTEGER NOT NULL,   -- when somebody last began to compare the two ways of asking
  updated_ms INTEGER NOT NULL,
  PRIMARY KEY (upstream, site)
) STRICT, WITHOUT ROWID;
