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
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from building_vitals.cache.accesses import Accesses
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.need import Need, Progress
from building_vitals.cache.store import SegmentStore
from building_vitals.errors import (
    AppError,
    Overloaded,
    Unavailable,
    UpstreamBusy,
    UpstreamLimited,
    UpstreamTimeout,
)
from building_vitals.jobs.check import JobCheck
from building_vitals.jobs.checks_table import JobChecks
from building_vitals.jobs.chunks_table import ChunkState, JobChunks, Result
from building_vitals.jobs.claim import GOES_ON_SHARE_MIN, Claim, WorkStopped
from building_vitals.jobs.filling import ChunkFilling, FillerFor
from building_vitals.jobs.messages_table import ChunkMessages
from building_vitals.jobs.model import CHUNK_ENDED, TERMINAL, ChunkRef, ChunkSender
from building_vitals.jobs.options import JobOptions
from building_vitals.jobs.retrying import failure_class, failure_text, retry_delay_s
from building_vitals.jobs.submission import RESEND_AFTER_MS
from building_vitals.ports import Invocation, ObjectStore
from building_vitals.statement_count import StatementCount

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
# Messages the queue may give up, with no claim in between, before a chunk counts as failed that has
# attempts left.
DEAD_LETTERS_MAX = 3


class Verdict(NamedTuple):
    """
    What is to become of a message.

    Attributes:
        outcome: What happened, for the log.
        retry_s: Seconds after which it is to be delivered again; None for never.
        unreadable_samples: Left out of the chunk, because they cannot be read.
        ends_job: Whether the job has ended by it.
    """

    outcome: str
    retry_s: int | None = None
    unreadable_samples: int = 0
    ends_job: bool = False


