-- Sites whose samples are read all the time.
CREATE TABLE site_follows (
  site TEXT PRIMARY KEY,
  since_ms INTEGER NOT NULL,
  every_ms INTEGER NOT NULL,
  every TEXT NOT NULL,
  begun_ms INTEGER NOT NULL,
  next_ms INTEGER NOT NULL,
  backfill_ms INTEGER NOT NULL DEFAULT 0,
  read TEXT NOT NULL DEFAULT '[]',
  round_start_ms INTEGER,
  round_end_ms INTEGER,
  failures INTEGER NOT NULL DEFAULT 0,
  backfill_failures INTEGER NOT NULL DEFAULT 0,
  error TEXT,
  pace REAL NOT NULL DEFAULT 0,
  newest_ms INTEGER,
  days TEXT NOT NULL DEFAULT '{}',
  lease_id TEXT,
  lease_until_ms INTEGER NOT NULL DEFAULT 0,
  message_ms INTEGER NOT NULL,
  sends INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
