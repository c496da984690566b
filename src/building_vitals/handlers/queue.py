"""
Batches of queue messages: each on its own, each acknowledged or sent back, nothing raised.

What raises loses acknowledgements: the local runtime then delivers a whole batch again.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from building_vitals.app import App
from building_vitals.errors import AppError, Unavailable
from building_vitals.instants import elapsed_ms
from building_vitals.jobs.model import PRIORITIES, ChunkRef, FollowRef
from building_vitals.jobs.runner import ChunkRunner, Verdict
from building_vitals.statistics.events import DeadLetterEvent, FollowEvent

DEAD_LETTER_SUFFIX = "-dlq"
# Chunks of a batch that run side by side: while one waits for the upstream, the other is folded.
WIDTH = 2
# Later, no further chunk of a batch is begun: a consumer may take 15 minutes. Nor is one begun with
# half of the statements spent that an invocation has.
# https://developers.cloudflare.com/queues/platform/limits/
BATCH_MS_MAX = 480_000
# Until a message is delivered again that could not be dealt with; doubles with each delivery.
TROUBLE_DELAY_S = 10


class Message(Protocol):
    """
    One message as the runtime delivers it.

    Attributes:
        body: What was sent.
        attempts: Deliveries, this one included.
    """

    @property
    def body(self) -> Any: ...
    @property
    def attempts(self) -> int: ...

    def ack(self) -> None:
        """Acknowledge it: the queue forgets it."""
        ...

    def retry(self, delay_s: int) -> None:
        """Have it delivered again, not before *delay_s* have passed."""
        ...


async def consume(queue: str, messages: Sequence[Message], app: App) -> None:
    """
    Deal with every message of a batch.

    Args:
        queue: Its name tells dead letters from chunks to run.
        messages: The batch.
        app: The services.
    """
    started_ms = app.clock.now_ms()
    waiting = iter(messages)

    async def work() -> None:
        for message in waiting:
            is_late = app.clock.now_ms() - started_ms > BATCH_MS_MAX
            if is_late or app.statements.is_spent:
                await _put_back(message, queue, app)
            else:
                await _deal_with(message, queue, app)

    await asyncio.gather(*(work() for _ in range(min(WIDTH, len(messages)))))


async def _put_back(message: Message, queue: str, app: App) -> None:
    """
    Leave a message to another invocation.

    A chunk's is sent again: the queue counts deliveries, and this one must not use them up.
    """
    try:
        if queue.endswith(DEAD_LETTER_SUFFIX):
            raise Unavailable("dead letters have no queue to be sent to")
        await app.platform.queues.send([_ref_of(message)], _priority(queue))
    except (msgspec.ValidationError, AppError):
        message.retry(1)
    else:
        message.ack()


def _priority(queue: str) -> str:
    """Return whose queue it is, by the end of its name: `chart-processing-high`."""
    return next((each for each in PRIORITIES if queue.endswith(f"-{each}")), "normal")


async def _deal_with(message: Message, queue: str, app: App) -> None:
    """Deal with one message; whatever happens, it is acknowledged or sent back."""
    started_ms = app.clock.now_ms()
    ref: ChunkRef | FollowRef | None = None
    trouble: str | None = None
    try:
        ref = _ref_of(message)
        if isinstance(ref, FollowRef):
            verdict, trouble = await _follow(app, ref, queue, message.attempts)
        else:
            verdict = await _verdict(app.chunk_runner, ref, queue, message.attempts)
    except msgspec.ValidationError as error:
        verdict, trouble = Verdict("unreadable"), str(error)
    except AppError as error:
        verdict, trouble = _later(message), error.detail
    except Exception as error:
        verdict = _later(message)
        trouble = "".join(traceback.format_exception(error))[-2000:]
    if verdict.retry_s is None:
        message.ack()
    else:
        message.retry(verdict.retry_s)
    if isinstance(ref, ChunkRef):
        _record(ref, verdict, message, queue=queue, app=app, started_ms=started_ms)
    app.log(
        "queue",
        queue=queue,
        jobId=ref.job_id if isinstance(ref, ChunkRef) else None,
        chunk=ref.chunk if isinstance(ref, ChunkRef) else None,
        follow=ref.site if isinstance(ref, FollowRef) else None,
        outcome=verdict.outcome,
        delivery=message.attempts,
        retryS=verdict.retry_s,
        unreadableSamples=verdict.unreadable_samples or None,
        error=trouble,
        durationMs=elapsed_ms(started_ms, app.clock.now_ms()),
    )


def _ref_of(message: Message) -> ChunkRef | FollowRef:
    """
    Return what a message says.

    Raises:
        msgspec.ValidationError: it says nothing that is known here.
    """
    body = message.body
    is_follow = isinstance(body, dict) and "follow" in body
    return msgspec.convert(body, FollowRef) if is_follow else msgspec.convert(body, ChunkRef)


async def _follow(
    app: App, ref: FollowRef, queue: str, delivery: int
) -> tuple[Verdict, str | None]:
    """Read a followed site; return what is to become of the message, and what has failed."""
    if queue.endswith(DEAD_LETTER_SUFFIX):
        # The maintenance run sends another one.
        return Verdict("dropped"), None
    started_ms = app.clock.now_ms()
    run = await app.follow_runner.run(ref.site, delivery=delivery)
    if run.pages:
        app.analytics.record_follow(
            FollowEvent(
                site=ref.site,
                outcome=run.outcome,
                rounds=run.rounds,
                pages=run.pages,
                samples=run.samples,
                lag_ms=run.lag_ms or 0,
                duration_ms=elapsed_ms(started_ms, app.clock.now_ms()),
                error=run.error,
            )
        )
    return Verdict(run.outcome, run.retry_s, run.unreadable_samples), run.error


def _record(
    ref: ChunkRef,
    verdict: Verdict,
    message: Message,
    *,
    queue: str,
    app: App,
    started_ms: int,
) -> None:
    """Have recorded what became of a chunk, as far as it matters to anybody."""
    if queue.endswith(DEAD_LETTER_SUFFIX):
        app.analytics.record_dead_letter(
            DeadLetterEvent(
                job_id=ref.job_id,
                chunk=ref.chunk,
                outcome=verdict.outcome,
                attempts=message.attempts,
            )
        )
    if verdict.ends_job:
        app.analytics.record_ended_job(ref.job_id, since_ms=started_ms)


async def _verdict(runner: ChunkRunner, ref: ChunkRef, queue: str, delivery: int) -> Verdict:
    if queue.endswith(DEAD_LETTER_SUFFIX):
        return await runner.handle_dead_letter(ref)
    return await runner.run(ref, delivery=delivery)


def _later(message: Message) -> Verdict:
    return Verdict("trouble", TROUBLE_DELAY_S * 2 ** min(message.attempts - 1, 6))
