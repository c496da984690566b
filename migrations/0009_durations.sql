-- Durations and ages of jobs are never negative: a machine's clock may have been set back.

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
