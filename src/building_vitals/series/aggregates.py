"""
Aggregates of buckets: the numbers of a bucket as one row, of samples that come run by run.

Separate because it decides what a mean, a sum or an increase is. Imported late, with the buckets.

Numbers alone count: text, booleans, null, arrays and objects are passed over, as if they had not
been sent. What came before the range is not looked at, so that an answer depends on the samples of
its range alone, whichever way they came:

- The time-weighted mean counts from the bucket's begin, with the number before it in the range,
  however old that is; without one, from the bucket's first number. The last number holds to the
  end of the bucket or of the range.
- The increase of a bucket begins at the number before it in the range; without one, at its first.
  A number that is smaller than the one before it is a counter that began again at 0.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from itertools import pairwise
from math import isfinite
from operator import lt, sub
from typing import NamedTuple

import msgspec

from building_vitals.ranges import Range
from building_vitals.series.buckets import Buckets
from building_vitals.series.exact import (
    Number,
    Part,
    exact_parts,
    quotient_of,
    total_of,
    weighted,
    weighted_parts,
)
from building_vitals.series.sample_text import decode_samples, decode_values

# As many parts of a sum are held before they are added up.
PARTS_MAX = 32
# As many parts are what adding up leaves.
PARTS_MIN = 2
# Aggregates that are one of the samples, with the digits that it was sent with.
OWN_DIGITS = frozenset({"first", "last", "min", "max"})
_NUMBERS = frozenset({int, float})


class Numbers(NamedTuple):
    """
    The samples of a run that are numbers, in order of time, as three lists of one length.

    Attributes:
        times: Epoch milliseconds.
        values: Finite.
        raws: Their JSON texts; empty where nobody wants them.
    """

    times: list[int]
    values: list[Number]
    raws: list[bytes]


def numbers_of(text: bytes, *, has_raws: bool) -> Numbers:
    """
    Return the numbers of a run of samples.

    Args:
        text: As frames hold it, not empty.
        has_raws: Whether the digits are wanted.

    Raises:
        CorruptSegment: the text is not a run of samples.
    """
    if b'"' not in text and b"{" not in text:
        flat = text[1:-1].replace(b"],[", b",")
        if b"[" not in flat:
            try:
                decoded = msgspec.json.decode(b"[%b]" % flat)
            except msgspec.MsgspecError:
                # A number beyond double, or no samples at all.
                decoded = []
            values = decoded[1::2]
            if values and _NUMBERS.issuperset(map(type, values)):
                return Numbers(decoded[::2], values, flat.split(b",")[1::2] if has_raws else [])
    samples = decode_samples(text)
    values = decode_values([raw for _, raw in samples])
    places = [n for n, each in enumerate(values) if type(each) in _NUMBERS and isfinite(each)]
    return Numbers(
        [samples[n][0] for n in places],
        [values[n] for n in places],
        [bytes(samples[n][1]) for n in places] if has_raws else [],
    )


class Summary(msgspec.Struct, frozen=True, gc=False):
    """
    What is to be known of consecutive numbers, so that those of several stretches can be joined.

    Attributes:
        count: How many, at least one.
        first_ms, last_ms: Instants of the first and the last.
        first, last, low, high: These, the smallest and the largest; the earliest of equals.
        total: Parts of their sum.
        integral: Parts of the sum of each number but the last, times the milliseconds to the next.
        increase: Parts of what a counter has increased by from the first to the last.
        first_raw, last_raw, low_raw, high_raw: Their JSON texts, empty where nobody wants them.
    """

    count: int
    first_ms: int
    last_ms: int
    first: Number
    last: Number
    low: Number
    high: Number
    total: tuple[Part, ...]
    integral: tuple[Part, ...]
    increase: tuple[Part, ...]
    first_raw: bytes = b""
    last_raw: bytes = b""
    low_raw: bytes = b""
    high_raw: bytes = b""


class Needs(NamedTuple):
    """
    What has to be known of numbers for some aggregates.

    Attributes:
        digits: How some of them were sent.
        extremes: The smallest and the largest.
        total: Their sum.
        integral: The time-weighted sum.
        increase: Of a counter.
    """

    digits: bool
    extremes: bool
    total: bool
    integral: bool
    increase: bool


def needs_of(aggregates: Collection[str]) -> Needs:
    """Return what has to be known for some aggregates."""
    asked = frozenset(aggregates)
    return Needs(
        digits=not asked.isdisjoint(OWN_DIGITS),
        extremes=not asked.isdisjoint({"min", "max", "twa"}),
        total=not asked.isdisjoint({"mean", "sum"}),
        integral="twa" in asked,
        increase="delta" in asked,
    )


def summary_of(numbers: Numbers, begin: int, end: int, needs: Needs) -> Summary:
    """
    Return what is to be known of some numbers.

    Args:
        numbers: Of a run.
        begin: The place of the first of them.
        end: The place after the last of them, later.
        needs: What is wanted; the rest is left empty.
    """
    values, raws = numbers.values[begin:end], numbers.raws
    low = high = values[0]
    if needs.extremes:
        low, high = min(values), max(values)
    return Summary(
        count=end - begin,
        first_ms=numbers.times[begin],
        last_ms=numbers.times[end - 1],
        first=values[0],
        last=values[-1],
        low=low,
        high=high,
        total=exact_parts(values) if needs.total else (),
        integral=_integral(numbers.times[begin:end], values) if needs.integral else (),
        increase=_increase(values) if needs.increase else (),
        first_raw=raws[begin] if raws else b"",
        last_raw=raws[end - 1] if raws else b"",
        low_raw=raws[begin + values.index(low)] if raws else b"",
        high_raw=raws[begin + values.index(high)] if raws else b"",
    )


def _integral(times: Sequence[int], values: Sequence[Number]) -> tuple[Part, ...]:
    if len(values) == 1:
        return ()
    return weighted_parts(values[:-1], list(map(sub, times[1:], times)))


def _increase(values: Sequence[Number]) -> tuple[Part, ...]:
    """Return the parts of the increase: from first to last, and once more what a reset took."""
    if not any(map(lt, values[1:], values)):
        return values[-1], -values[0]
    before = [value for value, after in pairwise(values) if after < value]
    return exact_parts([values[-1], -values[0], *before])


class _Sum:
    """A sum that goes on."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    def add(self, parts: Sequence[Part]) -> None:
        """Add numbers."""
        self._parts = [*self._parts, *parts]
        if len(self._parts) > PARTS_MAX:
            self._parts = exact_parts(self._parts)

    def value(self) -> Number | None:
        """Return the sum; None where no double is as large."""
        return total_of(self._parts)

    def divided(self, divisor: int) -> float | None:
        """Return the sum divided by a number; None where no double is as large."""
        parts = self._parts if len(self._parts) <= PARTS_MIN else exact_parts(self._parts)
        return quotient_of(parts, divisor)


