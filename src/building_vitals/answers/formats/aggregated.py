"""
Aggregates of buckets instead of samples, in any format.

Separate from the formats, so that each of them knows only of rows that are put in.
"""

from __future__ import annotations

from collections.abc import Iterator

from building_vitals.answers.formats.encoder import Encoder
from building_vitals.answers.formats.runs import PieceRuns
from building_vitals.answers.question import Aggregation
from building_vitals.cache.segments import Piece
from building_vitals.series.aggregates import PointAggregation
from building_vitals.series.buckets import Buckets

# Bytes of rows that are put in together: some 2,000 rows.
HELD_BYTES_MAX = 65_536


class AggregatedSamples:
    """
    An encoder that is given all samples, and gives another one the rows of each point's buckets.

    Rows go out some thousands at a time. Where the other one has to know their count first, they
    are held until the point ends.

    Attributes:
        rows_from_cache: Rows that were made without any of the objects *made* for the answer.
    """

    is_counted = False

    def __init__(
        self,
        encoder: Encoder,
        aggregation: Aggregation,
        buckets: Buckets,
        made: frozenset[str] = frozenset(),
    ) -> None:
        """
        Args:
            encoder: The other one.
            aggregation: What is wanted.
            buckets: Of the range.
            made: Keys of objects whose samples had not been known.
        """
        self.rows_from_cache = 0
        self._encoder = encoder
        self._aggregates = aggregation.aggregates
        self._buckets = buckets
        self._made = made
        self._runs = PieceRuns()
        self._point = ""
        self._rows = PointAggregation(self._aggregates, buckets)
        self._held: list[bytes] = []
        self._held_rows = self._held_bytes = 0
        # Where their count has to be known first.
        self._waiting: list[tuple[int, bytes]] = []
        # Whether all samples of the bucket that is open had been known.
        self._is_known = self._is_known_now = True
        self._is_open = False

    @property
    def samples(self) -> int:
        """Rows that the other encoder has been given."""
        return self._encoder.samples

    @property
    def pending(self) -> int:
        """Bytes that wait in it."""
        return self._encoder.pending

    def begin_point(self, point: str, _count: int | None = None, /) -> None:
        """Begin the samples of a point."""
        self._point, self._is_known, self._is_open = point, True, True
        self._rows = PointAggregation(self._aggregates, self._buckets)
        if not self._encoder.is_counted:
            self._encoder.begin_point(point)

    def add(self, piece: Piece, data: bytes | memoryview, *, is_last: bool = True) -> Iterator[int]:
        """Take the next bytes of a piece, run by run."""
        self._is_known_now = piece.key not in self._made
        for count, text in self._runs.read(piece, data, is_last=is_last):
            if text:
                self.add_text(count, text)
            yield 0

    def add_text(self, _count: int, text: bytes, /) -> None:
        """Take samples."""
        self._is_known &= self._is_known_now
        self._put(self._rows.add(text), is_known=self._is_known_now)

    def _put(self, text: bytes, *, is_known: bool) -> None:
        """Put in rows; *is_known* says it of all but the first."""
        if not text:
            return
        count = text.count(b"[")
        self.rows_from_cache += self._is_known + (count - 1) * is_known
        self._is_known = is_known
        self._held.append(text)
        self._held_rows += count
        self._held_bytes += len(text)
        if self._held_bytes >= HELD_BYTES_MAX:
            self._give()

    def _give(self) -> None:
        run = self._held_rows, b",".join(self._held)
        self._held, self._held_rows, self._held_bytes = [], 0, 0
        if self._encoder.is_counted:
            self._waiting.append(run)
        elif run[0]:
            self._encoder.add_text(*run)

    def choose(self) -> Iterator[int]:
        """Put in what is left: the last row, or all of them; yield between two runs."""
        if not self._is_open:
            return
        self._is_open = False
        self._put(self._rows.end(), is_known=self._is_known)
        self._give()
        yield 0
        if self._encoder.is_counted:
            waiting, self._waiting = self._waiting[::-1], []
            self._encoder.begin_point(self._point, sum(count for count, _ in waiting))
            while waiting:
                count, text = waiting.pop()
                if count:
                    self._encoder.add_text(count, text)
                    yield 0

    def end_point(self, error: str | None = None, _level: str | None = None) -> None:
        """End the point begun last; *error* says why it has no samples."""
        for _ in self.choose():
            # Where it was not asked for before, it comes together here.
            continue
        self._encoder.end_point(error)

    def take(self) -> bytes:
        """Return what has come together since the last call."""
        return self._encoder.take()

    def finish(self, meta: object) -> bytes:
        """Return the rest of the body."""
        return self._encoder.finish(meta)
