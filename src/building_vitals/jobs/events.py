"""
A job as a stream of Server-Sent Events: one at each change, the last one when it has ended.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from building_vitals.errors import Forbidden, NotFound, Unauthorized, Unavailable
from building_vitals.jobs.documents import job_document
from building_vitals.jobs.model import Job
from building_vitals.ports import Clock

# How often the job is looked at: often while it changes, less when it does not.
POLL_MIN_MS = 500
POLL_MAX_MS = 2000
# A comment keeps proxies from closing a silent connection.
HEARTBEAT_MS = 15_000
# How often it is asked whether the client may still see the job.
CHECK_MS = 30_000
# A stream ends after this; clients then open the next one by themselves.
LIFE_MS_MAX = 300_000
RECONNECT_MS = 1000


async def job_events(
    job: Job,
    find: Callable[[str], Awaitable[Job | None]],
    clock: Clock,
    check: Callable[[Job], Awaitable[None]] | None = None,
) -> AsyncIterator[bytes]:
    """
    Yield `progress` of the job and at each change, then `completed`, `failed` or `cancelled`.

    Args:
        job: As it is now.
        find: Looks at the job again; None says that it is no longer there, which ends the stream.
        clock: Time and waiting.
        check: Asked every CHECK_MS whether the client may still see the job; ends the stream, with
            a comment, when it raises Unauthorized, Forbidden or NotFound.
    """
    started_ms = spoken_ms = checked_ms = clock.now_ms()
    wait_ms = POLL_MIN_MS
    yield b"retry: %d\n\n" % RECONNECT_MS
    shown = _event("progress", job)
    yield shown
    while not job.is_over:
        await clock.sleep(wait_ms)
        now_ms = clock.now_ms()
        if now_ms - started_ms > LIFE_MS_MAX:
            return
        if check is not None and now_ms - checked_ms >= CHECK_MS:
            checked_ms = now_ms
            if not await _is_allowed(check, job):
                yield b": this stream ends: its API key may no longer see the job\n\n"
                return
        found = await _look(find, job)
        if found is None:
            return
        job = found
        event = _event("progress", job)
        if event != shown:
            shown, spoken_ms, wait_ms = event, now_ms, POLL_MIN_MS
            yield event
        else:
            wait_ms = min(2 * wait_ms, POLL_MAX_MS)
            if now_ms - spoken_ms >= HEARTBEAT_MS:
                spoken_ms = now_ms
                yield b": still here\n\n"
    yield _event(job.status, job)


async def _look(find: Callable[[str], Awaitable[Job | None]], job: Job) -> Job | None:
    """Return the job as it is now, or as it was while nobody can say."""
    try:
        return await find(job.job_id)
    except Unavailable:
        return job


async def _is_allowed(check: Callable[[Job], Awaitable[None]], job: Job) -> bool:
    """Return whether the client may see the job; while nobody can say, it may."""
    try:
        await check(job)
    except Unavailable:
        return True
    except (Unauthorized, Forbidden, NotFound):
        return False
    return True


def _event(name: str, job: Job) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(job_document(job)))
