"""Options of jobs."""

from __future__ import annotations

import msgspec

from building_vitals.answers.body import WHOLE_BYTES_MAX

# A smaller answer is made as a whole anyway.
RESULT_BYTES_MIN = WHOLE_BYTES_MAX
# How often a client should ask how a job is doing.
POLL_INTERVAL_MS = 2000


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """
    Options of jobs.

    Attributes:
        max_retries: Attempts of a chunk after the first that bring it no further.
        retry_delay: Milliseconds before the first of them; doubles each time.
        batch_size: Points in a chunk, at most, unless each page holds the whole site.
        max_active_jobs: Jobs of one key that may be unfinished at once.
        max_queued_samples: Estimated samples of them together.
        max_hourly_samples: Estimated samples that one key may submit in an hour, whatever becomes
            of them.
        result_bytes_min: Stored bytes from which a result is materialised.
    """

    max_retries: int = 3
    retry_delay: int = 1000
    batch_size: int = 50
    max_active_jobs: int = 20
    max_queued_samples: int = 50_000_000
    max_hourly_samples: int = 500_000_000
    result_bytes_min: int = RESULT_BYTES_MIN
