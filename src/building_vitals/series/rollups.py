"""
Rollups: of each hour of UTC how many numbers it has and what they add up to, without an error.

Separate from levels, which hold samples: a rollup holds sums, as packed integers, so that thousands
of hours are read in a few calls. Sums are those of the doubles that the numbers stand for, as
`exact` has them: what comes of hours is to the last digit what comes of the samples.

A frame is a header and columns of what all hours up to a place in time have together, so that any
stretch of hours is a difference of two entries. A column that would say nothing is left out:

- the numbers,
- the hours in which some of them were sent with a fraction or an exponent (a sum of integers is
  one),
- the sums, each hour's rounded to some decimals: 23.4 and the like add up to short integers, and
  to shorter ones without what they rise by with each hour on average,
- what the true sum is beyond that, in units of 2^-bits: little, for a decimal's double is never far
  from it.

All are counted from their least entry. The bytes of a column are put together by their place in the
integers, since the high ones hardly change; the low ones are noise, and not deflated.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import accumulate, chain, groupby, repeat
from math import fsum, isfinite
from operator import add, mul, or_, sub
from typing import NamedTuple, Self

from building_vitals.instants import HOUR_MS
from building_vitals.series.exact import Part, exact_parts
from building_vitals.series.frames import Series, SeriesBuilder
from building_vitals.series.levels import Columns
from building_vitals.series.splicing import fragment, stored

# What stands for a rollup where levels have the width of their buckets.
ROLLUP_MS = -HOUR_MS
# Hours of a frame: half a year.
FRAME_HOURS = 4_096
# A rollup is kept of at least so many numbers an hour; of fewer it would save nothing.
HOUR_NUMBERS_MIN = 4
# Sums of samples are right to so many bits, and more (`exact`); a rollup has no more of them.
SUM_BITS_MAX = 96
# What deflating leaves more of is stored as it is: of sums that is most, and to inflate it takes
# eight times as long as to copy it.
DEFLATED_SHARE_MAX = 0.85
# Of fewer entries, one fragment is smaller, and soon inflated.
PARTED_ENTRIES_MIN = 512
# Decimals that numbers are tried to have, and hours that are looked at for it.
DECIMALS_MAX = 9
TRIED_HOURS = 64

_HEADER = struct.Struct("<HBBBBBBI")
# Behind it, where the kind says so: by what the sums rise with each hour, left out of their column.
_RISE = struct.Struct("<q")
_HAS_RISE = 4
_RISE_BITS_MAX = 63
# Bytes of an entry in memory.
_ENTRY_BYTES = 8
_COUNTS, _FRACTIONS, _SUMS, _RESTS = range(4)
# Of a count of hours.
_KIND_BYTES = 2
_ALL_INTEGERS, _ALL_FRACTIONS, _MIXED = range(3)
_FLOATS, _INTEGERS = frozenset({float}), frozenset({int})
_NUMBERS = frozenset({int, float})


class Sums(NamedTuple):
    """
    Sums of consecutive stretches of time, as three lists of one length.

    Attributes:
        counts: Numbers.
        fractions: More than 0 where some of the numbers are no integers as JSON has it.
        totals: Sums, in units of 2^-bits.
        bits: At least 0.
    """

    counts: list[int]
    fractions: list[int]
    totals: list[int]
    bits: int


class Places(NamedTuple):
    """
    Where stretches of hours that follow each other begin, and the last one ends.

    Attributes:
        runs: In hours from a frame's first on; strictly ascending, with even steps within each, as
            days have them until a clock is changed.
        hours: How many each stretch has.
    """

    runs: tuple[range, ...]
    hours: list[int]

    @classmethod
    def of(cls, places: Sequence[int]) -> Self:
        """Return some places, strictly ascending, at least two, as runs."""
        hours, runs = _differences(places), list[range]()
        first = 0
        for step, same in groupby(hours):
            count = len(list(same))
            # Where steps change, the place between belongs to the run before.
            begin = first + bool(runs)
            runs.append(range(places[begin], places[first + count] + 1, step))
            first += count
        return cls(tuple(runs), hours)


class Rollup:
    """A frame of a rollup, of which only what is asked for is decoded."""

    def __init__(self, text: bytes) -> None:
        """
        Args:
            text: Of the frame.

        Raises:
            ValueError: it is no frame of a rollup.
        """
        try:
            hours, decimals, self.bits, *widths, kind, self._count = _HEADER.unpack_from(text)
            self._kind, self._rise, at = kind & ~_HAS_RISE, 0, _HEADER.size
            if kind & _HAS_RISE:
                [self._rise] = _RISE.unpack_from(text, at)
                at += _RISE.size
        except struct.error as error:
            raise ValueError(f"not a rollup: {error}") from error
        self._entries = hours + 1
        widths.insert(1, int(self._kind == _MIXED) * _KIND_BYTES)
        if len(text) != at + self._entries * sum(widths) or max(widths) > _ENTRY_BYTES:
            raise ValueError("not a rollup: its length is another one")
        self._text = text
        self._widths = widths
        self._at = at
        self.hours: int = hours
        # Of 10^decimals / 2^bits what both have in common is left out, so that less is reckoned.
        spare = min(self.bits, decimals)
        self._scale: int = 10**decimals >> spare
        self._shift: int = self.bits - spare

    def sums(self, places: Places) -> Sums:
        """
        Return the sums of stretches of hours.

        Raises:
            ValueError: the frame does not have them all.
        """
        if places.runs[-1][-1] >= self._entries:
            raise ValueError("a rollup of too few hours")
        counts = list(map(mul, places.hours, repeat(self._count)))
        if self._widths[_COUNTS]:
            counts = _differences(self._column(_COUNTS, places))
        fractions = counts
        if self._kind == _ALL_INTEGERS:
            fractions = [0] * len(counts)
        elif self._kind == _MIXED:
            fractions = _differences(self._column(_FRACTIONS, places))
        sums = self._column(_SUMS, places)
        if self._rise:
            risen = map(mul, chain.from_iterable(places.runs), repeat(self._rise))
            sums = list(map(add, sums, risen))
        if self.bits:
            rests = self._column(_RESTS, places)
            shift, scale = self._shift, self._scale
            sums = [(each << shift) // scale + rest for each, rest in zip(sums, rests, strict=True)]
        return Sums(counts, fractions, _differences(sums), self.bits)

    def _column(self, n: int, places: Places) -> list[int]:
        """Return the entries of a column at some places; zeros where it was left out."""
        text, width = self._text, self._widths[n]
        data = bytearray((len(places.hours) + 1) * _ENTRY_BYTES)
        at = self._at + sum(self._widths[:n]) * self._entries
        for of_byte in range(width):
            # Wasm and the machines of tests have the low byte first.
            first = of_byte
            for run in places.runs:
                last = first + len(run) * _ENTRY_BYTES
                data[first:last:_ENTRY_BYTES] = text[at + run.start : at + run.stop : run.step]
                first = last
            at += self._entries
        return memoryview(data).cast("Q").tolist()


def _differences(numbers: Iterable[int]) -> list[int]:
    """Return by how much each number is larger than the one before it."""
    held = list(numbers)
    return list(map(sub, held[1:], held))


def _packed(numbers: Sequence[int], width: int) -> bytes:
    if not width:
        return b""
    data = struct.pack(f"<{len(numbers)}Q", *numbers)
    return b"".join([data[n::_ENTRY_BYTES] for n in range(width)])


def rollup_text(sums: Sums) -> bytes | None:
    """Return the hours of a frame as its text; None where they do not fit."""
    counts, fractions, totals, bits = sums
    if bits > SUM_BITS_MAX or max(map(int.bit_length, accumulate(totals))) > SUM_BITS_MAX:
        return None
    kinds = [min(each, 1) for each in fractions]
    kind = _MIXED
    if not any(kinds):
        kind = _ALL_INTEGERS
    elif all(has for has, count in zip(kinds, counts, strict=True) if count):
        kind = _ALL_FRACTIONS
    is_even = min(counts) == max(counts)
    decimals = _decimals(totals, bits)
    rise, rounded = _without_rise(_rounded(totals, bits, decimals))
    reached = [each + rise * place for place, each in enumerate(rounded)]
    columns = [
        [0] if is_even else list(accumulate(counts, initial=0)),
        rounded,
        _rests(totals, bits, decimals, reached),
    ]
    widths = list(map(_width, columns))
    if max(widths) > _ENTRY_BYTES:
        return None
    columns.insert(1, list(accumulate(kinds, initial=0)))
    header = _HEADER.pack(
        *(len(counts), decimals, bits, *widths, kind | (_HAS_RISE if rise else 0)),
        counts[0] if is_even else 0,
    )
    if rise:
        header += _RISE.pack(rise)
    widths.insert(1, int(kind == _MIXED) * _KIND_BYTES)
    return header + b"".join(map(_packed, columns, widths))


def _fragments(text: bytes, entries: int) -> bytes:
    """Return a frame's text as fragments; low bytes are noise, and stored as they are."""
    if entries < PARTED_ENTRIES_MIN:
        return fragment(text)
    # Fewer bytes than entries: the header's.
    begin = len(text) % entries
    found, bare = list[bytes](), text[:begin]
    for at in range(begin, len(text), entries):
        part = text[at : at + entries]
        data = fragment(part)
        if len(data) > DEFLATED_SHARE_MAX * entries:
            bare += part
        else:
            found += (stored(bare), data)
            bare = b""
    return b"".join([*found, stored(bare)])


