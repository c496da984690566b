-- Chunks are made a few ahead; a job's columns are kept by differences.
ALTER TABLE queue_jobs ADD COLUMN planned_estimated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue_jobs ADD COLUMN done_estimated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue_jobs ADD COLUMN done_retries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue_jobs ADD COLUMN done_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue_jobs ADD COLUMN check_place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue_jobs ADD COLUMN check_found INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue_jobs ADD COLUMN check_passes INTEGER NOT NULL DEFAULT 0;

-- Jobs under way have all their chunks already.
UPDATE queue_jobs SET planned_estimated = c.planned, done_estimated = c.done,
  done_retries = c.retries, done_requests = c.requests
FROM (
  SELECT job_id, sum(estimated) AS planned,
    coalesce(sum(estimated) FILTER (WHERE status = 'completed'), 0) AS done,
    coalesce(sum(max(attempts - 1, 0)) FILTER (WHERE status = 'completed'), 0) AS retries,
    coalesce(sum(upstream_requests) FILTER (WHERE status = 'completed'), 0) AS requests
  FROM job_chunks GROUP BY job_id
) c
WHERE queue_jobs.job_id = c.job_id;

CREATE INDEX IF NOT EXISTS job_chunks_open ON job_chunks (job_id) WHERE status <> 'completed';

-- How a job is cut into chunks, of which only a few are made ahead.
CREATE TABLE IF NOT EXISTS job_plans (
  job_id TEXT PRIMARY KEY,
  bounds TEXT NOT NULL,          -- JSON array: where groups of points begin, and the last one ends
  edges TEXT NOT NULL,           -- JSON array: where parts of the range begin, and the last one ends
  samples_per_day REAL NOT NULL  -- of one point, estimated
) STRICT, WITHOUT ROWID;

-- How far each queue has come.
CREATE TABLE IF NOT EXISTS chunk_queues (
  priority TEXT PRIMARY KEY,
  reached_ms INTEGER NOT NULL,   -- when the latest of the messages was sent whose chunks were claimed
  claimed_ms INTEGER NOT NULL    -- when a chunk was last claimed
) STRICT, WITHOUT ROWID;

-- A job's points lie in parts: a value has 2 MB at most.
CREATE TABLE job_points_in_parts (
  job_id TEXT NOT NULL,
  first_point INTEGER NOT NULL,
  points_count INTEGER NOT NULL,
  points TEXT NOT NULL,          -- JSON array, in the order of the request
  PRIMARY KEY (job_id, first_point)
) STRICT, WITHOUT ROWID;
INSERT INTO job_points_in_parts (job_id, first_point, points_count, points)
SELECT job_id, 0, json_array_length(points), points FROM job_points;
DROP TABLE job_points;
ALTER TABLE job_points_in_parts RENAME TO job_points;
