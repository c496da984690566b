"""
The steps of the maintenance run that clean up: each bounded, resumable, and harmless when repeated.

What a run leaves is found by the next one. Times are generous: nothing here is urgent, and what is
still in use must stay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from building_vitals.cache.fetch_plan import Freshness
from building_vitals.cache.object_keys import SEGMENTS_PREFIX
from building_vitals.cache.upkeep import Upkeep
from building_vitals.datasets.cache import R2CacheService
from building_vitals.errors import Unavailable
from building_vitals.instants import DAY_MS
from building_vitals.jobs.model import TERMINAL
from building_vitals.jobs.results_table import JobResults
from building_vitals.ports import ObjectInfo, ObjectStore

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

# Rows and objects of one statement, and statements of one run: a run takes seconds.
SEGMENTS_AT_ONCE = 2000
OBJECTS_AT_ONCE = 1000
JOBS_AT_ONCE = 100
REQUESTS_AT_ONCE = 2000
ROUNDS_MAX = 10
# Pages of the bucket's listing that one run looks at, a thousand objects each.
PAGES_MAX = 5

# After its last segment an object stays this long, for whoever is about to read it.
OBJECT_GRACE_MS = 10 * MINUTE_MS
# An object nobody knows of may be about to be made known.
ORPHAN_AGE_MS = HOUR_MS
JOB_AGE_MS = 7 * DAY_MS
REQUEST_AGE_MS = 30 * DAY_MS
LEASE_AGE_MS = MINUTE_MS
# No fetch lasts that long, so none is left that began before the purge.
PURGE_AGE_MS = DAY_MS
RECOUNT_AGE_MS = DAY_MS


class ExpiredSegments:
    """
    Deletes segments that have expired, grace included.
    """

    name = "expired segments"

    def __init__(self, upkeep: Upkeep, freshness: Freshness) -> None:
        self._upkeep = upkeep
        self._freshness = freshness

    async def run(self, now_ms: int) -> int:
        """
        Delete some, the longest expired first; return how many.
        """
        total = 0
        for _ in range(ROUNDS_MAX):
            expired = await self._upkeep.delete_segments(
                self._freshness, now_ms=now_ms, limit=SEGMENTS_AT_ONCE
            )
            total += expired.deleted
            if expired.deleted + expired.refiled < SEGMENTS_AT_ONCE:
                break
        return total


class ExpiredObjects:
    """
    Deletes objects whose segments have all expired: first the object, then its row.

    Nothing is promised of them any more. Should a run die in between, the next one finds the row
    and deletes the object a second time, which does no harm.
    """

    name = "expired objects"

    def __init__(self, upkeep: Upkeep, objects: ObjectStore) -> None:
        self._upkeep = upkeep
        self._objects = objects

    async def run(self, now_ms: int) -> int:
        """
        Delete some, the longest expired first; return how many.
        """
        total = 0
        for _ in range(ROUNDS_MAX):
            keys = await self._upkeep.expired_objects(
                before_ms=now_ms - OBJECT_GRACE_MS, limit=OBJECTS_AT_ONCE
            )
            if not keys:
                break
            await self._objects.delete(keys)
            await self._upkeep.drop_objects(keys)
            total += len(keys)
        return total


class OrphanObjects:
    """
    Deletes objects that the index has no use for: never made known, or replaced since.

    Walks through the bucket's listing, some pages a run, and begins anew at its end.
    """

    name = "orphan objects"

    def __init__(self, upkeep: Upkeep, objects: ObjectStore) -> None:
        self._upkeep = upkeep
        self._objects = objects

    async def run(self, now_ms: int) -> int:
        """
        Look at some pages of the listing; return how many objects were deleted.
        """
        cursor = await self._upkeep.place(self.name)
        total = 0
        for _ in range(PAGES_MAX):
            try:
                page = await self._objects.list(prefix=SEGMENTS_PREFIX, cursor=cursor)
            except Unavailable:
                # Should the cursor be to blame, the next run must not use it again.
                await self._upkeep.keep_place(self.name, None, now_ms=now_ms)
                raise
            total += await self._sweep(page.objects, now_ms)
            cursor = page.cursor
            await self._upkeep.keep_place(self.name, cursor, now_ms=now_ms)
            if cursor is None:
                break
        return total

    async def _sweep(self, listed: Sequence[ObjectInfo], now_ms: int) -> int:
        """
        Delete those of the listed objects that nobody needs.
        """
        since_ms = now_ms - ORPHAN_AGE_MS
        old = [each.key for each in listed if each.uploaded_ms < since_ms]
        if not old:
            return 0
        kept = await self._upkeep.kept_objects(old, since_ms=since_ms)
        orphans = [key for key in old if key not in kept]
        if orphans:
            await self._objects.delete(orphans)
            await self._upkeep.drop_objects(orphans)
        return len(orphans)


class OldJobs:
    """
    Moves jobs that ended a week ago to the history, without their chunks and points.
    """

    name = "old jobs"

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep

    async def run(self, now_ms: int) -> int:
        """
        Move some, the longest ended first; return how many.
        """
        total = 0
        for status in TERMINAL:
            total += await _rounds(
                partial(
                    self._upkeep.archive_jobs,
                    status,
                    before_ms=now_ms - JOB_AGE_MS,
                    now_ms=now_ms,
                    limit=JOBS_AT_ONCE,
                )
            )
        return total


class OldRequests:
    """
    Deletes what is kept of requests older than 30 days.
    """

    name = "old requests"

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep

    async def run(self, now_ms: int) -> int:
        """
        Delete some rows, the oldest first; return how many.
        """
        return await _rounds(
            partial(
                self._upkeep.delete_requests,
                before_ms=now_ms - REQUEST_AGE_MS,
                limit=REQUESTS_AT_ONCE,
            )
        )


class OldDatasets:
    """
    Deletes datasets that are not given any more.
    """

    name = "old datasets"

    def __init__(self, datasets: R2CacheService) -> None:
        self._datasets = datasets

    async def run(self, now_ms: int) -> int:
        """
        Delete them; return how many.
        """
        return await self._datasets.cleanup()


class OldResults:
    """
    Deletes results of jobs that have expired or were purged: first the object, then its row.
    """

    name = "old results"

    def __init__(self, results: JobResults, objects: ObjectStore) -> None:
        self._results = results
        self._objects = objects

    async def run(self, now_ms: int) -> int:
        """
        Delete some, the longest expired first; return how many.
        """
        places = await self._results.expired(
            before_ms=now_ms - OBJECT_GRACE_MS, limit=OBJECTS_AT_ONCE
        )
        if places:
            await self._objects.delete([each.object_key for each in places])
            await self._results.drop(places)
        return len(places)


class OldMarks:
    """
    Deletes leases whose holders died, and marks of purges that no fetch can run into any more.
    """

    name = "old leases and purges"

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep

    async def run(self, now_ms: int) -> int:
        """
        Delete them; return how many.
        """
        leases = await self._upkeep.delete_leases(before_ms=now_ms - LEASE_AGE_MS)
        return leases + await self._upkeep.delete_purges(before_ms=now_ms - PURGE_AGE_MS)


class Recount:
    """
    Counts the cache's totals from its rows once a day, should they have been changed by hand.
    """

    name = "recount"

    def __init__(self, upkeep: Upkeep) -> None:
        self._upkeep = upkeep

    async def run(self, now_ms: int) -> int:
        """
        Count if it is time; return how often.
        """
        if now_ms - await self._upkeep.counted_ms() < RECOUNT_AGE_MS:
            return 0
        await self._upkeep.recount(now_ms=now_ms)
        return 1


async def _rounds(change: Callable[[], Awaitable[int]]) -> int:
    """
    Repeat a change until nothing is left of it, or the run has had its share; return the sum.
    """
    total = 0
    for _ in range(ROUNDS_MAX):
        changed = await change()
        total += changed
        if not changed:
            break
    return total
