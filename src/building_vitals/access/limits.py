"""How often one key may ask."""

from __future__ import annotations

from building_vitals.access.caller import ANYBODY, Caller
from building_vitals.errors import RateLimited
from building_vitals.ports import RateLimiter

# The period of the limits in wrangler.toml: a minute from now there is room again.
RETRY_AFTER_S = 60


class RequestLimits:
    """
    Counts each key's requests, and its submissions of jobs besides.

    In the mode `open` there is nobody to count: all callers are one, and none is limited.
    """

    def __init__(self, *, reads: RateLimiter, jobs: RateLimiter) -> None:
        self._reads = reads
        self._jobs = jobs

    async def admit_read(self, caller: Caller) -> None:
        """
        Count a request of any kind.

        Raises:
            RateLimited: it is one too many.
        """
        await _admit(self._reads, caller, "requests")

    async def admit_job(self, caller: Caller) -> None:
        """
        Count the submission of a job.

        Raises:
            RateLimited: it is one too many.
        """
        await _admit(self._jobs, caller, "submissions of jobs")


async def _admit(limiter: RateLimiter, caller: Caller, what: str) -> None:
    if caller.key_id == ANYBODY.key_id or await limiter.take(caller.key_id):
        return
    raise RateLimited(
        f"too many {what} with this key: try again in {RETRY_AFTER_S} s",
        retry_after_s=RETRY_AFTER_S,
    )
