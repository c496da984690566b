"""
Chunks from the queue's side: claimed, filled, finished, however often they are delivered.

Delivery is at least once, in any order, and a consumer may die at any line: a chunk is claimed by
one conditional statement, the claim is renewed while the work goes on, and what is fetched is known
to everybody once stored, so that the next attempt fetches only the gaps. An attempt that has stored
something is a step, not a failure: it does not count.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

import msgspec

from building_vitals.cache.coverage import Cover, gaps_of
from building_vitals.cache.filler import SegmentFiller
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.need import Need
from building_vitals.cache.segments import DirectoryMissing, Piece, cut_piece_text, pieces
from building_vitals.cache.store import SegmentStore
from building_vitals.errors import (
    AppError,
    Unavailable,
    UpstreamBusy,
    UpstreamLimited,
    UpstreamTimeout,
)
from building_vitals.jobs.chunks_table import ChunkState, JobChunks, Result
from building_vitals.jobs.claim import GOES_ON_SHARE_MIN, Claim, WorkStopped
from building_vitals.jobs.model import CHUNK_ENDED, TERMINAL, ChunkRef, ChunkSender
from building_vitals.jobs.options import JobOptions
from building_vitals.jobs.retrying import failure_class, failure_text, retry_delay_s
from building_vitals.jobs.submission import RESEND_AFTER_MS
from building_vitals.ports import Invocation

RunLater = Callable[[Coroutine[Any, Any, None]], None]

# A chunk that takes longer is put back, and goes on from what is stored of it; a consumer has 15
# minutes for all its messages.
CHUNK_MS_MAX = 240_000
# How long to wait for somebody else's fetch before the chunk is put back for later: a consumer that
# waits does nothing else. Such an attempt does not count; others decide how long they take.
BUSY_WAIT_MS = 3000
BUSY_DELAY_S = 5
# The queue's clock is another one: a message may come so much before its time.
EARLY_MS = 500
# A low job gives way to more urgent ones, but not for ever.
LOW_PATIENCE_MS = 1_800_000
LOW_DELAY_S_MIN, LOW_DELAY_S_MAX = 2, 60
# Messages the queue may give up before a chunk counts as failed that has attempts left.
DEAD_LETTERS_MAX = 3


class Verdict(NamedTuple):
    """
    What is to become of a message.

    Attributes:
        outcome: What happened, for the log.
        retry_s: Seconds after which it is to be delivered again; None for never.
        unreadable_samples: Left out of the chunk, because they cannot be read.
    """

    outcome: str
    retry_s: int | None = None
    unreadable_samples: int = 0


class ChunkRunner:
    """
    Runs chunks.

    *filler_for* gives a filler that hands its work behind an answer to the function; *on_complete*
    is awaited with the job that a chunk has completed.
    """

    def __init__(
        self,
        *,
        chunks: JobChunks,
        filler_for: Callable[[RunLater], SegmentFiller],
        store: SegmentStore,
        index: SegmentIndex,
        sender: ChunkSender,
        options: JobOptions,
        on_complete: Callable[[str], Awaitable[object]],
        invocation: Invocation,
    ) -> None:
        self._chunks = chunks
        self._filler_for = filler_for
        self._store = store
        self._index = index
        self._sender = sender
        self._clock = invocation.clock
        self._options = options
        self._new_id = invocation.new_id
        self._on_complete = on_complete
        self._on_fault = invocation.on_fault

    async def run(self, ref: ChunkRef) -> Verdict:
        """
        Run a chunk, unless somebody else does or its job has ended.

        Raises:
            Unavailable: the database can't be reached; nothing is decided then.
        """
        claim = Claim(self._chunks, ref, self._new_id(), self._clock)
        state = await claim.take(
            attempts_max=self._options.max_retries + 1, patience_ms=LOW_PATIENCE_MS
        )
        if state is None or state.job_status in TERMINAL or state.status == "completed":
            return Verdict("ended")
        if state.claim == claim.claim_id:
            return await self._work(ref, claim, state)
        return await self._not_claimed(ref, state)

    async def _not_claimed(self, ref: ChunkRef, state: ChunkState) -> Verdict:
        """Decide on a message whose chunk could not be claimed."""
        now_ms = self._clock.now_ms()
        if state.status == "failed":
            return Verdict("ended")
        if state.status == "processing" and state.claim_expires_ms > now_ms:
            # Sent again: the queue counts deliveries, and a message too many must not end in the
            # dead letter queue on account of a chunk that is well.
            delay_s = _seconds(state.claim_expires_ms - now_ms)
            await self._sender.send([ref], state.priority, delay_s=delay_s)
            return Verdict("claimed")
        if state.attempts > self._options.max_retries:
            await self._fail_crashed(ref, state)
            return Verdict("failed")
        if state.next_ms > now_ms:
            delay_s = _seconds(state.next_ms - now_ms)
            await self._sender.send([ref], state.priority, delay_s=delay_s)
            return Verdict("early")
        # Only a low job that gives way is left.
        waited_s = (now_ms - state.created_ms) // 1000
        delay_s = min(max(LOW_DELAY_S_MIN, waited_s // 2), LOW_DELAY_S_MAX)
        await self._sender.send([ref], state.priority, delay_s=delay_s)
        return Verdict("gave way")

    async def handle_dead_letter(self, ref: ChunkRef) -> Verdict:
        """
        Decide on a message that the queue has given up.

        Attempts are counted in the database. Where some are left, deliveries died before they
        could begin, or met somebody else's claim: the chunk is sent again, a few times.

        Raises:
            Unavailable: the database or the queue can't be reached.
        """
        state = await self._chunks.look(ref)
        if state is None or state.job_status in TERMINAL or state.status in CHUNK_ENDED:
            return Verdict("ended")
        if state.status == "processing" and state.claim_expires_ms > self._clock.now_ms():
            return Verdict("claimed")
        is_over = state.attempts > self._options.max_retries
        if is_over or state.dead_letters + 1 >= DEAD_LETTERS_MAX:
            await self._fail_crashed(ref, state)
            return Verdict("failed")
        await self._chunks.count_dead_letter(ref)
        await self._sender.send([ref], state.priority)
        return Verdict("sent again")

    async def _fail_crashed(self, ref: ChunkRef, state: ChunkState) -> None:
        """Mark a chunk as failed whose consumers died without a word."""
        await self._chunks.fail(
            ref,
            None,
            now_ms=self._clock.now_ms(),
            error=f"chunk {ref.chunk} was begun {state.attempts} times and never came to an end",
            error_class="crash",
        )

    async def _work(self, ref: ChunkRef, claim: Claim, state: ChunkState) -> Verdict:
        """Fill a claimed chunk, and say how it went."""
        now_ms = self._clock.now_ms()
        need = Need(
            site=state.site,
            points=state.points or (),
            time_range=state.time_range,
            now_ms=state.created_ms,
            deadline_ms=now_ms + CHUNK_MS_MAX,
            wait_until_ms=now_ms + BUSY_WAIT_MS,
            accepts_stale=False,
        )
        work = _Work(ref, claim, state, need)
        heartbeat = asyncio.ensure_future(claim.keep())
        try:
            result = await self._fill(work)
        except WorkStopped:
            return Verdict("stopped")
        except UpstreamBusy:
            return await self._put_back(work, BUSY_DELAY_S, outcome="busy")
        except AppError as error:
            if error.retryable and not state.is_doomed and await self._goes_on(work):
                return await self._go_on(work, error)
            return await self._give_up(work, error, is_retryable=error.retryable)
        except Exception as error:
            self._on_fault("chunk", error)
            return await self._give_up(work, error, is_retryable=True)
        finally:
            heartbeat.cancel()
        now_ms = self._clock.now_ms()
        if await self._chunks.finish(ref, result, now_ms=now_ms, is_spared=claim.is_spared):
            await self._on_complete(ref.job_id)
        return Verdict("completed", unreadable_samples=result.unreadable_samples)

    async def _fill(self, work: _Work) -> Result:
        """
        Make a chunk's data known and return what they are.

        Raises:
            WorkStopped: nobody needs them.
            AppError: they can't be had.
        """
        need = work.need
        behind: list[Coroutine[Any, Any, None]] = []
        filler = self._filler_for(behind.append)
        try:
            segments = await filler.look_up(need)
            work.missing_share = need.missing_share(gaps_of(filler.cover(need, segments)))
            filling = await filler.fill(need, segments, work.claim.on_progress)
        finally:
            for each in behind:
                await each
        if behind:
            # What was fetched counts once it can be found.
            covered = filler.cover(need, await filler.look_up(need))
            if gaps_of(covered):
                raise Unavailable(
                    f"what was fetched for chunk {work.ref.chunk} could not be stored"
                )
        else:
            covered = filling.covers
        samples, text_bytes = await self._measure(need, covered)
        return Result(samples, text_bytes, filling.upstream_requests, filling.unreadable)

    async def _goes_on(self, work: _Work) -> bool:
        """Return whether a failed attempt has stored a good part, as the index has it."""
        filler = self._filler_for(_drop)
        try:
            covered = filler.cover(work.need, await filler.look_up(work.need))
        except Unavailable:
            return False
        left = work.need.missing_share(gaps_of(covered))
        return work.missing_share - left >= GOES_ON_SHARE_MIN

    async def _measure(self, need: Need, covered: list[Cover]) -> tuple[int, int]:
        """Return samples and bytes of text; only frames that the chunk's range cuts are read."""
        try:
            found = _pieces(covered)
        except DirectoryMissing:
            segments = await self._index.find(
                need.site, need.points, need.time_range, directories=True
            )
            found = _pieces(self._filler_for(_drop).cover(need, segments))
        cut = [piece for piece in found if piece.frame is not None]
        whole = [piece for piece in found if piece.frame is None]
        samples = sum(piece.count for piece in whole)
        text_bytes = sum(piece.text_bytes for piece in whole)
        if cut:
            blobs = await self._store.read(cut, {})
            for piece in cut:
                count, text = cut_piece_text(piece, blobs.piece(piece))
                samples += count
                text_bytes += len(text)
        return samples, text_bytes

    async def _put_back(
        self, work: _Work, delay_s: int, *, outcome: str, error: AppError | None = None
    ) -> Verdict:
        """Put a chunk back without counting the attempt, and say why if that is a failure."""
        now_ms = self._clock.now_ms()
        next_ms = now_ms + delay_s * 1000
        await self._chunks.release(
            work.ref,
            work.claim.claim_id,
            now_ms=now_ms,
            next_ms=next_ms - EARLY_MS,
            due_ms=next_ms + RESEND_AFTER_MS,
            is_counted=work.claim.is_spared,
            error=failure_text(error) if error is not None else None,
            error_class=failure_class(error) if error is not None else None,
            upstream_requests=work.claim.requests,
        )
        # Sent again: the queue counts deliveries, and this one must not use them up.
        await self._sender.send([work.ref], work.state.priority, delay_s=delay_s)
        return Verdict(outcome)

    async def _go_on(self, work: _Work, error: AppError) -> Verdict:
        """
        Put a chunk back that has come a good part of its way.

        Having run out of time is no failure, nor is having met a limit; after others the chunk
        waits as after a first one.
        """
        delay_s = 0 if isinstance(error, UpstreamTimeout) else self._delay_s(1, error)
        is_failure = not isinstance(error, (UpstreamTimeout, UpstreamLimited))
        return await self._put_back(
            work, delay_s, outcome="goes on", error=error if is_failure else None
        )

    def _delay_s(self, attempt: int, error: Exception) -> int:
        return retry_delay_s(
            attempt,
            retry_delay_ms=self._options.retry_delay,
            retry_after_s=error.retry_after_s if isinstance(error, AppError) else None,
        )

    async def _give_up(self, work: _Work, error: Exception, *, is_retryable: bool) -> Verdict:
        """
        Put a chunk back for another attempt, or let it fail for good.

        Once a chunk of a job has failed for good, the others get no second attempt: the job fails
        anyway, and a retry of the job runs all that have failed.
        """
        now_ms = self._clock.now_ms()
        attempts = work.state.attempts - work.claim.is_spared
        is_last = attempts > self._options.max_retries or work.state.is_doomed
        if is_last or not is_retryable:
            await self._chunks.fail(
                work.ref,
                work.claim.claim_id,
                now_ms=now_ms,
                error=failure_text(error),
                error_class=failure_class(error),
                upstream_requests=work.claim.requests,
            )
            return Verdict("failed")
        delay_s = self._delay_s(max(attempts, 1), error)
        next_ms = now_ms + delay_s * 1000
        await self._chunks.release(
            work.ref,
            work.claim.claim_id,
            now_ms=now_ms,
            next_ms=next_ms - EARLY_MS,
            due_ms=next_ms + RESEND_AFTER_MS,
            is_counted=True,
            error=failure_text(error),
            error_class=failure_class(error),
            upstream_requests=work.claim.requests,
        )
        return Verdict("retrying", delay_s)


class _Work(msgspec.Struct):
    """
    An attempt at a chunk.

    Attributes:
        ref, claim, state: The chunk, the right to work on it, and how it was found.
        need: What it needs.
        missing_share: How much of that was missing when the attempt began, from 0 to 1.
    """

    ref: ChunkRef
    claim: Claim
    state: ChunkState
    need: Need
    missing_share: float = 0.0


def _pieces(covered: list[Cover]) -> list[Piece]:
    return [piece for cover in covered for each in cover.known for piece in pieces(*each)]


def _seconds(delay_ms: int) -> int:
    return math.ceil(delay_ms / 1000) + 1


def _drop(work: Coroutine[Any, Any, None]) -> None:
    work.close()