class _OpenBucket:
    """
    A bucket that more numbers may come of.

    Attributes:
        bucket: Its range; the last one of a range ends with that.
        latest: Its last number so far.
    """

    def __init__(self, bucket: Range, needs: Needs, first: Summary, before: Summary | None) -> None:
        """
        Args:
            bucket: Its range.
            needs: What is wanted of it.
            first: Its first numbers.
            before: Those that came last before it; None for the first bucket.
        """
        self.bucket = bucket
        self.latest = first
        self._needs = needs
        self._count = first.count
        self._first = self._lowest = self._highest = first
        self._total = _Sum(first.total)
        self._integral = _Sum(first.integral)
        self._increase = _Sum(first.increase)
        # What is weighted with time has the number from before the bucket, too.
        self._covered_ms = first.first_ms
        self._least, self._most = first.low, first.high
        if before is not None and needs.integral:
            self._covered_ms = bucket.start_ms
            self._least, self._most = min(first.low, before.last), max(first.high, before.last)
            self._hold(before.last, first.first_ms - bucket.start_ms)
        if before is not None and needs.increase:
            self._increase.add(_step(before.last, first.first))

    def take(self, summary: Summary) -> None:
        """Take numbers that are later than those before."""
        latest, self.latest = self.latest, summary
        self._count += summary.count
        if self._needs.total:
            self._total.add(summary.total)
        if self._needs.extremes:
            if summary.low < self._lowest.low:
                self._lowest = summary
            if summary.high > self._highest.high:
                self._highest = summary
            self._least, self._most = min(summary.low, self._least), max(summary.high, self._most)
        if self._needs.integral:
            self._integral.add(summary.integral)
            self._hold(latest.last, summary.first_ms - latest.last_ms)
        if self._needs.increase:
            self._increase.add(summary.increase)
            self._increase.add(_step(latest.last, summary.first))

    def _hold(self, value: Number, duration_ms: int) -> None:
        self._integral.add((weighted(value, duration_ms),))

    def row(self, aggregates: Sequence[str]) -> bytes:
        """Return the bucket's begin and the aggregates as a JSON array; no more numbers come."""
        texts = [
            self._raw(each) if each in OWN_DIGITS else _number_text(self._number(each))
            for each in aggregates
        ]
        return b"[%d,%b]" % (self.bucket.start_ms, b",".join(texts))

    def _raw(self, aggregate: str) -> bytes:
        """Return an aggregate that is one of the samples, digits unchanged."""
        match aggregate:
            case "min":
                return self._lowest.low_raw
            case "max":
                return self._highest.high_raw
            case "first":
                return self._first.first_raw
        return self.latest.last_raw

    def _number(self, aggregate: str) -> Number | None:
        """Return an aggregate that is reckoned; None where no double is as large."""
        match aggregate:
            case "count":
                return self._count
            case "sum":
                return self._total.value()
            case "mean":
                return self._total.divided(self._count)
            case "delta":
                return self._increase.value()
        return self._weighted_mean()

    def _weighted_mean(self) -> Number | None:
        latest, end_ms = self.latest, self.bucket.end_ms
        self._hold(latest.last, end_ms - latest.last_ms)
        mean = self._integral.divided(end_ms - self._covered_ms)
        # Each product was rounded: what never changes must be its own mean.
        return None if mean is None else min(max(mean, self._least), self._most)


