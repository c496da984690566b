"""
Levels: of each bucket of time, the samples that draw the same line and show the same states.

Buckets begin at multiples of their width since 1970, so what is thinned again to a wider width is
what would have been had it been thinned but once, and series that meet inside a bucket are joined
by thinning them together. Every sample is a true one, with its own time and digits.

Source: M4 (Jugel et al., "M4: A Visualization-Oriented Time Series Data Aggregation", VLDB 2014).
The first, last, smallest and largest sample of each bucket draw the same line as all samples do,
where a bucket is as wide as a pixel.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import islice
from operator import sub
from typing import Any, NamedTuple

import msgspec

from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.series.downsample import NUMBERS, extremes, numbers_in, states_of
from building_vitals.series.frames import FRAME_SAMPLES_MIN, Series, SeriesBuilder
from building_vitals.series.sample_text import decode_samples, decode_values

# The widths that are kept beside the raw samples.
WIDTHS_MS = (15 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, DAY_MS, 7 * DAY_MS)
# A bucket of no more samples keeps them all.
BUCKET_ENDS = 2
# States of a bucket of which the first sample is kept, and runs of one state.
STATES_MAX = 4
# Samples that a bucket keeps at the most: beside those its ends, and ends and extremes of numbers.
SAMPLES_MAX = 6 + 2 * STATES_MAX
# The narrowest level has buckets of at least so many samples on average. With fewer than four it
# could not have half of the samples: a bucket of two keeps both.
BUCKET_SAMPLES_MIN = 4
# Where a bucket never has more samples, it is noted how many a level has at least.
CROWD_MAX = 8
# A level is kept where it has at most this share of the samples of the next finer one.
KEPT_SHARE = 0.5
_UNITS = ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"))


class Columns(NamedTuple):
    """
    Samples in order of time, as three lists of one length.

    Attributes:
        times: Epoch milliseconds.
        raws: JSON texts of the values.
        values: The same decoded.
    """

    times: list[int]
    raws: list[bytes]
    values: list[Any]

    def extend(self, more: Columns) -> None:
        """Append later samples."""
        self.times.extend(more.times)
        self.raws.extend(more.raws)
        self.values.extend(more.values)

    def text(self) -> bytes:
        """Return the samples as a run, digits unchanged."""
        return b",".join([b"[%d,%b]" % pair for pair in zip(self.times, self.raws, strict=True)])

    def picked(self, places: Iterable[int]) -> Columns:
        """Return some of the samples."""
        some = list(places)
        times, raws, values = self
        return Columns([times[i] for i in some], [raws[i] for i in some], [values[i] for i in some])

    def part(self, begin: int, end: int | None = None) -> Columns:
        """Return the samples from one place to another."""
        times, raws, values = self
        return Columns(times[begin:end], raws[begin:end], values[begin:end])


def columns_of(text: bytes) -> Columns:
    """
    Return the samples of a run.

    Args:
        text: As frames hold it, not empty.

    Raises:
        CorruptSegment: the text is not a run of samples.
    """
    if b'"' not in text and b"{" not in text:
        flat = text[1:-1].replace(b"],[", b",")
        if b"[" not in flat:
            # Numbers, booleans and null: they hold nothing that the text is split at.
            parts = flat.split(b",")
            raws = parts[1::2]
            try:
                # Instants and values in one go: to make an integer of each text takes longer.
                both: list[Any] = msgspec.json.decode(b"[%b]" % flat)
            except msgspec.MsgspecError:
                # A number beyond double is among them.
                return Columns(list(map(int, parts[::2])), raws, decode_values(raws))
            return Columns(both[::2], raws, both[1::2])
    samples = decode_samples(text)
    return Columns(
        [time_ms for time_ms, _ in samples],
        [bytes(raw) for _, raw in samples],
        decode_values([raw for _, raw in samples]),
    )


def level_name(width_ms: int) -> str:
    """Return what answers call a width: `raw` for 0, else `15m`, `4h`, `7d` and so on."""
    for unit_ms, letter in _UNITS:
        if width_ms and width_ms % unit_ms == 0:
            return f"{width_ms // unit_ms}{letter}"
    return f"{width_ms}ms" if width_ms else "raw"


def next_width(width_ms: int) -> int:
    """Return the width after one, 0 being that of raw samples; beyond the kept ones, the double."""
    return next((each for each in WIDTHS_MS if each > width_ms), 2 * width_ms)


def bucket_start(instant_ms: int, width_ms: int) -> int:
    """Return where the bucket begins that an instant lies in."""
    return instant_ms - instant_ms % width_ms


def thin(times: list[int], values: list[Any], width_ms: int, begin: int = 0) -> list[int]:
    """
    Return the places of the samples from *begin* on that a level of a width has, ascending.

    Of each bucket they are the first and the last sample, the first, last, smallest and largest
    number, the first of equals, and the first sample of each of its first four states, whatever is
    no number being one, and of each of its first four runs of one state.

    Cost: a few steps of Python for each bucket, O(n) in C for numbers, in Python for states.
    """
    is_plain = NUMBERS.issuperset(map(type, values))
    kept: list[int] = []
    lo, count = begin, len(times)
    while lo < count:
        hi = bisect_left(times, bucket_start(times[lo], width_ms) + width_ms, lo + 1, count)
        if hi - lo <= BUCKET_ENDS:
            kept.extend(range(lo, hi))
        else:
            part = values[lo:hi]
            if is_plain or NUMBERS.issuperset(map(type, part)):
                low, high = part.index(min(part)), part.index(max(part))
                kept += sorted({lo, lo + low, lo + high, hi - 1})
            else:
                kept += [lo + i for i in _of_states(part)]
        lo = hi
    return kept


def _of_states(values: list[Any]) -> list[int]:
    """Return the places that are kept of a bucket with states in it."""
    kept = {0, len(values) - 1}
    numeric, numbers = numbers_in(values)
    if numbers:
        kept.update(extremes(numeric, numbers, 0, len(numeric)))
    left = set(range(len(values))).difference(numeric)
    states = states_of(values)
    firsts: dict[Any, int] = {}
    for i in sorted(left):
        firsts.setdefault(states[i], i)
    kept.update(list(firsts.values())[:STATES_MAX])
    # Being a number is one more state here: an outage shows where it begins and where it ends.
    changes = (i for i in range(1, len(states)) if states[i] != states[i - 1])
    kept.update(islice(changes, STATES_MAX - 1))
    return sorted(kept)


class LevelSeries(NamedTuple):
    """A level of a series: the width of its buckets, and its samples as frames."""

    width_ms: int
    series: Series


class Levels(NamedTuple):
    """
    The levels of a series.

    Attributes:
        kept: Finest first.
        least: Of others, by width, how many samples they would have at least; of each part of the
            samples their share.
        rollup: Of the same samples; None where it is not kept (`rollups`).
    """

    kept: tuple[LevelSeries, ...]
    least: dict[int, int]
    rollup: Series | None = None


def is_worth_keeping(count: int, finer: int) -> bool:
    """Return whether a level is kept, from its samples and those of the next finer one."""
    return 0 < count <= KEPT_SHARE * finer


def is_vain(width_ms: int, count: int, span_ms: int) -> bool:
    """Return whether a level would not be kept, from the samples and the time they take."""
    return count * width_ms < BUCKET_SAMPLES_MIN * max(span_ms, 1)


class LevelsBuilder:
    """
    Makes the levels of one point's samples, each from the next finer one as that comes together.

    No more of a level is held than its last bucket and the text of a frame.
    """

    def __init__(self, count: int, span_ms: int) -> None:
        """
        Args:
            count: Samples that will come, about.
            span_ms: From the first to the last of them, about.
        """
        self._raw_count = 0
        span_ms = max(span_ms, 1)
        self._steps = [
            _Step(width_ms) for width_ms in WIDTHS_MS if not is_vain(width_ms, count, span_ms)
        ]
        self._crowds = [
            _Crowd(width_ms, count * width_ms // span_ms)
            for width_ms in WIDTHS_MS
            if count * width_ms < CROWD_MAX * span_ms
        ]

    def add(self, columns: Columns) -> None:
        """Take samples, later than those before."""
        self._raw_count += len(columns.times)
        for each in self._crowds:
            each.add(columns.times)
        self._pass_on(columns, 0)

    def _pass_on(self, columns: Columns, step: int) -> None:
        for n in range(step, len(self._steps)):
            if not columns.times:
                return
            columns = self._steps[n].add(columns)

    def build(self) -> Levels:
        """Return the levels; all samples have been added."""
        finer, kept = self._raw_count, list[LevelSeries]()
        for n, step in enumerate(self._steps):
            rest, series = step.end()
            self._pass_on(rest, n + 1)
            if is_worth_keeping(series.count, finer):
                kept.append(LevelSeries(step.width_ms, series))
                finer = series.count
        widths = {each.width_ms for each in kept}
        least = {
            each.width_ms: min(self._raw_count, BUCKET_ENDS * self._raw_count // each.most)
            for each in self._crowds
            if each.most and each.width_ms not in widths
        }
        return Levels(tuple(kept), least)


class _Crowd:
    """Finds out how many samples a bucket has at the most: it keeps two, where it has as many."""

    def __init__(self, width_ms: int, usual: int) -> None:
        self.width_ms = width_ms
        self._most = max(1, usual)
        self._last: list[int] = []

    def add(self, times: list[int]) -> None:
        """Take the instants of samples, later than those before."""
        times = self._last + times
        while self._most <= CROWD_MAX and any(
            map(self.width_ms.__gt__, map(sub, times[self._most :], times))
        ):
            self._most += 1
        self._last = times[-CROWD_MAX - 1 :]

    @property
    def most(self) -> int:
        """How many are never exceeded within a bucket's width; 0 where they are too many."""
        return self._most if self._most <= CROWD_MAX else 0


