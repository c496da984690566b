-- Blocks: all points of a site over a range, one object each.
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
  PRIMARY KEY (site, end_ms, start_ms, object_key)
) STRICT, WITHOUT ROWID;
