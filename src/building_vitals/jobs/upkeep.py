"""The periodic work of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from building_vitals.instants import DAY_MS, MINUTE_MS
from building_vitals.jobs.chunks_table import DueChunk, JobChunks
from building_vitals.jobs.history_table import JobHistory
from building_vitals.jobs.model import TERMINAL, ChunkRef, ChunkSender
from building_vitals.jobs.results import JobResultService
from building_vitals.jobs.results_table import JobResults
from building_vitals.jobs.submission import MESSAGES_PER_SEND_MAX, resend_after_ms
from building_vitals.ports import Database, ObjectStore
from building_vitals.upkeep import (
    LENGTHY,
    OBJECT_GRACE_MS,
    OBJECTS_AT_ONCE,
    ROUTINE,
    URGENT,
    Step,
    repeat_rounds,
)

JOBS_AT_ONCE = 100
# Nobody reads a result that was never finished; it goes so soon that it can be made again.
UNFINISHED_GRACE_MS = 10 * MINUTE_MS
JOB_AGE_MS = 7 * DAY_MS
# Chunks sent again in one run; the longest due come first, the others in the next run.
RESENT_MAX = 1000
# Chunks that will be due so soon count as due: after a crash a run is asked for once, and the next
# run by itself may be minutes away. A living claim is renewed 2 s before it is due.
QUEUED_AHEAD_MS = 30_000
CLAIMED_AHEAD_MS = 2_500


class OldJobs:
    """Moves jobs that ended a week ago to the history, without their chunks and points."""

    name = "old jobs"
    rank = ROUTINE

    def __init__(self, history: JobHistory) -> None:
        self._history = history

    async def run(self, now_ms: int) -> int:
        """Move some, the longest ended first; return how many."""
        total = 0
        for status in TERMINAL:
            total += await repeat_rounds(
                partial(
                    self._history.archive,
                    status,
                    before_ms=now_ms - JOB_AGE_MS,
                    now_ms=now_ms,
                    limit=JOBS_AT_ONCE,
                )
            )
        return total


class OldResults:
    """Deletes results of jobs that have expired or were purged: first the object, then its row."""

    name = "old results"
    rank = ROUTINE

    def __init__(self, results: JobResults, objects: ObjectStore) -> None:
        self._results = results
        self._objects = objects

    async def run(self, now_ms: int) -> int:
        """Delete some, the longest expired first; return how many."""
        places = await self._results.expired(
            before_ms=now_ms - UNFINISHED_GRACE_MS,
            readable_before_ms=now_ms - OBJECT_GRACE_MS,
            limit=OBJECTS_AT_ONCE,
        )
        if places:
            await self._objects.delete([each.object_key for each in places])
            await self._results.drop(places)
        return len(places)


class LostChunks:
    """
    Sends again what seems lost: chunks nobody has begun, and chunks whose claim nobody renews.

    A message too many does no harm: its consumer finds the chunk claimed or done.
    """

    name = "lost chunks"
    rank = URGENT

    def __init__(self, chunks: JobChunks, sender: ChunkSender) -> None:
        self._chunks = chunks
        self._sender = sender

    async def run(self, now_ms: int) -> int:
        """Send messages for the chunks that are due; return how many."""
        due = await self._chunks.find_due(
            queued_ms=now_ms + QUEUED_AHEAD_MS,
            claimed_ms=now_ms + CLAIMED_AHEAD_MS,
            limit=RESENT_MAX,
        )
        by_priority: dict[str, list[DueChunk]] = {}
        for each in due:
            by_priority.setdefault(each.priority, []).append(each)
        for priority in sorted(by_priority, key=("high", "normal", "low").index):
            group = by_priority[priority]
            for start in range(0, len(group), MESSAGES_PER_SEND_MAX):
                await self._send(group[start : start + MESSAGES_PER_SEND_MAX], priority, now_ms)
        return len(due)

    async def _send(self, due: Sequence[DueChunk], priority: str, now_ms: int) -> None:
        await self._sender.send([each.ref for each in due], priority)
        sent: list[tuple[ChunkRef, int]] = [
            (each.ref, max(now_ms, each.claim_expires_ms) + resend_after_ms(each.sends + 1))
            for each in due
        ]
        await self._chunks.mark_resent(sent, now_ms=now_ms)


class LostResults:
    """Materialises results that were not when their jobs completed."""

    name = "lost results"
    rank = LENGTHY

    def __init__(self, results: JobResultService) -> None:
        self._results = results

    async def run(self, now_ms: int) -> int:
        """Store some; return how many."""
        return await self._results.materialise_lost(now_ms)


def steps(
    database: Database, objects: ObjectStore, sender: ChunkSender, results: JobResultService
) -> list[Step]:
    """Return the steps of the maintenance run that concern jobs."""
    return [
        LostChunks(JobChunks(database), sender),
        OldJobs(JobHistory(database)),
        OldResults(JobResults(database), objects),
        LostResults(results),
    ]
