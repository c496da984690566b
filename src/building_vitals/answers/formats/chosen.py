"""
Some samples of each point instead of all, in any format.

Separate from the formats, so that each of them knows only of samples that are put in.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise

from building_vitals.answers.formats.encoder import Encoder
from building_vitals.answers.formats.runs import PieceRuns
from building_vitals.cache.segments import Piece
from building_vitals.series.thinning import PointThinning


def first_instant(text: bytes) -> int:
    """Return the instant of the first sample of a run."""
    return int(text[1 : text.index(b",")])


def known_among(times: Sequence[int], turns_ms: Sequence[int]) -> int:
    """
    Return how many of the samples had been known before.

    Args:
        times: Their instants, ascending.
        turns_ms: Where what was known ends and begins again, in turn.
    """
    places = [0, *(bisect_left(times, each) for each in turns_ms), len(times)]
    return sum(end - begin for begin, end in list(pairwise(places))[::2])


class ChosenSamples:
    """
    An encoder that is given all samples, and gives another one at most *max_points* of each point.

    A point is begun there when all of its samples have been seen, so the count is known by then.

    Attributes:
        samples_from_cache: Chosen samples that do not lie in the objects *made* for the answer.
    """

    is_counted = False

    def __init__(
        self, encoder: Encoder, max_points: int, made: frozenset[str] = frozenset()
    ) -> None:
        self.samples_from_cache = 0
        self._made = made
        # Where what was known and what was not begins, in turn: first what was.
        self._turns_ms: list[int] = []
        self._encoder = encoder
        self._max_points = max_points
        self._runs = PieceRuns()
        self._point = ""
        self._thinning = PointThinning(max_points)
        self._is_open = False

    @property
    def samples(self) -> int:
        """Samples that the other encoder has been given."""
        return self._encoder.samples

    @property
    def pending(self) -> int:
        """Bytes that wait in it."""
        return self._encoder.pending

    def begin_point(self, point: str, _count: int | None = None, /) -> None:
        """Begin the samples of a point."""
        self._point, self._is_open, self._turns_ms = point, True, []
        self._thinning = PointThinning(self._max_points)

    def add(self, piece: Piece, data: bytes | memoryview, *, is_last: bool = True) -> Iterator[int]:
        """Take the next bytes of a piece, run by run."""
        for _, text in self._runs.read(piece, data, is_last=is_last):
            if text:
                if (piece.key in self._made) != len(self._turns_ms) % 2:
                    self._turns_ms.append(first_instant(text))
                self._thinning.add(text)
            yield 0

    def add_text(self, _count: int, text: bytes, /) -> None:
        """Take samples."""
        self._thinning.add(text)

    def choose(self) -> Iterator[int]:
        """Put in what has been chosen; yield between two runs."""
        if not self._is_open:
            return
        self._is_open = False
        thinning = self._thinning
        self._encoder.begin_point(self._point, thinning.choose())
        self.samples_from_cache += known_among(thinning.times, self._turns_ms)
        for count, text in thinning.texts():
            self._encoder.add_text(count, text)
            yield 0

    def end_point(self, error: str | None = None, _level: str | None = None) -> None:
        """End the point begun last; *error* says why it has no samples."""
        for _ in self.choose():
            # Where it was not asked for before, it comes together here.
            continue
        self._encoder.end_point(error, self._thinning.level)

    def take(self) -> bytes:
        """Return what has come together since the last call."""
        return self._encoder.take()

    def finish(self, meta: object) -> bytes:
        """Return the rest of the body."""
        return self._encoder.finish(meta)