def _step(before: Number, after: Number) -> tuple[Part, ...]:
    """Return the increase of a counter from one number to the next."""
    return (after,) if after < before else (after, -before)


def _number_text(number: Number | None) -> bytes:
    return b"null" if number is None else repr(number).encode()


class PointAggregation:
    """
    The rows of one point, made of its samples as they come; of a bucket only sums are held.

    Attributes:
        count: Rows that have been given.
    """

    def __init__(self, aggregates: Sequence[str], buckets: Buckets) -> None:
        """
        Args:
            aggregates: Their names, in the order of a row.
            buckets: Of the range.
        """
        self.count = 0
        self._aggregates = tuple(aggregates)
        self._needs = needs_of(aggregates)
        self._buckets = buckets
        self._open: _OpenBucket | None = None

    def add(self, text: bytes) -> bytes:
        """
        Take a run of samples, later than those before.

        Args:
            text: As frames hold it, not empty.

        Returns:
            The rows of the buckets that have ended, in the form of a run; may be empty.

        Raises:
            CorruptSegment: the text is not a run of samples.
        """
        numbers = numbers_of(text, has_raws=self._needs.digits)
        times, begin, rows = numbers.times, 0, list[bytes]()
        while begin < len(times):
            bucket = self._bucket_of(times[begin])
            end = bisect_left(times, bucket.end_ms, begin)
            self._take(summary_of(numbers, begin, end, self._needs), bucket, rows)
            begin = end
        return b",".join(rows)

    def _bucket_of(self, instant_ms: int) -> Range:
        if self._open is not None and instant_ms < self._open.bucket.end_ms:
            return self._open.bucket
        return self._buckets.at(instant_ms)

    def _take(self, summary: Summary, bucket: Range, rows: list[bytes]) -> None:
        before = self._open
        if before is not None and before.bucket is bucket:
            before.take(summary)
            return
        if before is not None:
            rows.append(before.row(self._aggregates))
            self.count += 1
        latest = None if before is None else before.latest
        self._open = _OpenBucket(bucket, self._needs, summary, latest)

    def end(self) -> bytes:
        """Return the row of the last bucket; empty where there is none."""
        if self._open is None:
            return b""
        self.count += 1
        row, self._open = self._open.row(self._aggregates), None
        return row
