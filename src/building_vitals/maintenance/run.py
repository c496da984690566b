"""
What has to be done again and again: each step alone, bounded, and harmless when done twice.

Cron invocations of Python Workers are known to get lost, so the same can be asked for over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from building_vitals.errors import AppError
from building_vitals.jobs.chunks_table import Due, JobChunks
from building_vitals.jobs.model import ChunkRef, ChunkSender
from building_vitals.jobs.service import MESSAGES_PER_SEND_MAX, resend_after_ms
from building_vitals.ports import Clock

# Chunks sent again in one run; the longest due come first, the others in the next run.
RESENT_MAX = 1000
# Chunks that will be due so soon count as due: whoever asks for a run after a crash asks once, and
# the next run by itself may be minutes away. A living claim is renewed 2 s before it is due.
QUEUED_AHEAD_MS = 30_000
CLAIMED_AHEAD_MS = 2_500


class Step(Protocol):
    """
    One thing the maintenance run does.
    """

    @property
    def name(self) -> str:
        """
        As the report calls it.
        """
        ...

    async def run(self, now_ms: int) -> int:
        """
        Do some of it, and return how much has changed.
        """
        ...


class Maintenance:
    """
    Runs the steps one after the other.
    """

    def __init__(
        self, steps: Sequence[Step], clock: Clock, report: Callable[[str, AppError], None]
    ) -> None:
        self._steps = steps
        self._clock = clock
        self._report = report

    async def run(self) -> dict[str, Any]:
        """
        Return what each step has changed; one that fails says so and stops no other.
        """
        done: list[dict[str, Any]] = []
        for step in self._steps:
            try:
                changed = await step.run(self._clock.now_ms())
            except Exception as error:
                failure = error if isinstance(error, AppError) else _unforeseen(error)
                self._report(f"maintenance: {step.name}", failure)
                done.append({"name": step.name, "changed": 0, "error": failure.detail})
            else:
                done.append({"name": step.name, "changed": changed})
        return {"steps": done}


def _unforeseen(error: Exception) -> AppError:
    """
    Return a fault of the code as a failure: it must not keep the other steps from their work.
    """
    return AppError(f"{type(error).__name__}: {error}")


class LostChunks:
    """
    Sends again what seems lost: chunks nobody has begun, and chunks whose claim nobody renews.

    A message too many does no harm: whoever gets it finds the chunk claimed or done.
    """

    name = "lost chunks"

    def __init__(self, chunks: JobChunks, sender: ChunkSender) -> None:
        self._chunks = chunks
        self._sender = sender

    async def run(self, now_ms: int) -> int:
        """
        Send messages for the chunks that are due; return how many.
        """
        due = await self._chunks.find_due(
            queued_ms=now_ms + QUEUED_AHEAD_MS,
            claimed_ms=now_ms + CLAIMED_AHEAD_MS,
            limit=RESENT_MAX,
        )
        by_priority: dict[str, list[Due]] = {}
        for each in due:
            by_priority.setdefault(each.priority, []).append(each)
        for priority in sorted(by_priority, key=("high", "normal", "low").index):
            group = by_priority[priority]
            for start in range(0, len(group), MESSAGES_PER_SEND_MAX):
                await self._send(group[start : start + MESSAGES_PER_SEND_MAX], priority, now_ms)
        return len(due)

    async def _send(self, due: Sequence[Due], priority: str, now_ms: int) -> None:
        await self._sender.send([each.ref for each in due], priority)
        sent: list[tuple[ChunkRef, int]] = [
            (each.ref, max(now_ms, each.claim_expires_ms) + resend_after_ms(each.sends + 1))
            for each in due
        ]
        await self._chunks.mark_resent(sent, now_ms=now_ms)
