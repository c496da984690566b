"""
Counts, sums and means of a point's buckets, of hours that are summed up already and of samples.

Separate from `aggregates`, which goes through samples in their order: sums of hours may come in any
order, thousands at a time. What comes out is the same, to the last digit. Imported late, with the
buckets.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import compress, repeat
from operator import add, lshift, truediv

import msgspec

from building_vitals.instants import HOUR_MS
from building_vitals.ranges import Range
from building_vitals.series.aggregates import numbers_of
from building_vitals.series.buckets import Buckets
from building_vitals.series.exact import exact_parts, ratio
from building_vitals.series.rollups import Rollup

# Numbers from here up to there are written without an exponent, by all who write the fewest digits.
PLAIN_MIN, PLAIN_MAX = 1e-4, 1e16
_NULL = "null"
# Rows that are put together at a time.
ROWS_AT_ONCE = 2_048


class Bounds:
    """
    The bounds of all buckets of a range.

    Attributes:
        begins_ms: Where each begins; of the first one that may be before the range.
        heads: What rows begin with.
        bounds_ms: The same from the range's start on, and its end.
    """

    def __init__(self, buckets: Buckets, time_range: Range) -> None:
        self.begins_ms: list[int] = []
        self.bounds_ms: list[int] = []
        self._places: dict[tuple[int, int, int], tuple[int, list[int]]] = {}
        at_ms = time_range.start_ms
        while at_ms < time_range.end_ms:
            bucket = buckets.at(at_ms)
            self.begins_ms.append(bucket.start_ms)
            self.bounds_ms.append(at_ms)
            at_ms = bucket.end_ms
        self.bounds_ms.append(time_range.end_ms)
        self.heads = [f"[{each}" for each in self.begins_ms]

    def place_of(self, instant_ms: int) -> int:
        """Return which bucket an instant lies in; beside the range, the first or the last."""
        return bisect_right(self.bounds_ms, instant_ms, 1, len(self.bounds_ms) - 1) - 1

    def places(self, span: Range, first_ms: int) -> tuple[int, list[int]]:
        """
        Return the first of the buckets that hours lie in, and where they and the next ones begin.

        Args:
            span: Of the hours; no bound lies within one of them, unless it is the range's.
            first_ms: Where the hours are counted from.
        """
        key = (span.start_ms, span.end_ms, first_ms)
        found = self._places.get(key)
        if found is None:
            begin, end = self.place_of(span.start_ms), self.place_of(span.end_ms - 1)
            cuts = [span.start_ms, *self.bounds_ms[begin + 1 : end + 1], span.end_ms]
            hours = [(each - first_ms) // HOUR_MS for each in cuts]
            found = self._places[key] = begin, hours
        return found


class BucketSums:
    """
    What the numbers of each bucket add up to, of one point.

    Attributes:
        fetched: Buckets that hold what was not known before.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.fetched: set[int] = set()
        self._bounds = bounds
        size = len(bounds.begins_ms)
        self._counts = [0] * size
        self._fractions = [0] * size
        self._totals = [0] * size
        self._bits = 0

    def add_hours(self, rollup: Rollup, span: Range, first_ms: int, *, is_known: bool) -> None:
        """Take hours of a frame that begins at *first_ms*."""
        begin, places = self._bounds.places(span, first_ms)
        counts, fractions, totals, bits = rollup.sums(places)
        self._make_room(bits)
        if bits < self._bits:
            totals = list(map(lshift, totals, repeat(self._bits - bits)))
        held = slice(begin, begin + len(counts))
        self._counts[held] = map(add, self._counts[held], counts)
        self._fractions[held] = map(add, self._fractions[held], fractions)
        self._totals[held] = map(add, self._totals[held], totals)
        if not is_known:
            self.fetched.update(n for n, count in enumerate(counts, begin) if count)

    def add_samples(self, text: bytes, *, is_known: bool) -> None:
        """
        Take a run of samples.

        Raises:
            CorruptSegment: the text is not a run of samples.
        """
        times, values, _ = numbers_of(text, has_raws=False)
        lo = 0
        while lo < len(times):
            n = self._bounds.place_of(times[lo])
            hi = bisect_left(times, self._bounds.bounds_ms[n + 1], lo)
            part = values[lo:hi]
            for each in exact_parts(part):
                above, below = each.as_integer_ratio()
                bits = below.bit_length() - 1
                self._make_room(bits)
                self._totals[n] += above << (self._bits - bits)
            self._counts[n] += hi - lo
            self._fractions[n] += float in set(map(type, part))
            if not is_known:
                self.fetched.add(n)
            lo = hi

    def _make_room(self, bits: int) -> None:
        """Hold totals in units of 2^-bits, or smaller ones."""
        if bits > self._bits:
            self._totals = list(map(lshift, self._totals, repeat(bits - self._bits)))
            self._bits = bits

    def known_rows(self) -> int:
        """Return how many rows were known before."""
        rows = len(self._counts) - self._counts.count(0)
        return rows - len(self.fetched)

    def rows(self, aggregates: Sequence[str]) -> Iterator[tuple[int, bytes]]:
        """Yield the rows of buckets with numbers, as runs with their count."""
        counts, heads = self._counts, self._bounds.heads
        fractions, totals = self._fractions, self._totals
        if not all(counts):
            heads = list(compress(heads, counts))
            fractions, totals = list(compress(fractions, counts)), list(compress(totals, counts))
            counts = list(filter(None, counts))
        columns: dict[str, list[str]] = {"count": [], "mean": [], "sum": []}
        if "count" in aggregates:
            columns["count"] = list(map(str, counts))
        if "mean" in aggregates:
            columns["mean"] = _quotients(totals, list(map(lshift, counts, repeat(self._bits))))
        if "sum" in aggregates:
            columns["sum"] = self._sums(totals, fractions)
        texts = list(
            map(",".join, zip(heads, *(columns[each] for each in aggregates), strict=True))
        )
        for n in range(0, len(texts), ROWS_AT_ONCE):
            some = texts[n : n + ROWS_AT_ONCE]
            yield len(some), f"{'],'.join(some)}]".encode()

    def _sums(self, totals: Sequence[int], fractions: Sequence[int]) -> list[str]:
        found = _quotients(totals, [1 << self._bits] * len(totals))
        for n, has in enumerate(fractions):
            if not has and found[n] != _NULL:
                found[n] = str(totals[n] >> self._bits)
        return found


def _quotients(above: Sequence[int], below: Sequence[int]) -> list[str]:
    """Return the texts of fractions: of integers, division rounds but once."""
    try:
        numbers = list(map(truediv, above, below))
    except OverflowError:
        nearest = map(ratio, above, below)
        return [_NULL if each is None else repr(each) for each in nearest]
    sizes = list(map(abs, numbers))
    if not numbers or max(sizes) >= PLAIN_MAX or min(filter(None, sizes), default=1) < PLAIN_MIN:
        return list(map(repr, numbers))
    # The same digits, ten times as fast.
    return msgspec.json.encode(numbers)[1:-1].decode().split(",")
