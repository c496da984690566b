"""Queues that lose, repeat and reorder messages."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from building_vitals.jobs.model import ChunkRef, FollowRef
from fakes.failures import Failures

MESSAGES_MAX = 100
BATCH_MAX = 10
QUEUE_RETRIES_MAX = 3
PRIORITIES = ("high", "normal", "low")


class FakeMessage:
    """
    One delivery.

    Attributes:
        ref: Which chunk, or which followed site.
        attempts: Deliveries, this one included.
        verdict: None as long as nothing was said, "ack", or seconds until the next delivery.
    """

    def __init__(self, ref: ChunkRef | FollowRef, priority: str, attempts: int = 1) -> None:
        self.ref = ref
        self.priority = priority
        self.attempts = attempts
        self.verdict: str | int | None = None

    @property
    def body(self) -> dict[str, Any]:
        """What was sent, as the runtime gives it."""
        found: dict[str, Any] = msgspec.to_builtins(self.ref)
        return found

    def ack(self) -> None:
        """Acknowledge it; the first word counts."""
        if self.verdict is None:
            self.verdict = "ack"

    def retry(self, delay_s: int) -> None:
        """Have it delivered again; the first word counts."""
        if self.verdict is None:
            self.verdict = delay_s


class FakeQueues:
    """
    A ChunkSender, and where its messages wait.

    Attributes:
        failures: Makes `send` fail.
        sent: Every chunk that was sent, in order.
        follows: Every followed site that was sent, in order.
        losing: Decides whether a message gets lost on its way.
        dead: Messages given up, of all queues.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.failures = Failures("queue")
        self.sent: list[ChunkRef] = []
        self.follows: list[str] = []
        self.losing: Callable[[], bool] = lambda: False
        self.dead: list[FakeMessage] = []
        self._now_ms = now_ms
        self._order = itertools.count()
        self._waiting: dict[str, list[tuple[int, int, FakeMessage]]] = {
            name: [] for name in PRIORITIES
        }

    async def send(
        self, refs: Sequence[ChunkRef | FollowRef], priority: str, *, delay_s: int = 0
    ) -> None:
        """Send one message each."""
        async with self.failures.call("send"):
            assert 0 < len(refs) <= MESSAGES_MAX
            for ref in refs:
                if isinstance(ref, FollowRef):
                    self.follows.append(ref.site)
                else:
                    self.sent.append(ref)
                self.put(FakeMessage(ref, priority), delay_s)

    def put(self, message: FakeMessage, delay_s: int = 0) -> None:
        """Let a message wait for its delivery."""
        if not self.losing():
            due_ms = self._now_ms() + 1000 * delay_s
            entry = (due_ms, next(self._order), message)
            heapq.heappush(self._waiting[message.priority], entry)

    def take(self, priority: str, count: int = BATCH_MAX) -> list[FakeMessage]:
        """Return the messages of a queue that are due."""
        waiting = self._waiting[priority]
        taken: list[FakeMessage] = []
        while waiting and waiting[0][0] <= self._now_ms() and len(taken) < count:
            taken.append(heapq.heappop(waiting)[2])
        return taken

    def settle(self, message: FakeMessage) -> None:
        """Do what was said of a message; silence means that its consumer died."""
        if message.verdict == "ack":
            return
        again = FakeMessage(message.ref, message.priority, message.attempts + 1)
        if message.attempts > QUEUE_RETRIES_MAX:
            self.dead.append(again)
        else:
            self.put(again, message.verdict if isinstance(message.verdict, int) else 0)

    def clear(self) -> None:
        """Lose all that waits, as a local runtime does when it is killed."""
        for waiting in self._waiting.values():
            waiting.clear()

    @property
    def waiting(self) -> int:
        """Messages that wait."""
        return sum(map(len, self._waiting.values()))
