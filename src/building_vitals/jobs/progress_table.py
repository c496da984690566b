"""
What a change of chunks does to their job: statements for the end of the same transaction.

Chunks that are done add to their job's columns once. The others are few, for they are made a few
ahead, and are counted again at each change: nothing here reads all chunks of a job.
"""

from __future__ import annotations

from building_vitals.jobs.model import ACTIVE, CHUNK_OPEN, CHUNKS_AHEAD, sql_list
from building_vitals.ports import Statement

_ACTIVE, _OPEN = sql_list(ACTIVE), sql_list(CHUNK_OPEN)

# Before a chunk is marked as done: its job gets what that adds. Nothing where it is done already.
_ADD = f"""
UPDATE queue_jobs SET
    completed_chunks = completed_chunks + (c.chunk < total_chunks),
    samples_count = samples_count + ?3, data_size = data_size + ?4,
    done_requests = done_requests + c.upstream_requests + ?5,
    done_retries = done_retries + max(c.attempts + ?6 - 1, 0),
    done_estimated = done_estimated + c.estimated
FROM job_chunks c
WHERE queue_jobs.job_id = ?1 AND c.job_id = ?1 AND c.chunk = ?2 AND c.status IN {_OPEN}
"""  # noqa: S608 - constants only

# Makes the next chunks of an active job of which none has failed: one, as long as nothing says that
# the site can be had at all, then a few ahead; after the last one is done, the check.
_MAKE = f"""
INSERT INTO job_chunks (
    job_id, chunk, first_point, points_count, start_ms, end_ms, estimated, status,
    sent_ms, next_ms, due_ms
)
WITH RECURSIVE state AS (
    SELECT
        coalesce((SELECT max(m.chunk) + 1 FROM job_chunks m WHERE m.job_id = ?1), 0) AS made,
        count(*) AS open, count(*) FILTER (WHERE o.status = 'failed') AS failed,
        count(*) FILTER (WHERE o.progress > 0) AS begun
    FROM job_chunks o INDEXED BY job_chunks_open WHERE o.job_id = ?1 AND o.status <> 'completed'
), plan AS (
    SELECT s.made, q.total_chunks AS total, q.start_ms, q.end_ms,
        min(
            q.total_chunks + (q.completed_chunks >= q.total_chunks),
            s.made - s.open + CASE
                WHEN s.begun > 0 OR q.completed_chunks > 0 OR EXISTS (
                    SELECT 1 FROM cache_segments k WHERE k.site = ?4 AND k.samples > 0
                ) THEN {CHUNKS_AHEAD} ELSE 1 END
        ) AS stop,
        p.bounds, p.edges, p.samples_per_day AS rate, json_array_length(p.edges) - 1 AS parts
    FROM state s CROSS JOIN queue_jobs q ON q.job_id = ?1
        LEFT JOIN job_plans p ON p.job_id = q.job_id
    WHERE s.failed = 0 AND q.status IN {_ACTIVE}
), numbers (n) AS (
    SELECT made FROM plan WHERE made < stop
    UNION ALL SELECT n + 1 FROM numbers, plan WHERE n + 1 < stop
), cut AS (
    SELECT n, rate, n = total AS is_check, start_ms AS all_start_ms, end_ms AS all_end_ms,
        bounds ->> (n / parts) AS first_point, bounds ->> (n / parts + 1) AS stop_point,
        edges ->> (n % parts) AS start_ms, edges ->> (n % parts + 1) AS end_ms
    FROM numbers, plan
)
SELECT ?1, n,
    CASE WHEN is_check THEN 0 ELSE first_point END,
    CASE WHEN is_check THEN 0 ELSE stop_point - first_point END,
    CASE WHEN is_check THEN all_start_ms ELSE start_ms END,
    CASE WHEN is_check THEN all_end_ms ELSE end_ms END,
    CASE WHEN is_check THEN 0 ELSE max(1, CAST(round(
        (stop_point - first_point) * (end_ms - start_ms) / 86400000.0 * rate
    ) AS INTEGER)) END,
    'queued', ?2, 0, ?3
FROM cut
RETURNING chunk
"""  # noqa: S608 - constants only

