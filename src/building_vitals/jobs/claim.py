"""The right to work on a chunk: taken, kept alive, and lost when somebody cancels the job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from building_vitals.cache.need import Progress
from building_vitals.errors import AppError, Unavailable
from building_vitals.instants import is_recent
from building_vitals.jobs.chunks_table import ChunkState, JobChunks
from building_vitals.jobs.model import CLAIM_MS, ChunkRef
from building_vitals.jobs.submission import RESEND_AFTER_MS
from building_vitals.ports import Clock

# Sends the messages of chunks of the job that were made.
SendMade = Callable[[list[int]], Awaitable[None]]

# Renewals and looks cost statements, of which an invocation has a thousand for all its chunks: of
# 240 s, these take 180 at most.
RENEW_MS = 4_000
# Between two looks whether it is time to renew: the clock may have stepped back.
RENEW_PAUSE_MS_MIN = 500
# Maintenance sends a message for a chunk whose claim was not renewed this long; it waits for the
# claim's end by itself.
DUE_MS = 3_000 + RENEW_MS
# Least time between two writes of progress, and between two looks whether the job is cancelled.
PROGRESS_MS = 4_000
LOOK_MS = 2_000
# The rest of a chunk's share comes when all of it is stored.
SHARE_MAX = 0.95
# An attempt that has stored so much of its chunk's points and time has not failed, however it ends:
# the next one goes on from there. It is more than nothing, so that there is an end to it.
GOES_ON_SHARE_MIN = 0.01


class WorkStopped(AppError):
    """
    The job is cancelled, or the claim has passed to somebody else.

    An AppError, so that what is under way ends in an orderly manner and lets go of its leases.
    """

    code = "stopped"


class Claim:
    """
    One attempt at one chunk.

    Once something has come, the chunks that come next are made, and handed to *send*: before that,
    nothing says that the site can be had.

    Attributes:
        requests: Those it has sent upstream, as far as it was told.
        is_spared: Whether the chunk has the attempt back.
    """

    def __init__(
        self, chunks: JobChunks, ref: ChunkRef, claim_id: str, clock: Clock, send: SendMade
    ) -> None:
        self.claim_id = claim_id
        self._send = send
        self._has_made = False
        self._chunks = chunks
        self._ref = ref
        self._clock = clock
        self.requests = 0
        self.is_spared = False
        self._share = 0.0
        self._written_share = 0.0
        self._is_to_be_spared = False
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
            left_ms = self._written_ms + RENEW_MS - self._clock.now_ms()
            await self._clock.sleep(min(max(left_ms, RENEW_PAUSE_MS_MIN), RENEW_MS))
            if not is_recent(self._written_ms, self._clock.now_ms(), RENEW_MS):
                try:
                    await self._renew()
                except Unavailable:
                    # The claim holds for some more renewals.
                    continue

    async def on_progress(self, progress: Progress) -> None:
        """
        Note how far the chunk has come; to be awaited after each page.

        Raises:
            WorkStopped: nobody needs the rest.
        """
        self.requests = progress.requests
        self._share = min(SHARE_MAX, progress.share)
        self._is_to_be_spared = progress.stored_share >= GOES_ON_SHARE_MIN
        now_ms = self._clock.now_ms()
        if self._is_lost:
            raise WorkStopped("the job is no longer active")
        try:
            is_first = self._share > 0 and not self._has_made
            if is_first or now_ms - self._written_ms >= PROGRESS_MS:
                await self._renew()
            elif now_ms - self._looked_ms >= LOOK_MS:
                self._looked_ms = now_ms
                self._is_lost = not await self._chunks.goes_on(self._ref, self.claim_id)
        except Unavailable:
            # Not worth failing for: the end of the chunk will tell, and the maintenance run sends
            # what could not be sent.
            return
        if self._is_lost:
            raise WorkStopped("the job is no longer active")

    async def _renew(self) -> None:
        now_ms = self._clock.now_ms()
        self._written_ms = self._looked_ms = now_ms
        is_spared = self._is_to_be_spared and not self.is_spared
        # Before the call: should only its answer get lost, the attempt must not come back twice.
        self.is_spared = self.is_spared or is_spared
        makes = self._share > 0 and not self._has_made
        made = await self._chunks.renew(
            self._ref,
            self.claim_id,
            now_ms=now_ms,
            expires_ms=now_ms + CLAIM_MS,
            due_ms=now_ms + DUE_MS,
            share=self._share if self._share > self._written_share or is_spared else None,
            is_spared=is_spared,
            makes_due_ms=now_ms + RESEND_AFTER_MS if makes else None,
        )
        self._is_lost = made is None
        self._written_share = self._share
        self._has_made = self._has_made or makes
        if made:
            await self._send(made)
