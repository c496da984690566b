-- Small segments lie in their rows; those that lie in no object need no entry by object.
ALTER TABLE cache_segments ADD COLUMN data TEXT;

DROP INDEX IF EXISTS cache_segments_by_object;
CREATE INDEX IF NOT EXISTS cache_segments_in_objects ON cache_segments (object_key)
  WHERE object_etag <> '';
