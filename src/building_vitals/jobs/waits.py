"""Waits for a job to end: for a client that would rather have the result than an address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from building_vitals.errors import Unavailable
from building_vitals.jobs.model import Job
from building_vitals.ports import Clock

# A wait is prolonged by at most this share of it, and a minute of waiting takes some 40 looks.
LOOK_SHARE = 0.25
LOOK_MS_MIN = 250
LOOK_MS_MAX = 2000


def next_look_ms(waited_ms: int, left_ms: int) -> int:
    """Return how long to wait before looking again, having waited for a time; 0 at the end."""
    pause_ms = min(max(round(LOOK_SHARE * waited_ms), LOOK_MS_MIN), LOOK_MS_MAX)
    return max(0, min(pause_ms, left_ms))


async def wait_for_end(
    job_id: str,
    find: Callable[[str], Awaitable[Job | None]],
    clock: Clock,
    until_ms: int,
    on_look: Callable[[int], None],
) -> Job | None:
    """
    Return a job once it has ended; None when it has not by then, or is no longer there.

    Args:
        job_id: The job.
        find: Looks at it. While nobody can say how it is, it goes on.
        clock: Time and waiting.
        until_ms: When to give up, having looked once more.
        on_look: Told the time of each look.
    """
    begun_ms = clock.now_ms()
    while True:
        now_ms = clock.now_ms()
        pause_ms = next_look_ms(now_ms - begun_ms, until_ms - now_ms)
        if not pause_ms:
            return None
        await clock.sleep(pause_ms)
        on_look(clock.now_ms())
        try:
            job = await find(job_id)
        except Unavailable:
            continue
        if job is None or job.is_over:
            return job