class _Step:
    """One level while it is made."""

    def __init__(self, width_ms: int) -> None:
        self.width_ms = width_ms
        # Of the bucket that may go on, and of the frame that is not full.
        self._open = Columns([], [], [])
        self._frame = Columns([], [], [])
        self._builder = SeriesBuilder()

    def add(self, columns: Columns) -> Columns:
        """Take samples; return those of this level in the buckets that have ended."""
        last_ms = columns.times[-1]
        self._open.extend(columns)
        closed = bisect_left(self._open.times, bucket_start(last_ms, self.width_ms))
        if not closed:
            return Columns([], [], [])
        ended, self._open = self._open.part(0, closed), self._open.part(closed)
        return self._keep(ended)

    def _keep(self, ended: Columns) -> Columns:
        kept = ended.picked(thin(ended.times, ended.values, self.width_ms))
        self._frame.extend(kept)
        if len(self._frame.times) >= FRAME_SAMPLES_MIN:
            self._close()
        return kept

    def _close(self) -> None:
        times = self._frame.times
        if times:
            self._builder.add_text(times[0], times[-1], len(times), self._frame.text())
            self._frame = Columns([], [], [])

    def end(self) -> tuple[Columns, Series]:
        """Return the samples of the last bucket, and the series."""
        rest = self._open
        if rest.times:
            rest = self._keep(rest)
        self._close()
        return rest, self._builder.build()