def _rounded(totals: Sequence[int], bits: int, decimals: int) -> list[int]:
    """Return sums up to each hour, of rounded ones."""
    scale, half = 10**decimals, (1 << bits) >> 1
    return _from_least(accumulate([(total * scale + half) >> bits for total in totals], initial=0))


def _rests(totals: Sequence[int], bits: int, decimals: int, rounded: Sequence[int]) -> list[int]:
    """Return what the true sums are beyond the rounded ones."""
    scale = 10**decimals
    return _from_least(
        reached - (own << bits) // scale
        for reached, own in zip(accumulate(totals, initial=0), rounded, strict=True)
    )


def _without_rise(rounded: list[int]) -> tuple[int, list[int]]:
    """
    Return by what sums rise with each hour, and what they are beyond that; 0 if it saves no byte.

    Of few numbers among many zeros, the sums themselves are the same for long.
    """
    rise = (rounded[-1] - rounded[0]) // (len(rounded) - 1)
    beyond = _from_least(each - rise * place for place, each in enumerate(rounded))
    if _width(beyond) < _width(rounded) and rise.bit_length() <= _RISE_BITS_MAX:
        return rise, beyond
    return 0, rounded


def _from_least(numbers: Iterable[int]) -> list[int]:
    held = list(numbers)
    least = min(held)
    return [each - least for each in held]


