"""Limits the requests, and the submissions of jobs, per key."""

from __future__ import annotations

from building_vitals.access.caller import ANYBODY, Caller
from building_vitals.errors import RateLimited
from building_vitals.ports import RateLimiter

# The period of the limits in wrangler.toml: after a minute there is room again.
RETRY_AFTER_S = 60


class RequestLimits:
    """
    Counts the requests of each key, and its submissions of jobs.

    In the mode `open` nothing is limited, because all callers are one.
    """

    def __init__(self, *, reads: RateLimiter, jobs: RateLimiter) -> None:
        self._reads = reads
        self._jobs = jobs

    async def admit_read(self, caller: Caller) -> None:
        """
        Count a request of any kind.

        Raises:
            RateLimited: the key has reached its limit of requests.
        """
        await _admit(self._reads, caller, "requests")

    async def admit_job(self, caller: Caller) -> None:
        """
        Count the submission of a job.

        Raises:
            RateLimited: the key has reached its limit of submissions.
        """
        await _admit(self._jobs, caller, "job submissions")


async def _admit(limiter: RateLimiter, caller: Caller, what: str) -> None:
    if caller.key_id == ANYBODY.key_id or await limiter.take(caller.key_id):
        return
    raise RateLimited(
        f"too many {what} with this API key: try again in {RETRY_AFTER_S} s",
        retry_after_s=RETRY_AFTER_S,
    )
