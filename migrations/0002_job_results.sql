-- Results of large jobs as one object each, so that a download is one read.
CREATE TABLE IF NOT EXISTS job_results (
  job_id TEXT PRIMARY KEY,
  site TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  object_key TEXT NOT NULL,
  expires_ms INTEGER NOT NULL,
  etag TEXT,
  tag TEXT NOT NULL DEFAULT '',
  size INTEGER NOT NULL DEFAULT 0,
  raw_length INTEGER NOT NULL DEFAULT 0,
  crc INTEGER NOT NULL DEFAULT 0,
  glue TEXT NOT NULL DEFAULT '',
  samples INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS job_results_by_expiry ON job_results (expires_ms);
CREATE INDEX IF NOT EXISTS job_results_by_site ON job_results (site);
