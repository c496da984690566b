-- Columns by the names that the code has: text_bytes before compression, stored_bytes after it.
DROP VIEW IF EXISTS v_cache_performance;

ALTER TABLE cache_segments RENAME COLUMN etag TO object_etag;
ALTER TABLE cache_segments RENAME COLUMN length TO stored_bytes;
ALTER TABLE cache_segments RENAME COLUMN raw_length TO text_bytes;
ALTER TABLE cache_segments RENAME COLUMN grow TO crc_growth;
ALTER TABLE cache_metadata RENAME COLUMN original_size TO text_bytes;
ALTER TABLE cache_metadata RENAME COLUMN compressed_size TO stored_bytes;
ALTER TABLE cache_totals RENAME COLUMN original_size TO text_bytes;
ALTER TABLE cache_totals RENAME COLUMN compressed_size TO stored_bytes;
ALTER TABLE job_chunks RENAME COLUMN raw_bytes TO text_bytes;
ALTER TABLE job_results RENAME COLUMN etag TO object_etag;
ALTER TABLE job_results RENAME COLUMN tag TO answer_etag;
ALTER TABLE job_results RENAME COLUMN size TO stored_bytes;
ALTER TABLE job_results RENAME COLUMN raw_length TO text_bytes;
ALTER TABLE queue_jobs DROP COLUMN cache_reference;

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
