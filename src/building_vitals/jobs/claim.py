"""The right to work on a chunk: taken, kept alive, and lost when somebody cancels the job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from building_vitals.errors import AppError, Unavailable
from building_vitals.jobs.chunks_table import ChunkState, JobChunks
from building_vitals.jobs.model import ChunkRef
from building_vitals.ports import Clock
from building_vitals.upstream.port import FetchCount

# A claim that is not renewed for so long is anybody's.
CLAIM_MS = 12_000
RENEW_MS = 4_000
# Maintenance sends a message for a chunk whose claim was not renewed this long; it waits for the
# claim's end by itself.
DUE_MS = 2_000 + RENEW_MS
# Least time between two writes of progress, and between two looks whether the job is cancelled.
PROGRESS_MS = 1_000
LOOK_MS = 400
# A chunk's estimate may be too low; the rest of its share comes when it is stored.
SHARE_MAX = 0.95


class WorkStopped(AppError):
    """
    The job is cancelled, or the claim has passed to somebody else.

    An AppError, so that what is under way ends in an orderly manner and lets go of its leases.
    """

    code = "stopped"


class Claim:
    """One attempt at one chunk."""

    def __init__(self, chunks: JobChunks, ref: ChunkRef, claim_id: str, clock: Clock) -> None:
        self.claim_id = claim_id
        self._chunks = chunks
        self._ref = ref
        self._clock = clock
        self._share = 0.0
        self._written_ms = 0
        self._looked_ms = 0
        self._is_lost = False

    async def take(self, *, attempts_max: int, patience_ms: int) -> ChunkState | None:
        """Claim the chunk if that can be, and return its state; None when there is no such job."""
        now_ms = self._clock.now_ms()
        self._written_ms = now_ms
        return await self._chunks.claim(
            self._ref,
            self.claim_id,
            now_ms=now_ms,
            expires_ms=now_ms + CLAIM_MS,
            due_ms=now_ms + DUE_MS,
            attempts_max=attempts_max,
            patience_ms=patience_ms,
        )

    async def keep(self) -> None:
        """Renew the claim until cancelled: pages may be slow."""
        while not self._is_lost:
            await self._clock.sleep(RENEW_MS)
            if self._clock.now_ms() - self._written_ms >= RENEW_MS:
                try:
                    await self._renew()
                except Unavailable:
                    # The claim holds for some more renewals.
                    continue

    def progress_of(self, estimated: int) -> Callable[[FetchCount], Awaitable[None]]:
        """
        Return a callback to be awaited after each page of a chunk of *estimated* samples.

        Raises (the callback):
            WorkStopped: nobody needs the rest.
        """
        received: dict[int, int] = {}

        async def on_page(count: FetchCount) -> None:
            received[id(count)] = count.samples_received
            self._share = min(SHARE_MAX, sum(received.values()) / estimated)
            now_ms = self._clock.now_ms()
            if self._is_lost:
                raise WorkStopped("the job is no longer active")
            try:
                if now_ms - self._written_ms >= PROGRESS_MS:
                    await self._renew()
                elif now_ms - self._looked_ms >= LOOK_MS:
                    self._looked_ms = now_ms
                    self._is_lost = not await self._chunks.goes_on(self._ref, self.claim_id)
            except Unavailable:
                # Not worth failing for: the end of the chunk will tell.
                return
            if self._is_lost:
                raise WorkStopped("the job is no longer active")

        return on_page

    async def _renew(self) -> None:
        now_ms = self._clock.now_ms()
        self._written_ms = self._looked_ms = now_ms
        is_kept = await self._chunks.renew(
            self._ref,
            self.claim_id,
            now_ms=now_ms,
            expires_ms=now_ms + CLAIM_MS,
            due_ms=now_ms + DUE_MS,
            share=self._share,
        )
        self._is_lost = not is_kept
