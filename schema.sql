-- Tables of the Worker's D1 database. Re-runnable: every statement leaves what exists as it is.
-- Times are epoch milliseconds, UTC; ranges are half-open.

-- What of each point is known. end_ms stands before start_ms in the key because charts ask for the
-- newest data: the segments that end before the range asked for are never looked at.
CREATE TABLE IF NOT EXISTS cache_segments (
  site TEXT NOT NULL,
  point TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  fetched_ms INTEGER NOT NULL,
  object_key TEXT NOT NULL,      -- empty: known to have no samples
  etag TEXT NOT NULL,
  offset INTEGER NOT NULL,       -- bytes of the object
  length INTEGER NOT NULL,
  raw_length INTEGER NOT NULL,   -- bytes of the samples' text
  samples INTEGER NOT NULL,
  crc INTEGER NOT NULL,
  grow INTEGER NOT NULL,
  data_crc INTEGER NOT NULL,
  frames TEXT NOT NULL,          -- frame directory, JSON
  expires_ms INTEGER NOT NULL,   -- helps the clean-up; expiry is judged from fetched_ms when reading
  PRIMARY KEY (site, point, end_ms, start_ms)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS cache_segments_by_object ON cache_segments (object_key);
CREATE INDEX IF NOT EXISTS cache_segments_by_expiry ON cache_segments (expires_ms);

-- One row for each object in R2.
CREATE TABLE IF NOT EXISTS cache_metadata (
  object_key TEXT PRIMARY KEY,
  site TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  points INTEGER NOT NULL,
  samples INTEGER NOT NULL,
  original_size INTEGER NOT NULL,
  compressed_size INTEGER NOT NULL,
  compression_ratio REAL NOT NULL,
  hits INTEGER NOT NULL DEFAULT 0,
  created_ms INTEGER NOT NULL,
  last_access_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS cache_metadata_by_expiry ON cache_metadata (expires_ms);
CREATE INDEX IF NOT EXISTS cache_metadata_by_site ON cache_metadata (site);

-- When a site's cache was last purged: what was fetched before is not stored any more.
CREATE TABLE IF NOT EXISTS cache_purges (
  site TEXT PRIMARY KEY,
  purged_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who is fetching what.
CREATE TABLE IF NOT EXISTS fetch_leases (
  lease_id TEXT PRIMARY KEY,
  site TEXT NOT NULL,
  points TEXT NOT NULL,          -- JSON array
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS fetch_leases_by_site ON fetch_leases (site, expires_ms);
