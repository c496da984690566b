"""
Wide answers: what many points had at the same instants, side by side.

Segments hold one point after the other, so that the rows of an answer are made part by part of its
range: all points' samples of a part are read, put side by side, sent, and forgotten. Imported late:
few answers are wide.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from itertools import pairwise

from building_vitals.answers.answer import CacheReport
from building_vitals.answers.body import ByteSource, encoded
from building_vitals.answers.formats.encoder import BodyOptions, TextEncoder
from building_vitals.answers.formats.wide_rows import WideCsv
from building_vitals.answers.pieces import PointPieces, total_text_bytes
from building_vitals.answers.zoom import zoomed
from building_vitals.cache.coverage import Cover
from building_vitals.cache.segments import Piece, pieces
from building_vitals.errors import TooLarge
from building_vitals.ranges import Range
from building_vitals.series.frames import cut_text

# Samples that are put side by side at a time: some 250 bytes each.
SAMPLES_MAX = 60_000
# Bytes of their text, should they be more than it seemed.
TEXT_BYTES_MAX = 100 * SAMPLES_MAX
# Chosen samples have to be there before the first row, as text of some 25 bytes each.
CHOSEN_MAX = 400_000
# Text that is inflated for one answer: a frame that reaches over many parts is, for each of them.
INFLATED_BYTES_MAX = 4_294_967_296
# Bytes of a full frame's text, mostly.
FRAME_BYTES = 180_000


class PointTexts(TextEncoder):
    """
    Collects the samples' text of each point, chosen or all of them.

    Attributes:
        texts: Of the points that have ended.
        size: Bytes of them, and of the point begun last.
    """

    def __init__(self, points_count: int) -> None:
        super().__init__(BodyOptions(points_count, gzip=False))
        self.texts: list[bytes] = []
        self.size = 0
        self._taken: list[bytes] = []

    def _rows(self, text: bytes) -> bytes:
        self._taken.append(text)
        self.size += len(text)
        return b""

    def _closing(self, _error: str | None, _level: str | None) -> bytes:
        self.texts.append(b",".join(self._taken))
        self._taken = []
        return b""


class WideRows:
    """
    The rows of one wide answer.

    Attributes:
        encoder: What they are put into.
        size: About how many bytes it takes to make them.
    """

    def __init__(
        self,
        covers: Sequence[Cover],
        parts: Sequence[PointPieces],
        report: CacheReport,
        *,
        gzip: bool,
        max_points: int | None,
    ) -> None:
        """
        Args:
            covers: One for each point, every frame directory loaded.
            parts: The same, resolved.
            report: Told how many samples had been known.
            gzip: Compress the body.
            max_points: Choose at most so many samples of each point; None for all.

        Raises:
            TooLarge: it would take more memory or more time than there is.
        """
        self._covers = covers
        self._report = report
        self._max_points = max_points
        self._count = sum(_count(part, max_points) for part in parts)
        # A row for each sample, at worst, with a cell for each point.
        self.size = max(total_text_bytes(parts), self._count * len(parts))
        if max_points is not None and self._count > CHOSEN_MAX:
            raise TooLarge(
                f"layout=wide puts at most {CHOSEN_MAX:,} chosen samples side by side; these are "
                f"up to {self._count:,}: ask for fewer points, or for fewer max_points"
            )
        inflated = _inflated_bytes(parts, len(self._windows()))
        if max_points is None and inflated > INFLATED_BYTES_MAX:
            raise TooLarge(
                f"layout=wide cannot put {self._count:,} samples of {len(parts):,} points side by "
                "side: ask for fewer points, a shorter range or max_points, or leave out layout="
            )
        self.encoder = WideCsv([part.point for part in parts], gzip=gzip)

    async def chunks(self, source: ByteSource) -> AsyncGenerator[bytes]:
        """
        Yield the body of the answer but for its end, out of the encoder.

        Raises:
            LostObjects: as `body.encoded` does.
        """
        chosen = None
        if self._max_points is not None:
            chosen = await self._texts(source, self._max_points)
        yield self.encoder.take()
        waiting = self._windows()[::-1]
        while waiting:
            window = waiting.pop()
            if chosen is None:
                found = await self._collect(source, window)
            else:
                found = _cut(chosen, window)
            if found is None:
                middle_ms = (window.start_ms + window.end_ms) // 2
                waiting += [Range(middle_ms, window.end_ms), Range(window.start_ms, middle_ms)]
                continue
            for _ in self.encoder.put(found):
                yield self.encoder.take()

    def _windows(self) -> list[Range]:
        """Return parts of the range with a few samples each, if all were evenly spread."""
        ranges = [part for each in self._covers for _, part in each.known]
        if not ranges:
            return []
        whole = Range(min(each.start_ms for each in ranges), max(each.end_ms for each in ranges))
        windows_count = min(max(1, -(-self._count // SAMPLES_MAX)), whole.duration_ms)
        edges_ms = [
            whole.start_ms + whole.duration_ms * n // windows_count
            for n in range(windows_count + 1)
        ]
        return [Range(*edges) for edges in pairwise(edges_ms)]

    async def _collect(self, source: ByteSource, window: Range) -> list[bytes] | None:
        """Return the samples' text of each point in a part of the range; None for too many."""
        parts = [
            PointPieces(
                each.point,
                [
                    piece
                    for segment, part in each.known
                    if (shared := part.clip(window)) is not None
                    for piece in pieces(segment, shared)
                ],
            )
            for each in self._covers
        ]
        is_least = window.duration_ms == 1
        if not is_least and sum(_share(piece) for each in parts for piece in each.pieces) > (
            SAMPLES_MAX
        ):
            return None
        report = self._report
        before = report.samples_from_cache, report.samples_fetched
        texts = await self._texts(source._replace(parts=parts), None, is_least=is_least)
        if texts is None:
            report.samples_from_cache, report.samples_fetched = before
        return texts

    async def _texts(
        self, source: ByteSource, max_points: int | None, *, is_least: bool = True
    ) -> list[bytes] | None:
        """Return the text of each point; None where it is more than was to be expected."""
        collected = PointTexts(len(source.parts))
        chunks = (
            encoded(source, collected, self._report)
            if max_points is None
            else zoomed(source, collected, self._report, max_points)
        )
        try:
            async for _ in chunks:
                if not is_least and collected.size > TEXT_BYTES_MAX:
                    return None
        finally:
            await chunks.aclose()
        return collected.texts


def _cut(texts: Sequence[bytes], window: Range) -> list[bytes] | None:
    found = [cut_text(text, window) if text else (0, b"") for text in texts]
    if sum(count for count, _ in found) > SAMPLES_MAX and window.duration_ms > 1:
        return None
    return [text for _, text in found]


def _count(part: PointPieces, max_points: int | None) -> int:
    count = sum(piece.count for piece in part.pieces)
    return count if max_points is None else min(count, max_points)


def _share(piece: Piece) -> float:
    """Return about how many samples a piece has: of a frame that is cut, a share."""
    frame, time_range = piece.frame, piece.time_range
    if frame is None or time_range is None:
        return piece.count
    shared = time_range.clip(Range(frame.first_ms, frame.last_ms + 1))
    duration_ms = 0 if shared is None else shared.duration_ms
    return piece.count * duration_ms / (frame.last_ms + 1 - frame.first_ms)


def _inflated_bytes(parts: Sequence[PointPieces], windows_count: int) -> int:
    """Return about how many bytes of text are inflated for an answer, at most."""
    return sum(
        (text_bytes := sum(piece.text_bytes for piece in each.pieces))
        + windows_count * min(text_bytes, FRAME_BYTES)
        for each in parts
    )