def _decimals(totals: Sequence[int], bits: int) -> int:
    """Return with how many decimals the first sums take the fewest bytes."""
    tried = [total for total in totals if total][:TRIED_HOURS]
    if not bits or not tried:
        return 0
    sizes: list[int] = []
    for decimals in range(DECIMALS_MAX + 1):
        rounded = _rounded(tried, bits, decimals)
        rests = _rests(tried, bits, decimals, rounded)
        sizes.append(max(rounded).bit_length() + max(rests).bit_length())
    return sizes.index(min(sizes))


def _width(numbers: Sequence[int]) -> int:
    """Return how many bytes the largest of some integers needs; 0 where all are 0."""
    return -(-max(numbers).bit_length() // 8)


class RollupBuilder:
    """Makes the rollup of one point's samples, or joins some."""

    def __init__(self) -> None:
        self._series = SeriesBuilder()
        self._has_room = True
        self._numbers = self._hours = 0
        self._first = 0
        self._counts: list[int] = []
        self._fractions: list[int] = []
        # Above and below of fractions whose sum is the hour's.
        self._parts: list[list[tuple[int, int]]] = []

    def add(self, columns: Columns) -> None:
        """Take samples, later than those before but for the same hour."""
        times, values = columns.times, columns.values
        kinds = set(map(type, values))
        if not kinds <= _NUMBERS or not _are_finite(values):
            places = [n for n, each in enumerate(values) if _is_number(each)]
            times, values = [times[n] for n in places], [values[n] for n in places]
            kinds = set(map(type, values))
        count, lo = len(times), 0
        is_plain = kinds == _FLOATS
        while lo < count:
            hour = times[lo] // HOUR_MS
            hi = bisect_left(times, (hour + 1) * HOUR_MS, lo)
            part = values[lo:hi]
            if is_plain:
                self._take(hour, hi - lo, hi - lo, _plain_parts(part))
            else:
                fractions = sum(type(each) is float for each in part)
                self._take(hour, hi - lo, fractions, exact_parts(part))
            lo = hi

    def add_hours(self, first_ms: int, sums: Sums) -> None:
        """Take sums of hours, from one that begins at *first_ms* on."""
        hour, unit = first_ms // HOUR_MS, 1 << sums.bits
        for n, (count, fractions, total) in enumerate(zip(*sums[:3], strict=True)):
            if count:
                self._put(hour + n, count, fractions, [(total, unit)])

    def _take(self, hour: int, count: int, fractions: int, parts: Sequence[Part]) -> None:
        self._put(hour, count, fractions, [each.as_integer_ratio() for each in parts])

    def _put(self, hour: int, count: int, fractions: int, parts: list[tuple[int, int]]) -> None:
        self._numbers += count
        last = self._first + len(self._counts) - 1
        if self._counts and hour == last:
            self._counts[-1] += count
            self._fractions[-1] += fractions
            self._parts[-1] += parts
            return
        self._hours += 1
        if self._counts and hour >= self._first + FRAME_HOURS:
            self._close()
        if not self._counts:
            self._first, last = hour, hour - 1
        between = hour - last - 1
        self._counts += [0] * between
        self._fractions += [0] * between
        self._parts += [[] for _ in range(between)]
        self._counts.append(count)
        self._fractions.append(fractions)
        self._parts.append(parts)

    def _close(self) -> None:
        if not self._counts:
            return
        below = max((part[1] for parts in self._parts for part in parts), default=1)
        bits = below.bit_length() - 1
        text = None
        if bits <= SUM_BITS_MAX:
            totals = [sum(above * (below // own) for above, own in each) for each in self._parts]
            # Not finer than the sums are, so that the same hours are the same bytes.
            odd = reduce(or_, totals)
            spare = min(bits, (odd & -odd).bit_length() - 1 if odd else bits)
            totals = [total >> spare for total in totals]
            text = rollup_text(Sums(self._counts, self._fractions, totals, bits - spare))
        if text is None:
            self._has_room = False
        else:
            first_ms, hours = self._first * HOUR_MS, len(self._counts)
            last_ms = first_ms + (hours - 1) * HOUR_MS
            self._series.add_text(first_ms, last_ms, hours, text, _fragments(text, hours + 1))
        self._counts, self._fractions, self._parts = [], [], []

    def build(self) -> Series | None:
        """Return the rollup; None where it does not fit, or is not worth its bytes."""
        self._close()
        is_worth = self._numbers >= HOUR_NUMBERS_MIN * self._hours > 0
        return self._series.build() if is_worth and self._has_room else None


def _plain_parts(values: list[float]) -> tuple[Part, ...]:
    """Return parts of a sum as `exact_parts` does."""
    try:
        total = fsum(values)
        rest = fsum([*values, -total])
    except OverflowError:
        # They will not fit, but for their signs.
        return exact_parts(values)
    return (total, rest) if rest else (total,)


def _is_number(value: object) -> bool:
    return type(value) in _NUMBERS and _are_finite([value])


def _are_finite(values: Iterable[int | float | object]) -> bool:
    """Return whether no number among some is an infinity."""
    try:
        return all(map(isfinite, values))  # type: ignore[arg-type]
    except OverflowError:
        # An integer that no double is as large as is finite; its sum will not fit.
        return all(type(each) is int or isfinite(each) for each in values)  # type: ignore[arg-type]
