-- Tables of the Worker's D1 database. Re-runnable: every statement leaves what exists as it is.
-- Times are epoch milliseconds, UTC; ranges are half-open.

-- Segments: one point over one range that is known. end_ms stands before start_ms in the key because
-- charts ask for the newest data: a query skips the segments that end before its range.
CREATE TABLE IF NOT EXISTS cache_segments (
  site TEXT NOT NULL,
  point TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  fetched_ms INTEGER NOT NULL,
  object_key TEXT NOT NULL,      -- empty: known to have no samples; rows/...: the samples are in data
  object_etag TEXT NOT NULL,     -- empty: there is no object
  offset INTEGER NOT NULL,       -- bytes of the object
  stored_bytes INTEGER NOT NULL,
  text_bytes INTEGER NOT NULL,   -- bytes of the samples' text
  samples INTEGER NOT NULL,
  crc INTEGER NOT NULL,
  crc_growth INTEGER NOT NULL,
  data_crc INTEGER NOT NULL,
  frames TEXT NOT NULL,          -- frame directory, JSON
  expires_ms INTEGER NOT NULL,   -- helps the clean-up; expiry is judged from fetched_ms when reading
  is_by_point INTEGER NOT NULL DEFAULT 0,  -- came of calls by point; else of pages: raw samples
  is_cut INTEGER NOT NULL DEFAULT 0,       -- its frames reach beyond its range: the rest was purged
  data TEXT,                     -- of a sliver: its series, base64; null where it lies in an object
  levels TEXT,                   -- levels in the object and their directories, JSON; null: none
  PRIMARY KEY (site, point, end_ms, start_ms)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS cache_segments_in_objects ON cache_segments (object_key)
  WHERE object_etag <> '';
CREATE INDEX IF NOT EXISTS cache_segments_by_expiry ON cache_segments (expires_ms);

-- One row per object in R2.
CREATE TABLE IF NOT EXISTS cache_metadata (
  object_key TEXT PRIMARY KEY,
  site TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  points INTEGER NOT NULL,
  samples INTEGER NOT NULL,
  text_bytes INTEGER NOT NULL,
  stored_bytes INTEGER NOT NULL,
  compression_ratio REAL NOT NULL,
  hits INTEGER NOT NULL DEFAULT 0,
  created_ms INTEGER NOT NULL,
  last_access_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  orphaned_ms INTEGER            -- when it was first seen without a segment; null: not yet
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS cache_metadata_by_expiry ON cache_metadata (expires_ms);
CREATE INDEX IF NOT EXISTS cache_metadata_by_site ON cache_metadata (site);
CREATE INDEX IF NOT EXISTS cache_metadata_by_creation ON cache_metadata (created_ms);
CREATE INDEX IF NOT EXISTS cache_metadata_orphaned ON cache_metadata (orphaned_ms)
  WHERE orphaned_ms IS NOT NULL;

-- Sums over cache_metadata; every insert and delete there keeps them, so statistics need no scan.
CREATE TABLE IF NOT EXISTS cache_totals (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  objects INTEGER NOT NULL,
  samples INTEGER NOT NULL,
  text_bytes INTEGER NOT NULL,
  stored_bytes INTEGER NOT NULL,
  counted_ms INTEGER NOT NULL    -- when they were last counted from the rows themselves
) STRICT;

-- Blocks: all points of a site over a range, one object each. Those that are gone stay for who still reads them.
CREATE TABLE IF NOT EXISTS site_blocks (
  site TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  object_key TEXT NOT NULL,
  object_etag TEXT NOT NULL,
  level INTEGER NOT NULL,        -- how often merged, by its length: 0 to 4
  fetched_ms INTEGER NOT NULL,   -- when the latest fetch began that it is known from
  points INTEGER NOT NULL,       -- with samples
  samples INTEGER NOT NULL,
  stored_bytes INTEGER NOT NULL, -- bytes of the object
  directory_offset INTEGER NOT NULL,         -- where the series end
  foot_offset INTEGER NOT NULL,  -- the end of the directory, with which reading begins
  foot_bytes INTEGER NOT NULL,
  foot_crc INTEGER NOT NULL,
  cut_ms INTEGER NOT NULL DEFAULT -1,        -- purges up to this instant have been carried out
  gone_ms INTEGER,               -- when another took its place, or it was dropped or lost; null: it is read
  is_once INTEGER NOT NULL DEFAULT 0,        -- 1: fetched for some request, 0: read by a follow, whose rounds read again what may change
  last_access_ms INTEGER NOT NULL DEFAULT 0, -- as it was last noted; 0: never
  PRIMARY KEY (site, end_ms, start_ms, object_key)
) STRICT, WITHOUT ROWID;

-- What was purged, and when last: of data that were fetched before, this part is no longer stored.
CREATE TABLE IF NOT EXISTS cache_purges (
  site TEXT NOT NULL,
  point TEXT NOT NULL,           -- empty: all of the site
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  purged_ms INTEGER NOT NULL,
  PRIMARY KEY (site, point, start_ms, end_ms)
) STRICT, WITHOUT ROWID;

-- Leases: which request fetches which points over which range.
CREATE TABLE IF NOT EXISTS fetch_leases (
  lease_id TEXT PRIMARY KEY,
  site TEXT NOT NULL,
  points TEXT NOT NULL,          -- JSON array
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  begun_ms INTEGER NOT NULL DEFAULT 0,
  ends_ms INTEGER NOT NULL DEFAULT 0,          -- when the holder expects to have all of it
  is_background INTEGER NOT NULL DEFAULT 0,    -- 1: for a job; nobody else waits for it
  failure TEXT                                 -- JSON; the fetch has failed so
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS fetch_leases_by_site ON fetch_leases (site, expires_ms);

-- Queued requests. Chunks are made a few ahead (job_plans); those that are done add to the job's columns once, those that
-- are not are counted again at each change.
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
  error TEXT,
  error_class TEXT,              -- upstream, bad_request, storage, crash
  metadata TEXT NOT NULL,        -- JSON
  created_ms INTEGER NOT NULL,   -- also the instant at which the request is judged
  updated_ms INTEGER NOT NULL,
  started_ms INTEGER,
  completed_ms INTEGER,
  failed_ms INTEGER,
  cancelled_ms INTEGER,
  planned_estimated INTEGER NOT NULL DEFAULT 0,  -- samples of all chunks, those to be made included
  done_estimated INTEGER NOT NULL DEFAULT 0,     -- of the chunks that are done
  done_retries INTEGER NOT NULL DEFAULT 0,
  done_requests INTEGER NOT NULL DEFAULT 0,      -- upstream
  check_place INTEGER NOT NULL DEFAULT 0,        -- chunks that the check before the end has gone through
  check_found INTEGER NOT NULL DEFAULT 0,        -- those of them whose data had gone, in this pass
  check_passes INTEGER NOT NULL DEFAULT 0        -- passes that found some
) STRICT, WITHOUT ROWID;

-- The same request of the same owner is the same job while it is active.
CREATE UNIQUE INDEX IF NOT EXISTS queue_jobs_active ON queue_jobs (owner, request_hash)
  WHERE status IN ('queued', 'processing', 'retrying');
CREATE INDEX IF NOT EXISTS queue_jobs_active_by_priority ON queue_jobs (priority)
  WHERE status IN ('queued', 'processing', 'retrying');
CREATE INDEX IF NOT EXISTS queue_jobs_by_creation ON queue_jobs (created_ms, job_id);
CREATE INDEX IF NOT EXISTS queue_jobs_by_owner ON queue_jobs (owner, created_ms, job_id);
CREATE INDEX IF NOT EXISTS queue_jobs_by_status ON queue_jobs (status, updated_ms);

-- A job's points, apart from its other columns, which change often; in parts, for a value has 2 MB at most.
CREATE TABLE IF NOT EXISTS job_points (
  job_id TEXT NOT NULL,
  first_point INTEGER NOT NULL,
  points_count INTEGER NOT NULL,
  points TEXT NOT NULL,          -- JSON array, in the order of the request
  PRIMARY KEY (job_id, first_point)
) STRICT, WITHOUT ROWID;

-- How a job is cut into chunks, of which only a few are made ahead.
CREATE TABLE IF NOT EXISTS job_plans (
  job_id TEXT PRIMARY KEY,
  bounds TEXT NOT NULL,          -- JSON array: where groups of points begin, and the last one ends
  edges TEXT NOT NULL,           -- JSON array: where parts of the range begin, and the last one ends
  samples_per_day REAL NOT NULL  -- of one point, estimated
) STRICT, WITHOUT ROWID;

-- How far each queue has come: a message merely waits as long as none that was sent much later has been dealt with.
CREATE TABLE IF NOT EXISTS chunk_queues (
  priority TEXT PRIMARY KEY,
  reached_ms INTEGER NOT NULL,   -- when the latest of the messages was sent whose chunks were claimed
  claimed_ms INTEGER NOT NULL    -- when a chunk was last claimed
) STRICT, WITHOUT ROWID;

-- Results of large jobs as one object each: all of the answer but its end, so that a download is one
-- read. The row comes first, so that a purge finds a result that is being made.
CREATE TABLE IF NOT EXISTS job_results (
  job_id TEXT PRIMARY KEY,
  site TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  object_key TEXT NOT NULL,
  expires_ms INTEGER NOT NULL,   -- below 0: purged, and when
  object_etag TEXT,              -- null: it is being made
  answer_etag TEXT NOT NULL DEFAULT '',
  stored_bytes INTEGER NOT NULL DEFAULT 0,   -- bytes of the object
  text_bytes INTEGER NOT NULL DEFAULT 0,     -- bytes of its text
  crc INTEGER NOT NULL DEFAULT 0,            -- CRC-32 of its text
  glue TEXT NOT NULL DEFAULT '',             -- text that follows
  samples INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS job_results_by_expiry ON job_results (expires_ms);
CREATE INDEX IF NOT EXISTS job_results_by_site ON job_results (site);

-- Parts of jobs, one queue message each. The one after a job's last is the check before its end.
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
  text_bytes INTEGER NOT NULL DEFAULT 0,
  upstream_requests INTEGER NOT NULL DEFAULT 0,
  error TEXT,
  error_class TEXT,
  failed_ms INTEGER,
  PRIMARY KEY (job_id, chunk)
) STRICT, WITHOUT ROWID;

-- Of a job that is under way: a few.
CREATE INDEX IF NOT EXISTS job_chunks_open ON job_chunks (job_id) WHERE status <> 'completed';
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

-- Jobs in job_history by how they ended; the archiving step keeps the counts.
CREATE TABLE IF NOT EXISTS job_totals (
  status TEXT PRIMARY KEY,
  jobs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- API keys. scripts/api_key.py makes and revokes them.
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

-- Requests for samples: each, or those ANALYTICS_SAMPLE_RATE picks. Kept for 30 days.
CREATE TABLE IF NOT EXISTS request_analytics (
  id INTEGER PRIMARY KEY,
  request_id TEXT NOT NULL,
  time_ms INTEGER NOT NULL,      -- when it came in
  site TEXT NOT NULL,
  points_count INTEGER NOT NULL,
  route_type TEXT NOT NULL,      -- direct, cached, queued
  cache_status TEXT NOT NULL,    -- hit, partial, miss, bypass, stale; none: no samples were sent
  format TEXT NOT NULL,
  estimated_size INTEGER NOT NULL,           -- samples, by the routing's rule of thumb
  actual_size INTEGER NOT NULL,              -- samples sent
  bytes INTEGER NOT NULL,        -- of the body
  upstream_requests INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  status INTEGER NOT NULL,       -- HTTP
  success INTEGER NOT NULL,      -- 1: a status below 400, and the whole body
  error TEXT,                    -- class
  weight INTEGER NOT NULL,       -- requests the row stands for
  missing_size INTEGER NOT NULL DEFAULT 0    -- samples, estimated, that were not known
) STRICT;

CREATE INDEX IF NOT EXISTS request_analytics_by_time ON request_analytics (time_ms);

-- The same by hour and route, kept in the batch that inserts the rows: statistics read these.
CREATE TABLE IF NOT EXISTS request_stats_hourly (
  hour_ms INTEGER NOT NULL,
  route_type TEXT NOT NULL,
  requests INTEGER NOT NULL,
  successes INTEGER NOT NULL,
  cache_hits INTEGER NOT NULL,   -- hit, stale
  duration_ms_sum INTEGER NOT NULL,
  samples INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  upstream_requests INTEGER NOT NULL,
  PRIMARY KEY (hour_ms, route_type)
) STRICT, WITHOUT ROWID;

-- How many requests took how long: exact below 64 ms, above that in steps of at most 1/32.
CREATE TABLE IF NOT EXISTS request_durations_hourly (
  hour_ms INTEGER NOT NULL,
  route_type TEXT NOT NULL,
  duration_ms INTEGER NOT NULL,  -- the longest that counts here
  requests INTEGER NOT NULL,
  PRIMARY KEY (hour_ms, route_type, duration_ms)
) STRICT, WITHOUT ROWID;

-- How many requests may go upstream in a minute, over all isolates. One row.
CREATE TABLE IF NOT EXISTS upstream_quota (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  minute_ms INTEGER NOT NULL,    -- the minute `used` counts
  used INTEGER NOT NULL,
  used_queued INTEGER NOT NULL,  -- by jobs
  allowed INTEGER NOT NULL,      -- a minute; falls when the upstream says 429, and recovers
  granted INTEGER NOT NULL,      -- by the last change
  fell_ms INTEGER NOT NULL,
  closed_until_ms INTEGER NOT NULL
) STRICT;

-- Samples that were fetched for each key of late: an allowance that time gives back.
CREATE TABLE IF NOT EXISTS key_allowances (
  key_id TEXT NOT NULL PRIMARY KEY,
  used REAL NOT NULL,            -- samples in use at updated_ms
  updated_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What has been learned of the upstream, for each site.
CREATE TABLE IF NOT EXISTS upstream_profiles (
  upstream TEXT NOT NULL,        -- base URL
  site TEXT NOT NULL,
  profile TEXT NOT NULL,         -- JSON
  claimed_ms INTEGER NOT NULL,   -- when somebody last began to compare the two ways of asking
  updated_ms INTEGER NOT NULL,
  PRIMARY KEY (upstream, site)
) STRICT, WITHOUT ROWID;

-- Sites whose samples are read all the time: by rounds up to the present, and backwards from there.
CREATE TABLE IF NOT EXISTS site_follows (
  site TEXT PRIMARY KEY,
  since_ms INTEGER NOT NULL,
  every_ms INTEGER NOT NULL,
  every TEXT NOT NULL,           -- the same as it was put: 5m
  begun_ms INTEGER NOT NULL,
  next_ms INTEGER NOT NULL,      -- when the next round is due
  backfill_ms INTEGER NOT NULL DEFAULT 0,    -- nothing but rounds is read before
  read TEXT NOT NULL DEFAULT '[]',           -- JSON: ranges that need not be read again
  round_start_ms INTEGER,        -- what the last round read; null: there was none
  round_end_ms INTEGER,
  failures INTEGER NOT NULL DEFAULT 0,       -- rounds, since the last that did not fail
  backfill_failures INTEGER NOT NULL DEFAULT 0,
  error TEXT,                    -- of the last failure; null: none since
  pace REAL NOT NULL DEFAULT 0,  -- milliseconds of data read in one
  newest_ms INTEGER,             -- the newest sample
  days TEXT NOT NULL DEFAULT '{}',           -- JSON: pages and samples read by UTC day
  lease_id TEXT,                 -- whose it is while it is read
  lease_until_ms INTEGER NOT NULL DEFAULT 0,
  message_ms INTEGER NOT NULL,   -- when its queue message is to come
  sends INTEGER NOT NULL DEFAULT 0,          -- messages sent in vain
  trusted_ms INTEGER NOT NULL DEFAULT 0      -- when the oldest was fetched of what has been read
) STRICT, WITHOUT ROWID;

-- Where maintenance steps that go on in the next run have got to, and when the last run ended.
CREATE TABLE IF NOT EXISTS maintenance_state (
  step TEXT PRIMARY KEY,
  place TEXT NOT NULL,
  updated_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Views for operators: `wrangler d1 execute building-vitals-db --remote --command "SELECT ..."`.

DROP VIEW IF EXISTS v_active_jobs;
CREATE VIEW v_active_jobs AS
SELECT job_id, site, status, priority, progress, completed_chunks, total_chunks, points_count,
  estimated_size, samples_count, retry_count, upstream_requests, error,
  strftime('%Y-%m-%dT%H:%M:%SZ', created_ms / 1000, 'unixepoch') AS created_at,
  strftime('%Y-%m-%dT%H:%M:%SZ', started_ms / 1000, 'unixepoch') AS started_at,
  max(0, unixepoch() - created_ms / 1000) AS age_seconds,
  max(0, unixepoch() - updated_ms / 1000) AS silent_seconds
FROM queue_jobs
WHERE status IN ('queued', 'processing', 'retrying')
ORDER BY created_ms;

-- Of each site: its jobs, those in job_history too. Durations are of completed jobs.
DROP VIEW IF EXISTS v_job_performance;
CREATE VIEW v_job_performance AS
SELECT site, count(*) AS total_jobs,
  count(*) FILTER (WHERE status = 'completed') AS completed,
  count(*) FILTER (WHERE status = 'failed') AS failed,
  count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
  count(*) FILTER (WHERE status IN ('queued', 'processing', 'retrying')) AS active,
  round(1.0 * count(*) FILTER (WHERE status = 'completed')
    / max(1, count(*) FILTER (WHERE status IN ('completed', 'failed'))), 4) AS success_rate,
  round(avg(max(0, ended_ms - created_ms)) FILTER (WHERE status = 'completed'), 1) AS avg_duration_ms,
  max(max(0, ended_ms - created_ms)) FILTER (WHERE status = 'completed') AS max_duration_ms,
  round(avg(max(0, started_ms - created_ms)), 1) AS avg_wait_ms,
  sum(samples_count) AS samples, sum(data_size) AS data_size, sum(retry_count) AS retries,
  sum(upstream_requests) AS upstream_requests
FROM (
  SELECT site, status, created_ms, started_ms,
    coalesce(completed_ms, failed_ms, cancelled_ms) AS ended_ms,
    samples_count, data_size, retry_count, upstream_requests
  FROM queue_jobs
  UNION ALL
  SELECT site, status, created_ms, started_ms, ended_ms,
    samples_count, data_size, retry_count, upstream_requests
  FROM job_history
)
GROUP BY site ORDER BY site;

-- Of each site: what is stored, and how many of the last 24 hours' requests it answered.
DROP VIEW IF EXISTS v_cache_performance;
CREATE VIEW v_cache_performance AS
SELECT site, sum(objects) AS objects, sum(samples) AS samples, sum(text_bytes) AS text_bytes,
  sum(stored_bytes) AS stored_bytes,
  round(1.0 * sum(text_bytes) / max(1, sum(stored_bytes)), 3) AS compression_ratio,
  sum(object_hits) AS object_hits,
  strftime('%Y-%m-%dT%H:%M:%SZ', max(last_access_ms) / 1000, 'unixepoch') AS last_access_at,
  sum(requests) AS requests, sum(cache_hits) AS cache_hits,
  round(1.0 * sum(cache_hits) / max(1, sum(requests)), 4) AS hit_rate
FROM (
  SELECT site, 1 AS objects, samples, text_bytes, stored_bytes, hits AS object_hits,
    last_access_ms, 0 AS requests, 0 AS cache_hits
  FROM cache_metadata
  UNION ALL
  SELECT site, 0, 0, 0, 0, 0, NULL, weight,
    CASE WHEN cache_status IN ('hit', 'stale') THEN weight ELSE 0 END
  FROM request_analytics
  WHERE time_ms > unixepoch() * 1000 - 86400000 AND route_type <> 'direct'
)
GROUP BY site ORDER BY site;

-- Of each route: the requests of the last 24 hours, counted from the hour in which those begin.
DROP VIEW IF EXISTS v_request_stats;
CREATE VIEW v_request_stats AS
SELECT s.route_type, s.count, s.avg_duration, p.p95_duration, s.cache_hits, s.success,
  round(1.0 * s.success / s.count, 4) AS success_rate
FROM (
  SELECT route_type, sum(requests) AS count,
    round(1.0 * sum(duration_ms_sum) / sum(requests), 2) AS avg_duration,
    sum(cache_hits) AS cache_hits, sum(successes) AS success
  FROM request_stats_hourly
  WHERE hour_ms > unixepoch() * 1000 - 90000000
  GROUP BY route_type
) s
JOIN (
  SELECT route_type, min(duration_ms) AS p95_duration
  FROM (
    SELECT route_type, duration_ms,
      sum(requests) OVER (PARTITION BY route_type ORDER BY duration_ms) AS faster,
      sum(requests) OVER (PARTITION BY route_type) AS total
    FROM (
      SELECT route_type, duration_ms, sum(requests) AS requests
      FROM request_durations_hourly
      WHERE hour_ms > unixepoch() * 1000 - 90000000
      GROUP BY route_type, duration_ms
    )
  )
  WHERE faster * 100 >= total * 95
  GROUP BY route_type
) p ON p.route_type = s.route_type
ORDER BY s.route_type;
