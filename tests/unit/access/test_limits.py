"""How often one key may ask."""

from __future__ import annotations

import pytest

from building_vitals.access.caller import ANYBODY, Caller
from building_vitals.access.limits import RETRY_AFTER_S, RequestLimits
from building_vitals.errors import RateLimited


class CountedLimiter:
    """A RateLimiter that lets *limit* requests of each key pass."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken: list[str] = []

    async def take(self, key: str) -> bool:
        """Count a request."""
        self.taken.append(key)
        return self.taken.count(key) <= self.limit


async def test_limits_count_each_key_apart() -> None:
    """The request over the limit is refused for a minute; other keys and jobs are not touched."""
    limits = RequestLimits(reads=CountedLimiter(2), jobs=CountedLimiter(1))
    one = Caller(key_id="key_1", is_admin=False, sites=None)
    other = Caller(key_id="key_2", is_admin=True, sites=None)
    await limits.admit_read(one)
    await limits.admit_read(one)
    with pytest.raises(RateLimited) as refusal:
        await limits.admit_read(one)
    assert (429, 60) == (refusal.value.status, refusal.value.retry_after_s)
    assert RETRY_AFTER_S == 60
    await limits.admit_read(other)
    await limits.admit_job(one)
    with pytest.raises(RateLimited, match="job submissions"):
        await limits.admit_job(one)


async def test_nobody_is_limited_in_the_open_mode() -> None:
    """Where all callers are one, none is counted."""
    reads = CountedLimiter(0)
    limits = RequestLimits(reads=reads, jobs=CountedLimiter(0))
    await limits.admit_read(ANYBODY)
    await limits.admit_job(ANYBODY)
    assert [] == reads.taken
