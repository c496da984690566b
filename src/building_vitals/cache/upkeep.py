"""The cache's periodic work."""

from __future__ import annotations

from collections.abc import Sequence

from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.object_keys import SEGMENTS_PREFIX
from building_vitals.cache.purges_table import PURGE_AGE_MS
from building_vitals.cache.upkeep_table import CacheUpkeep
from building_vitals.errors import Unavailable
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ports import Database, ObjectInfo, ObjectStore
from building_vitals.upkeep import OBJECT_GRACE_MS, OBJECTS_AT_ONCE, ROUNDS_MAX, ROUTINE, Step

# Rows and objects of one statement, and statements of one run: a run takes seconds.
SEGMENTS_AT_ONCE = 2000
# Pages of the bucket's listing that one run looks at, a thousand objects each.
PAGES_MAX = 5
# An object nobody knows of may be about to be made known.
ORPHAN_AGE_MS = HOUR_MS
LEASE_AGE_MS = MINUTE_MS
RECOUNT_AGE_MS = DAY_MS


class ExpiredSegments:
    """Deletes segments that have expired, grace included."""

    name = "expired segments"
    rank = ROUTINE

    def __init__(self, upkeep: CacheUpkeep, freshness: Freshness) -> None:
        self._upkeep = upkeep
        self._freshness = freshness

    async def run(self, now_ms: int) -> int:
        """Delete some, the longest expired first; return how many."""
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
    Deletes objects whose segments have all gone: first the object, then its row.

    The index promises nothing of them, but answers may still be read from them: they go
    OBJECT_GRACE_MS after it was first seen that they have no segment. Should a run die in between,
    the next one finds the row and deletes the object a second time, which does no harm.
    """

    name = "expired objects"
    rank = ROUTINE

    def __init__(self, upkeep: CacheUpkeep, objects: ObjectStore) -> None:
        self._upkeep = upkeep
        self._objects = objects

    async def run(self, now_ms: int) -> int:
        """Delete some, the longest expired first; return how many."""
        total = 0
        for _ in range(ROUNDS_MAX):
            keys = await self._upkeep.orphans(
                now_ms=now_ms, before_ms=now_ms - OBJECT_GRACE_MS, limit=OBJECTS_AT_ONCE
            )
            if not keys:
                break
            await self._objects.delete(keys)
            await self._upkeep.drop_objects(keys)
            total += len(keys)
        return total


class OrphanObjects:
    """
    Deletes objects that were never made known, and finds those that have been replaced since.

    Walks through the bucket's listing, some pages a run, and begins again at its end.
    """

    name = "orphan objects"
    rank = ROUTINE
    prefix = SEGMENTS_PREFIX

    def __init__(self, upkeep: CacheUpkeep, objects: ObjectStore) -> None:
        self._upkeep = upkeep
        self._objects = objects

    async def known(self, keys: Sequence[str], now_ms: int, /) -> set[str]:
        """Return which of some objects are known, and note those that have been replaced."""
        return await self._upkeep.known_objects(keys, now_ms=now_ms)

    async def run(self, now_ms: int) -> int:
        """Look at some pages of the listing; return how many objects were deleted."""
        cursor = await self._upkeep.place(self.name)
        total = 0
        for _ in range(PAGES_MAX):
            try:
                page = await self._objects.list(prefix=self.prefix, cursor=cursor)
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
        """Delete those of the listed objects that the index does not know."""
        since_ms = now_ms - ORPHAN_AGE_MS
        old = [each.key for each in listed if each.uploaded_ms < since_ms]
        if not old:
            return 0
        known = await self.known(old, now_ms)
        orphans = [key for key in old if key not in known]
        if orphans:
            await self._objects.delete(orphans)
        return len(orphans)


class OldMarks:
    """Deletes leases whose holders died, and marks of purges older than any fetch under way."""

    name = "old leases and purges"
    rank = ROUTINE

    def __init__(self, upkeep: CacheUpkeep) -> None:
        self._upkeep = upkeep

    async def run(self, now_ms: int) -> int:
        """Delete them; return how many."""
        leases = await self._upkeep.delete_leases(before_ms=now_ms - LEASE_AGE_MS)
        return leases + await self._upkeep.delete_purges(before_ms=now_ms - PURGE_AGE_MS)


class Recount:
    """Counts the cache's totals from its rows once a day, should they have been changed by hand."""

    name = "recount"
    rank = ROUTINE

    def __init__(self, upkeep: CacheUpkeep) -> None:
        self._upkeep = upkeep

    async def run(self, now_ms: int) -> int:
        """Count if it is time; return how often."""
        if now_ms - await self._upkeep.counted_ms() < RECOUNT_AGE_MS:
            return 0
        await self._upkeep.recount(now_ms=now_ms)
        return 1


def steps(
    database: Database, objects: ObjectStore, index: SegmentIndex, freshness: Freshness
) -> list[Step]:
    """Return the cache's steps of the maintenance run."""
    upkeep = CacheUpkeep(database, index)
    return [
        ExpiredSegments(upkeep, freshness),
        ExpiredObjects(upkeep, objects),
        OrphanObjects(upkeep, objects),
        OldMarks(upkeep),
        Recount(upkeep),
    ]