class ChunkRunner:
    """Runs chunks, and the check after a job's last one; *on_complete* is awaited with its id."""

    def __init__(
        self,
        *,
        database: StatementCount,
        objects: ObjectStore,
        filler_for: FillerFor,
        store: SegmentStore,
        index: SegmentIndex,
        accesses: Accesses,
        sender: ChunkSender,
        options: JobOptions,
        on_complete: Callable[[str], Awaitable[object]],
        invocation: Invocation,
    ) -> None:
        """
        Args:
            database: The tables, and how many statements the invocation has run.
            objects: The bucket.
            filler_for: Gives a filler that hands its work behind an answer to the function.
            store: The segments' objects.
            index: The index of segments.
            accesses: Notes when they were last read.
            sender: The queues.
            options: Of jobs.
            on_complete: Awaited with each job that is complete.
            invocation: Clock, faults, identities.
        """
        self._database = database
        self._chunks = JobChunks(database)
        self._messages = ChunkMessages(database)
        self._filling = ChunkFilling(filler_for=filler_for, store=store, index=index)
        self._check = JobCheck(
            checks=JobChecks(database),
            filler_for=filler_for,
            store=store,
            accesses=accesses,
            objects=objects,
            is_spent=lambda: database.is_spent,
            clock=invocation.clock,
        )
        self._sender = sender
        self._clock = invocation.clock
        self._options = options
        self._new_id = invocation.new_id
        self._on_complete = on_complete
        self._on_fault = invocation.on_fault

    async def run(self, ref: ChunkRef, *, delivery: int = 1) -> Verdict:
        """
        Run a chunk, unless somebody else does or its job has ended.

        Args:
            ref: The chunk.
            delivery: The how manieth delivery of its message this is.

        Raises:
            Unavailable: the database or the queue can't be reached.
        """

        async def send_made(made: list[int]) -> None:
            await self._send(ref.job_id, made, state.priority if state else "normal")

        state: ChunkState | None = None
        claim = Claim(self._chunks, ref, self._new_id(), self._clock, send_made)
        state = await claim.take(
            attempts_max=self._options.max_retries + 1, patience_ms=LOW_PATIENCE_MS
        )
        if state is None or state.job_status in TERMINAL or state.status == "completed":
            return Verdict("ended")
        if state.claim == claim.claim_id:
            return await self._work(ref, claim, state)
        return await self._not_claimed(ref, state, delivery)

    async def _not_claimed(self, ref: ChunkRef, state: ChunkState, delivery: int) -> Verdict:
        """Decide on a message whose chunk could not be claimed."""
        now_ms = self._clock.now_ms()
        if state.status == "failed":
            return Verdict("ended")
        if state.is_claimed(now_ms):
            # Who works on the chunk has a message of its own. One that comes again is that: its
            # consumer may have died.
            delay_s = _seconds(state.claim_expires_ms - now_ms)
            return Verdict("claimed", delay_s if delivery > 1 else None)
        if state.attempts > self._options.max_retries:
            return await self._fail_crashed(ref, state)
        if state.next_ms > now_ms:
            delay_s, outcome = _seconds(state.next_ms - now_ms), "early"
        else:
            # Only a low job that gives way is left.
            waited_s = (now_ms - state.created_ms) // 1000
            delay_s = min(max(LOW_DELAY_S_MIN, waited_s // 2), LOW_DELAY_S_MAX)
            outcome = "gave way"
        # Sent again: the queue counts deliveries, and this one must not use them up.
        next_ms = now_ms + 1000 * delay_s
        await self._messages.defer(
            ref, now_ms=now_ms, next_ms=next_ms - EARLY_MS, due_ms=next_ms + RESEND_AFTER_MS
        )
        await self._sender.send([ref], state.priority, delay_s=delay_s)
        return Verdict(outcome)

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
        if state.is_claimed(self._clock.now_ms()):
            return Verdict("claimed")
        is_over = state.attempts > self._options.max_retries
        if is_over or state.dead_letters + 1 >= DEAD_LETTERS_MAX:
            return await self._fail_crashed(ref, state)
        await self._messages.count_dead_letter(ref)
        await self._sender.send([ref], state.priority)
        return Verdict("sent again")

    async def _fail_crashed(self, ref: ChunkRef, state: ChunkState) -> Verdict:
        """Mark a chunk as failed whose consumers died without a word."""
        before = f"; before that: {state.error}" if state.error else ""
        ended = await self._chunks.fail(
            ref,
            None,
            now_ms=self._clock.now_ms(),
            error=f"chunk {ref.chunk} was begun {state.attempts} times and never came to an end"
            + before,
            error_class="crash",
        )
        return Verdict("failed", ends_job=ended is not None)

    async def _work(self, ref: ChunkRef, claim: Claim, state: ChunkState) -> Verdict:
        """Do what a claimed chunk is for, and say how it went."""
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
            if ref.chunk >= state.total_chunks:
                return await self._check_job(work)
            result = await self._fill(work)
        except WorkStopped:
            return Verdict("stopped")
        except (UpstreamBusy, Overloaded):
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
        return await self._finish(work, result)

    async def _finish(self, work: _Work, result: Result) -> Verdict:
        """Mark a chunk as done, and have those that come next run."""
        ref, now_ms = work.ref, self._clock.now_ms()
        end = await self._chunks.finish(
            ref,
            result,
            now_ms=now_ms,
            due_ms=now_ms + RESEND_AFTER_MS,
            is_spared=work.claim.is_spared,
        )
        ends_job = end.job_status is not None
        try:
            if end.made == [work.state.total_chunks]:
                # The check comes at once: nobody is to wait for a message.
                ends_job |= (await self.run(ChunkRef(ref.job_id, end.made[0]))).ends_job
            else:
                await self._send(ref.job_id, end.made, work.state.priority)
        except Unavailable as error:
            # The chunk is done all the same, and the maintenance run sends what comes next.
            self._on_fault("send chunks", error)
        return Verdict("completed", None, result.unreadable_samples, ends_job)

    async def _check_job(self, work: _Work) -> Verdict:
        """Check whether all of a job is known: complete it, or have chunks run again."""
        ref, claim = work.ref, work.claim
        outcome = await self._check.run(
            ref, claim.claim_id, work.state, deadline_ms=work.need.deadline_ms
        )
        if outcome.undone:
            await self._send(ref.job_id, outcome.undone, work.state.priority)
            return Verdict("data gone")
        if not outcome.is_complete:
            return await self._put_back(work, 0, outcome="goes on")
        now_ms = self._clock.now_ms()
        end = await self._chunks.finish(
            ref, Result(0, 0, 0), now_ms=now_ms, due_ms=now_ms, is_spared=claim.is_spared
        )
        if end.job_status == "completed":
            await self._on_complete(ref.job_id)
        return Verdict("completed", ends_job=end.job_status is not None)

    async def _send(self, job_id: str, made: list[int], priority: str) -> None:
        """Send the messages of chunks that were made: so few that they are one call."""
        if made:
            await self._sender.send([ChunkRef(job_id, n) for n in made], priority)

    async def _fill(self, work: _Work) -> Result:
        """Fill a chunk, as long as somebody needs it and the invocation may go on."""

        async def on_progress(progress: Progress) -> None:
            await work.claim.on_progress(progress)
            if self._database.is_nearly_out:
                raise UpstreamTimeout(
                    "the consumer has used up its statements; the chunk goes on in another one",
                    retryable=True,
                )

        def on_begin(missing_share: float) -> None:
            work.missing_share = max(work.missing_share, missing_share)

        return await self._filling.fill(work.need, on_progress, on_begin)

    async def _goes_on(self, work: _Work) -> bool:
        """Return whether a failed attempt has stored a good part, as the index has it."""
        try:
            left = await self._filling.missing_share(work.need)
        except Unavailable:
            return False
        return work.missing_share - left >= GOES_ON_SHARE_MIN

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
        Put a chunk back for another attempt, or let it fail for good: the job with it, at once,
        where no attempt can do better.

        Once a chunk of a job has failed for good, the others get no second attempt: the job fails
        anyway, and a retry of the job runs all that have failed.
        """
        now_ms = self._clock.now_ms()
        attempts = work.state.attempts - work.claim.is_spared
        is_last = attempts > self._options.max_retries or work.state.is_doomed
        if is_last or not is_retryable:
            ended = await self._chunks.fail(
                work.ref,
                work.claim.claim_id,
                now_ms=now_ms,
                error=failure_text(error),
                error_class=failure_class(error),
                upstream_requests=work.claim.requests,
                is_hopeless=not is_retryable,
            )
            return Verdict("failed", ends_job=ended is not None)
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
        # Sent again: there may be more attempts than the queue delivers a message.
        await self._sender.send([work.ref], work.state.priority, delay_s=delay_s)
        return Verdict("retrying")


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


def _seconds(delay_ms: int) -> int:
    return math.ceil(delay_ms / 1000) + 1
