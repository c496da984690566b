"""Waiting for the end of a job."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from builders import JOB
from building_vitals.errors import Unavailable
from building_vitals.jobs.model import Job, JobStatus
from building_vitals.jobs.waits import LOOK_MS_MAX, LOOK_MS_MIN, next_look_ms, wait_for_end
from fakes.virtual_time import EPOCH_MS, LoopClock, in_virtual_time


@pytest.mark.parametrize(
    ("waited_ms", "left_ms", "expected"),
    [
        (0, 60_000, LOOK_MS_MIN),
        (4000, 60_000, 1000),
        (50_000, 10_000, LOOK_MS_MAX),
        (0, 100, 100),
        (60_000, 0, 0),
        (60_000, -5, 0),
    ],
)
def test_looks_are_the_rarer_the_longer_it_takes(
    waited_ms: int, left_ms: int, expected: int
) -> None:
    """A quarter of what has been waited, within bounds, and never beyond the end."""
    assert expected == next_look_ms(waited_ms, left_ms)


class Looks:
    """
    A job that ends after a time, and who looks at it.

    Attributes:
        at_ms: When it was looked at.
    """

    def __init__(self, clock: LoopClock, after_ms: int, status: JobStatus = "completed") -> None:
        self._clock = clock
        self._after_ms = after_ms
        self._status = status
        self.at_ms: list[int] = []
        self.is_down = False

    async def find(self, job_id: str) -> Job | None:
        """Return the job."""
        if self.is_down:
            raise Unavailable("D1 refused")
        is_over = self._clock.now_ms() - EPOCH_MS >= self._after_ms
        return msgspec.structs.replace(JOB, status=self._status if is_over else "processing")

    async def wait(self, wait_ms: int) -> Job | None:
        """Wait for its end."""
        until_ms = self._clock.now_ms() + wait_ms
        return await wait_for_end("job", self.find, self._clock, until_ms, self.at_ms.append)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_the_end_is_seen_soon(status: JobStatus) -> None:
    """Whatever it is, within a quarter of the time it took."""

    @in_virtual_time
    async def seen() -> None:
        clock = LoopClock()
        looks = Looks(clock, 7300, status)
        job = await looks.wait(60_000)
        assert job is not None
        assert status == job.status
        assert 7300 <= clock.now_ms() - EPOCH_MS <= 1.25 * 7300

    seen()


@in_virtual_time
async def test_a_wait_has_an_end_and_few_looks() -> None:
    """After a minute None, the last look at its very end; some forty statements in all."""
    clock = LoopClock()
    looks = Looks(clock, 3_600_000)
    assert await looks.wait(60_000) is None
    assert EPOCH_MS + 60_000 == clock.now_ms() == looks.at_ms[-1]
    assert 30 < len(looks.at_ms) < 45
    pauses = [later - earlier for earlier, later in itertools.pairwise(looks.at_ms)]
    assert LOOK_MS_MAX == max(pauses)
    assert await looks.wait(0) is None


@in_virtual_time
async def test_a_database_that_is_down_ends_no_wait() -> None:
    """It goes on until it is there again."""
    clock = LoopClock()
    looks = Looks(clock, 1000)
    looks.is_down = True
    assert await looks.wait(5000) is None
    looks.is_down = False
    assert await looks.wait(5000) is not None


@in_virtual_time
async def test_a_job_that_is_gone_is_waited_for_no_longer() -> None:
    """There will be no result of it."""
    clock = LoopClock()

    async def find(_: str) -> Job | None:
        return None

    until_ms = clock.now_ms() + 60_000
    assert await wait_for_end("job", find, clock, until_ms, lambda _: None) is None
    assert EPOCH_MS + LOOK_MS_MIN == clock.now_ms()
