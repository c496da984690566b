-- Samples that were fetched for each key of late: an allowance that time gives back.
CREATE TABLE IF NOT EXISTS key_allowances (
  key_id TEXT NOT NULL PRIMARY KEY,
  used REAL NOT NULL,            -- samples in use at updated_ms
  updated_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
