"""Makes the data of a chunk known, and says what they are."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from building_vitals.ahead import is_thrown_away
from building_vitals.cache.coverage import Cover, gaps_of
from building_vitals.cache.fetcher import OnProgress
from building_vitals.cache.filler import SegmentFiller
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.need import Need
from building_vitals.cache.segments import DirectoryMissing, Piece, cut_piece_text, pieces
from building_vitals.cache.store import LostObjects, SegmentStore
from building_vitals.errors import Unavailable
from building_vitals.jobs.chunks_table import Result

RunLater = Callable[[Coroutine[Any, Any, None]], None]
FillerFor = Callable[[RunLater], SegmentFiller]

# Times that a chunk is filled because objects were gone.
FILLS_MAX = 4
# Frames that the edges of a chunk cut are read so many at a time: of each point there are few.
PIECES_AT_ONCE = 200


class ChunkFilling:
    """
    Fills chunks.

    *filler_for* gives a filler that hands its work behind an answer to the function.
    """

    def __init__(self, *, filler_for: FillerFor, store: SegmentStore, index: SegmentIndex) -> None:
        self._filler_for = filler_for
        self._store = store
        self._index = index

    async def missing_share(self, need: Need) -> float:
        """
        Return what of a need is not known, as a share of its points and time.

        Raises:
            Unavailable: the database can't be reached.
        """
        filler = self._filler_for(_drop)
        return need.missing_share(gaps_of(filler.cover(need, await filler.look_up(need))))

    async def fill(
        self, need: Need, on_progress: OnProgress, on_begin: Callable[[float], None]
    ) -> Result:
        """
        Fetch what is missing, and return what the chunk's data are.

        Objects that turn out to be gone are forgotten, and what they held is fetched.

        Args:
            need: The chunk's.
            on_progress: Awaited after each page.
            on_begin: Called with the share that is missing, each time that it has been looked up.

        Raises:
            AppError: the data can't be had, or nobody needs them.
        """
        requests = unreadable = 0
        for _ in range(FILLS_MAX):
            covered, filling_requests, filling_unreadable = await self._fill(
                need, on_progress, on_begin
            )
            requests += filling_requests
            unreadable += filling_unreadable
            try:
                samples, text_bytes = await self._measure(need, covered)
            except LostObjects:
                # The index has forgotten them by now: the next look-up finds gaps there.
                continue
            return Result(samples, text_bytes, requests, unreadable)
        raise Unavailable("objects get lost again and again: what was stored could not be read")

    async def _fill(
        self, need: Need, on_progress: OnProgress, on_begin: Callable[[float], None]
    ) -> tuple[list[Cover], int, int]:
        """Return what covers the need, the requests it took, and samples that were left out."""
        behind: list[Coroutine[Any, Any, None]] = []
        filler = self._filler_for(behind.append)
        try:
            segments = await filler.look_up(need)
            on_begin(need.missing_share(gaps_of(filler.cover(need, segments))))
            filling = await filler.fill(need, segments, on_progress)
        finally:
            for each in behind:
                if is_thrown_away():
                    each.close()
                else:
                    await each
        covered, counts = filling.covers, (filling.upstream_requests, filling.unreadable)
        if behind:
            # What is known of thousands of points takes megabytes: not twice.
            del filling, segments, covered
            # What was fetched counts once it can be found.
            covered = filler.cover(need, await filler.look_up(need))
            if gaps_of(covered):
                raise Unavailable("what was fetched for the chunk could not be stored")
        return covered, *counts

    async def _measure(self, need: Need, covered: Sequence[Cover]) -> tuple[int, int]:
        """Return samples and bytes of text; only frames that the chunk's range cuts are read."""
        covered = await self._store.at_hand(need.site, covered)
        try:
            found = _pieces(covered)
        except DirectoryMissing:
            segments = await self._index.find(need.site, need.points, need.time_range)
            again = self._filler_for(_drop).cover(need, segments)
            found = _pieces(await self._store.at_hand(need.site, again))
        cut = [piece for piece in found if piece.frame is not None]
        whole = [piece for piece in found if piece.frame is None]
        samples = sum(piece.count for piece in whole)
        text_bytes = sum(piece.text_bytes for piece in whole)
        for start in range(0, len(cut), PIECES_AT_ONCE):
            some = cut[start : start + PIECES_AT_ONCE]
            blobs = await self._store.read(some, {})
            for piece in some:
                count, text = cut_piece_text(piece, blobs.piece(piece))
                samples += count
                text_bytes += len(text)
        return samples, text_bytes


def _pieces(covered: Sequence[Cover]) -> list[Piece]:
    return [piece for cover in covered for each in cover.known for piece in pieces(*each)]


def _drop(work: Coroutine[Any, Any, None]) -> None:
    work.close()