# Counts a job's chunks that are not done. Progress is weighted by size and stays below 100 to the
# end, which is when the check after the last chunk is done. With ?3 one that failed ends the job.
_RECOUNT = f"""
UPDATE queue_jobs SET
    status = CASE
        WHEN c.is_complete THEN 'completed'
        WHEN c.failed > 0 AND (?3 OR c.open = 0) THEN 'failed'
        WHEN c.waiting > 0 THEN 'retrying'
        WHEN c.started > 0 OR completed_chunks > 0 THEN 'processing'
        ELSE queue_jobs.status END,
    progress = max(progress, CASE WHEN c.is_complete THEN 100 ELSE
        min(99, (done_estimated + c.fetched) * 100 / max(1, planned_estimated)) END),
    retry_count = done_retries + c.retries, upstream_requests = done_requests + c.requests,
    error = (
        SELECT e.error FROM job_chunks e INDEXED BY job_chunks_open
        WHERE e.job_id = ?1 AND e.status <> 'completed' AND e.error IS NOT NULL
        ORDER BY e.status <> 'failed', e.chunk LIMIT 1
    ),
    error_class = (
        SELECT e.error_class FROM job_chunks e INDEXED BY job_chunks_open
        WHERE e.job_id = ?1 AND e.status <> 'completed' AND e.error IS NOT NULL
        ORDER BY e.status <> 'failed', e.chunk LIMIT 1
    ),
    started_ms = coalesce(
        started_ms, CASE WHEN c.started > 0 OR completed_chunks > 0 THEN ?2 END
    ),
    completed_ms = CASE WHEN c.is_complete THEN ?2 END,
    failed_ms = CASE
        WHEN NOT c.is_complete AND c.failed > 0 AND (?3 OR c.open = 0) THEN ?2 END,
    updated_ms = ?2
FROM (
    SELECT
        count(*) FILTER (WHERE o.status = 'failed') AS failed,
        count(*) FILTER (WHERE o.status IN {_OPEN}) AS open,
        count(*) FILTER (WHERE o.status = 'queued' AND o.error IS NOT NULL) AS waiting,
        count(*) FILTER (WHERE o.status <> 'queued' OR o.attempts > 0) AS started,
        coalesce(sum(max(o.attempts - 1, 0)), 0) AS retries,
        coalesce(sum(o.upstream_requests), 0) AS requests,
        coalesce(sum(CAST(o.estimated * o.progress AS INTEGER)), 0) AS fetched,
        EXISTS (
            SELECT 1 FROM queue_jobs q CROSS JOIN job_chunks d
                ON d.job_id = q.job_id AND d.chunk = q.total_chunks
            WHERE q.job_id = ?1 AND d.status = 'completed'
        ) AS is_complete
    FROM job_chunks o INDEXED BY job_chunks_open WHERE o.job_id = ?1 AND o.status <> 'completed'
) c
WHERE job_id = ?1 AND queue_jobs.status IN {_ACTIVE}
RETURNING status
"""  # noqa: S608 - constants only


def add(job_id: str, chunk: int, added: tuple[int, int, int], *, is_spared: bool) -> Statement:
    """
    Return the statement that adds what a chunk brings to its job, to run before it is done.

    Args:
        job_id: The job.
        chunk: The chunk's number.
        added: Its samples, the bytes of their text, and the last attempt's requests.
        is_spared: Whether that attempt was given back, and counts again.
    """
    return Statement(_ADD, (job_id, chunk, *added, int(is_spared)))


def make(job_id: str, *, now_ms: int, due_ms: int, site: str | None = None) -> Statement:
    """
    Return the statement that makes the chunks that come next, and returns their numbers.

    Args:
        job_id: The job.
        now_ms: When their messages are sent.
        due_ms: When they may be sent again.
        site: Of the job: where the index has samples of it, several are made from the start.
    """
    return Statement(_MAKE, (job_id, now_ms, due_ms, site))


def recount(job_id: str, *, now_ms: int, is_hopeless: bool = False) -> Statement:
    """
    Return the statement that brings an active job up to its chunks, and returns its status.

    With *is_hopeless*, a chunk that has failed ends the job, whatever the others do.
    """
    return Statement(_RECOUNT, (job_id, now_ms, int(is_hopeless)))
