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

-- Queued requests. The chunks are the truth: what a job says of them is counted anew at each change.
CREATE TABLE IF NOT EXISTS queue_jobs (
  job_id TEXT PRIMARY KEY,
  request_hash TEXT NOT NULL,    -- SHA-256 of the canonical request
  owner TEXT NOT NULL,           -- identity of the key that asked
  site TEXT NOT NULL,
  points_count INTEGER NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  priority TEXT NOT NULL,        -- low, normal, high
  status TEXT NOT NULL,          -- queued, processing, retrying, completed, failed, cancelled
  progress INTEGER NOT NULL DEFAULT 0,
  total_chunks INTEGER NOT NULL,
  completed_chunks INTEGER NOT NULL DEFAULT 0,
  estimated_size INTEGER NOT NULL,           -- samples, by the routing's rule of thumb
  samples_count INTEGER NOT NULL DEFAULT 0,
  data_size INTEGER NOT NULL DEFAULT 0,      -- bytes of the samples' JSON text
  retry_count INTEGER NOT NULL DEFAULT 0,
  upstream_requests INTEGER NOT NULL DEFAULT 0,
  cache_reference TEXT NOT NULL,             -- prefix of the objects its result lies in
  error TEXT,
  error_class TEXT,              -- upstream, bad_request, storage, crash
  metadata TEXT NOT NULL,        -- JSON
  created_ms INTEGER NOT NULL,   -- also the moment the request is judged at
  updated_ms INTEGER NOT NULL,
  started_ms INTEGER,
  completed_ms INTEGER,
  failed_ms INTEGER,
  cancelled_ms INTEGER
) STRICT, WITHOUT ROWID;

-- The same request of the same owner is the same job while it is active.
CREATE UNIQUE INDEX IF NOT EXISTS queue_jobs_active ON queue_jobs (owner, request_hash)
  WHERE status IN ('queued', 'processing', 'retrying');
CREATE INDEX IF NOT EXISTS queue_jobs_active_by_priority ON queue_jobs (priority)
  WHERE status IN ('queued', 'processing', 'retrying');
CREATE INDEX IF NOT EXISTS queue_jobs_by_creation ON queue_jobs (created_ms, job_id);
CREATE INDEX IF NOT EXISTS queue_jobs_by_owner ON queue_jobs (owner, created_ms, job_id);

-- A job's points, apart from what changes often: up to a megabyte.
CREATE TABLE IF NOT EXISTS job_points (
  job_id TEXT PRIMARY KEY,
  points TEXT NOT NULL           -- JSON array, in the order of the request
) STRICT, WITHOUT ROWID;

-- Parts of jobs, one queue message each.
CREATE TABLE IF NOT EXISTS job_chunks (
  job_id TEXT NOT NULL,
  chunk INTEGER NOT NULL,
  first_point INTEGER NOT NULL,  -- its part of the job's points
  points_count INTEGER NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  estimated INTEGER NOT NULL,    -- samples
  status TEXT NOT NULL,          -- queued, processing, completed, failed
  progress REAL NOT NULL DEFAULT 0,          -- share that has been fetched; never falls
  attempts INTEGER NOT NULL DEFAULT 0,
  sends INTEGER NOT NULL DEFAULT 1,          -- messages sent for the present attempt
  dead_letters INTEGER NOT NULL DEFAULT 0,
  sent_ms INTEGER NOT NULL,
  next_ms INTEGER NOT NULL,      -- not to be tried before
  due_ms INTEGER,                -- when maintenance is to send it again unless something happens
  claim TEXT,                    -- whose it is while it is processed
  claim_expires_ms INTEGER,
  samples INTEGER NOT NULL DEFAULT 0,
  raw_bytes INTEGER NOT NULL DEFAULT 0,
  upstream_requests INTEGER NOT NULL DEFAULT 0,
  error TEXT,
  error_class TEXT,
  failed_ms INTEGER,
  PRIMARY KEY (job_id, chunk)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS job_chunks_due ON job_chunks (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX IF NOT EXISTS job_chunks_failed ON job_chunks (failed_ms) WHERE failed_ms IS NOT NULL;

-- Jobs that ended long ago.
CREATE TABLE IF NOT EXISTS job_history (
  job_id TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  site TEXT NOT NULL,
  points_count INTEGER NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  priority TEXT NOT NULL,
  status TEXT NOT NULL,
  total_chunks INTEGER NOT NULL,
  estimated_size INTEGER NOT NULL,
  samples_count INTEGER NOT NULL,
  data_size INTEGER NOT NULL,
  retry_count INTEGER NOT NULL,
  upstream_requests INTEGER NOT NULL,
  error TEXT,
  error_class TEXT,
  metadata TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  started_ms INTEGER,
  ended_ms INTEGER NOT NULL,
  archived_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS job_history_by_end ON job_history (ended_ms);

-- Who may ask. Keys are made and revoked by scripts/api_key.py.
CREATE TABLE IF NOT EXISTS api_keys (
  key_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  key_hash TEXT NOT NULL UNIQUE, -- SHA-256 of the key, hexadecimal; the key itself is nowhere
  role TEXT NOT NULL CHECK (role IN ('reader', 'admin')),
  sites TEXT NOT NULL CHECK (sites = '*' OR json_type(sites) = 'array'),
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER,            -- null: never
  revoked_ms INTEGER,            -- null: not
  last_used_ms INTEGER           -- to the hour; null: never
) STRICT, WITHOUT ROWID;
