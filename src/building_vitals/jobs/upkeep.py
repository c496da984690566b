"""The periodic work of jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from building_vitals.cache.object_keys import RESULTS_PREFIX, job_of
from building_vitals.instants import DAY_MS, MINUTE_MS
from building_vitals.jobs.history_table import JobHistory
from building_vitals.jobs.messages_table import ChunkMessages, DueChunk, QueueProgress
from building_vitals.jobs.model import CLAIM_MS, PRIORITIES, TERMINAL, ChunkRef, ChunkSender
from building_vitals.jobs.results import UNFINISHED_MS, JobResultService
from building_vitals.jobs.results_table import JobResults, ResultPlace
from building_vitals.jobs.submission import (
    MESSAGES_PER_SEND_MAX,
    RESEND_AFTER_MS,
    resend_after_ms,
)
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
# Pages of the bucket's listing that one run looks at, a thousand results each.
PAGES_MAX = 3
JOB_AGE_MS = 7 * DAY_MS
# Chunks sent again in one run; the longest due come first, the others in the next run.
RESENT_MAX = 1000
# Chunks that will be due so soon count as due: after a crash a run is asked for once, and the next
# run by itself may be minutes away. A living claim is renewed 3 s before it is due.
QUEUED_AHEAD_MS = 30_000
CLAIMED_AHEAD_MS = 2_500
# A consumer may hold a message that long before it comes to it (BATCH_MS_MAX in handlers/queue.py,
# and the chunk before it), while others deal with later ones.
OVERTAKEN_MS = 780_000
# Between two chunks nobody works on any.
IDLE_MS = 10_000
# Of messages that were sent again in vain already, so many are sent in one run to each queue.
PROBES_MAX = 10
STALLED_MAX = 100


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
    """
    Deletes results of jobs that have expired or were purged: first the object, then its row.

    Objects that no row names, for their writer died, go by their age.
    """

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
        return len(places) + await self._sweep(now_ms)

    async def _sweep(self, now_ms: int) -> int:
        """Delete objects of which nobody knows; return how many."""
        total, cursor = 0, None
        for _ in range(PAGES_MAX):
            page = await self._objects.list(prefix=RESULTS_PREFIX, cursor=cursor)
            old = [
                ResultPlace(job_of(each.key), each.key)
                for each in page.objects
                if each.uploaded_ms < now_ms - UNFINISHED_MS - OBJECT_GRACE_MS
            ]
            named = await self._results.named(old) if old else set()
            orphans = [each.object_key for each in old if each.object_key not in named]
            if orphans:
                await self._objects.delete(orphans)
                total += len(orphans)
            cursor = page.cursor
            if cursor is None:
                break
        return total


class LostChunks:
    """
    Sends again what seems lost: chunks nobody has begun, and chunks whose claim nobody renews.

    A message that merely waits is no lost one. It waits as long as its queue has not come to one
    that was sent much later, and somebody works on chunks of that queue. Where nobody does, all may
    have been lost, as when a local runtime is killed: each is sent again once, then, as consumers
    may have stopped, a few of them ever more rarely.

    A message too many does no harm: its consumer finds the chunk claimed or done.
    """

    name = "lost chunks"
    rank = URGENT

    def __init__(self, messages: ChunkMessages, sender: ChunkSender) -> None:
        self._messages = messages
        self._sender = sender

    async def run(self, now_ms: int) -> int:
        """Send messages for the chunks that are due; return how many."""
        await self._make_stalled(now_ms)
        alive_ms = now_ms + CLAIMED_AHEAD_MS
        queues = await self._messages.queues(alive_ms=alive_ms)
        reached = {each.priority: each for each in queues}
        idle = {name for name in PRIORITIES if _is_idle(reached.get(name), now_ms)}
        due = await self._messages.find_due(
            queued_ms=now_ms + QUEUED_AHEAD_MS,
            claimed_ms=alive_ms,
            sent_ms={
                name: now_ms - RESEND_AFTER_MS
                if name in idle
                else reached[name].reached_ms - OVERTAKEN_MS
                for name in PRIORITIES
            },
            limit=RESENT_MAX,
        )
        groups: dict[tuple[int, int], list[DueChunk]] = {}
        probes: Counter[str] = Counter()
        for each in due:
            is_probe = each.priority in idle and each.sends > 1 and not each.claim_expires_ms
            probes[each.priority] += is_probe
            if is_probe and probes[each.priority] > PROBES_MAX:
                continue
            delay_s = -(-max(0, min(each.claim_expires_ms - now_ms, CLAIM_MS)) // 1000)
            groups.setdefault((PRIORITIES.index(each.priority), delay_s), []).append(each)
        for (priority, delay_s), group in sorted(groups.items(), key=lambda item: item[0]):
            for start in range(0, len(group), MESSAGES_PER_SEND_MAX):
                some = group[start : start + MESSAGES_PER_SEND_MAX]
                await self._send(some, PRIORITIES[priority], delay_s, now_ms)
        return sum(map(len, groups.values()))

    async def _make_stalled(self, now_ms: int) -> None:
        """Make the next chunks of active jobs that have none, should that ever come to be."""
        for job_id, priority in await self._messages.stalled(limit=STALLED_MAX):
            made = await self._messages.make(job_id, now_ms=now_ms, due_ms=now_ms + RESEND_AFTER_MS)
            if made:
                await self._sender.send([ChunkRef(job_id, n) for n in made], priority)

    async def _send(
        self, due: Sequence[DueChunk], priority: str, delay_s: int, now_ms: int
    ) -> None:
        await self._sender.send([each.ref for each in due], priority, delay_s=delay_s)
        sent: list[tuple[ChunkRef, int]] = [
            (
                each.ref,
                min(max(now_ms, each.claim_expires_ms), now_ms + CLAIM_MS)
                + resend_after_ms(each.sends + 1),
            )
            for each in due
        ]
        await self._messages.mark_resent(sent, now_ms=now_ms)


def _is_idle(queue: QueueProgress | None, now_ms: int) -> bool:
    """Return whether nobody works on chunks of a queue, nor has just begun one."""
    if queue is None:
        return True
    return not queue.is_served and now_ms - queue.claimed_ms >= IDLE_MS


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
        LostChunks(ChunkMessages(database), sender),
        OldJobs(JobHistory(database)),
        OldResults(JobResults(database), objects),
        LostResults(results),
    ]
