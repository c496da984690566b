-- Levels lie in the object beside the samples; rows from before have none until they are compacted.
ALTER TABLE cache_segments ADD COLUMN levels TEXT;
