"""
The check before a job's end: whether all of its range is known at the same time.

A job may take longer than data are kept, be put back after days, or lose objects and segments
while it goes on. What has gone is fetched again, by its chunks; then the check comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from building_vitals.cache.accesses import Accesses
from building_vitals.cache.coverage import Cover, gaps_of
from building_vitals.cache.filler import SegmentFiller
from building_vitals.cache.need import Need
from building_vitals.cache.segments import Place
from building_vitals.cache.store import SegmentStore
from building_vitals.errors import Unavailable
from building_vitals.jobs.checks_table import CheckChunk, CheckState, JobChecks
from building_vitals.jobs.chunks_table import ChunkState
from building_vitals.jobs.filling import FillerFor
from building_vitals.jobs.model import CHUNKS_AHEAD, ChunkRef
from building_vitals.jobs.submission import RESEND_AFTER_MS
from building_vitals.ports import Clock, ObjectStore

# Passes that may find that data have gone. A job that takes longer than its data are kept would go
# on for ever.
PASSES_MAX = 5
# Objects that one attempt looks at, and how many at once.
OBJECTS_MAX = 400
OBJECTS_WIDTH = 6


class ResultExpired(Unavailable):
    """A job's data go sooner than they can be fetched."""

    retryable = False


class CheckOutcome(NamedTuple):
    """
    What a check has come to.

    Attributes:
        is_complete: Whether all is known.
        undone: Chunks that are to run again, and to be sent.
    """

    is_complete: bool
    undone: list[int]


class JobCheck:
    """Checks jobs whose chunks are all done, a part at a time."""

    def __init__(
        self,
        *,
        checks: JobChecks,
        filler_for: FillerFor,
        store: SegmentStore,
        accesses: Accesses,
        objects: ObjectStore,
        is_spent: Callable[[], bool],
        clock: Clock,
    ) -> None:
        """
        Args:
            checks: The tables.
            filler_for: As that of `ChunkFilling`.
            store: Forgets lost objects.
            accesses: Notes that the data are needed: they are about to be asked for.
            objects: The bucket.
            is_spent: Whether the invocation has no statements left for another part.
            clock: Time.
        """
        self._checks = checks
        self._filler_for = filler_for
        self._store = store
        self._accesses = accesses
        self._objects = objects
        self._is_spent = is_spent
        self._clock = clock

    async def run(
        self, ref: ChunkRef, claim: str, job: ChunkState, *, deadline_ms: int
    ) -> CheckOutcome:
        """
        Check a job from where it was left, until something has gone or the attempt's time is over.

        Raises:
            ResultExpired: data go again and again.
            Unavailable: the database or the bucket can't be reached.
        """
        state, total = await self._checks.state(ref.job_id), job.total_chunks
        seen: set[str] = set()
        filler = self._filler_for(_drop)
        while True:
            if state.check_place >= total and not state.check_found:
                return CheckOutcome(is_complete=True, undone=[])
            if state.check_place >= total:
                state = CheckState(0, 0, state.check_passes + 1)
            if state.check_passes > PASSES_MAX:
                raise ResultExpired(
                    "the job's data expire sooner than they can be fetched: ask for less at once, "
                    "or raise MAX_CACHE_AGE"
                )
            if self._is_spent() or len(seen) > OBJECTS_MAX or self._clock.now_ms() > deadline_ms:
                await self._checks.note(ref, claim, state)
                return CheckOutcome(is_complete=False, undone=[])
            stop = min(state.check_place + CHUNKS_AHEAD, total)
            part = await self._checks.part(ref.job_id, state.check_place, stop)
            gone = [
                chunk.chunk
                for chunk, points in part
                if await self._is_gone(filler, job, chunk, points, seen)
            ]
            state = CheckState(stop, state.check_found + len(gone), state.check_passes)
            if gone:
                now_ms = self._clock.now_ms()
                is_undone = await self._checks.undo(
                    ref, claim, state, gone, now_ms=now_ms, due_ms=now_ms + RESEND_AFTER_MS
                )
                return CheckOutcome(is_complete=False, undone=gone if is_undone else [])

    async def _is_gone(
        self,
        filler: SegmentFiller,
        job: ChunkState,
        chunk: CheckChunk,
        points: tuple[str, ...],
        seen: set[str],
    ) -> bool:
        """Return whether some of a chunk's data are no longer there."""
        need = Need(job.site, points, chunk.time_range, job.created_ms, job.created_ms)
        segments = await filler.look_up(need)
        covered = filler.cover(need, segments, is_result=True)
        if gaps_of(covered) and await filler.check_points(need, covered):
            covered = filler.cover(need, segments, is_result=True)
        if gaps_of(covered):
            return True
        lost = await self._lost(covered, seen)
        if lost:
            await self._store.lost([Place(key) for key in lost])
        if due := self._accesses.due(covered):
            await self._accesses.note(due)
        return bool(lost)

    async def _lost(self, covered: Sequence[Cover], seen: set[str]) -> list[str]:
        """Return the objects of a cover that are gone or changed; each is looked at once."""
        etags = {
            segment.key: segment.object_etag
            for cover in covered
            for segment, _ in cover.known
            if segment.key and not segment.is_sliver and segment.key not in seen
        }
        seen.update(etags)
        gate = asyncio.Semaphore(OBJECTS_WIDTH)

        async def is_lost(key: str, etag: str) -> bool:
            async with gate:
                info = await self._objects.head(key)
            return info is None or info.object_etag != etag

        found = await asyncio.gather(*(is_lost(*each) for each in etags.items()))
        return [key for key, lost in zip(etags, found, strict=True) if lost]


def _drop(work: Coroutine[Any, Any, None]) -> None:
    work.close()
