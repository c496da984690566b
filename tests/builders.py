"""Small worlds as text: ranges, samples, series and segments; a test reads like its picture."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from building_vitals.cache.freshness import Freshness
from building_vitals.cache.segments import Piece, Segment, cut_piece_text, segment_of
from building_vitals.jobs.model import Job
from building_vitals.ranges import Range
from building_vitals.series.frames import Series, SeriesBuilder

# Of any text, digits are the least that must survive; these are values as our JSON has them.
VALUES = (
    "72.5",
    "45.50",
    "-0",
    "1e5",
    "null",
    "true",
    '"occupied"',
    '"],["',
    '"[5,1"',
    '"say \\"hi\\""',
    '"\U0001f525"',
    '"\\ud800"',
    "[5,[6],[7,8]]",
    '{"a":[1,2]}',
    "{}",
)


def span(text: str) -> Range:
    """Return the range that `0-60` stands for, milliseconds."""
    start, end = text.split("-")
    return Range(int(start), int(end))


def spans(text: str) -> list[Range]:
    """Return the ranges that `0-10 20-30` stands for."""
    return [span(each) for each in text.split()]


class Samples(tuple[tuple[int, str], ...]):
    """Samples of one point: instants, and values as JSON text."""

    __slots__ = ()

    @property
    def text(self) -> bytes:
        """What a frame of them holds."""
        return ",".join(f"[{instant_ms},{value}]" for instant_ms, value in self).encode()

    def within(self, time_range: Range) -> Samples:
        """Return those of a range."""
        return Samples(each for each in self if time_range.start_ms <= each[0] < time_range.end_ms)

    def series(self, sizes: Iterable[int] = ()) -> Series:
        """Return them as frames of the sizes given; what is left is one more frame."""
        builder, start = SeriesBuilder(), 0
        for size in [*sizes, len(self)]:
            part = Samples(self[start : start + size])
            start += size
            if part:
                builder.add_text(part[0][0], part[-1][0], len(part), part.text)
        return builder.build()


def samples(text: str) -> Samples:
    """Return the samples that `0:1 60:2.50 120:"on" 180:null` stands for."""
    return Samples(
        (int(instant_ms), value)
        for instant_ms, _, value in (each.partition(":") for each in text.split())
    )


def every(step_ms: int, time_range: Range, seed: int = 0) -> Samples:
    """Return a sample each *step_ms* of a range, with all kinds of values."""
    rng = random.Random(seed)
    return Samples(
        (t, rng.choice(VALUES)) for t in range(time_range.start_ms, time_range.end_ms, step_ms)
    )


class Stored(NamedTuple):
    """A segment, and the object its series lies in."""

    segment: Segment
    blob: bytes

    def bytes_of(self, piece: Piece) -> bytes:
        """Return what a ranged read of a piece gives."""
        return self.blob[piece.offset : piece.offset + piece.stored_bytes]


def stored(
    known: str | Range,
    held: Sequence[tuple[int, str]] = (),
    *,
    sizes: Iterable[int] = (),
    point: str = "p",
    fetched_ms: int = 1_000_000,
    key: str = "k",
    padding: int = 7,
) -> Stored:
    """
    Return a segment of *known* with the samples of *held* that lie in it.

    Its frames have *sizes* samples, but for the last; *padding* bytes lie before its series.
    """
    of_range = span(known) if isinstance(known, str) else known
    series = Samples(held).within(of_range).series(sizes)
    segment = segment_of(point, of_range, series, fetched_ms=fetched_ms, key=key, offset=padding)
    return Stored(segment, b"\xaa" * padding + series.data + b"\xbb" * 3)


def sized(key: str, stored_bytes: int, point: str = "p", *, first_ms: int = 0) -> Segment:
    """Return a segment of ten milliseconds that claims so many bytes in an object."""
    known = Range(first_ms, first_ms + 10)
    made = stored(known, every(1, known), key=key, point=point).segment
    return msgspec.structs.replace(made, stored_bytes=stored_bytes)


def count_of(piece: Piece, data: bytes | memoryview) -> int:
    """Return the samples that a piece gives."""
    return piece.count if piece.frame is None else cut_piece_text(piece, data)[0]


class Sent(NamedTuple):
    """A sample as the upstream sends it."""

    name: str
    value: Any
    time: str


# Twice as long as it was old, an hour or less; samples come at once.
FRESHNESS = Freshness(
    trust_ratio=2.0,
    trust_max_ms=3_600_000,
    lateness_ms=0,
    grace_ms=60_000,
    max_age_ms=86_400_000,
)


# A job that has not begun.
JOB = Job(
    job_id="job_1",
    owner="key_1",
    site="hq",
    points_count=2,
    start_ms=0,
    end_ms=60_000,
    priority="low",
    status="queued",
    progress=0,
    total_chunks=3,
    completed_chunks=0,
    estimated_size=5,
    samples_count=0,
    data_size=0,
    retry_count=0,
    error=None,
    error_class=None,
    created_ms=1_000,
    started_ms=None,
    completed_ms=None,
    failed_ms=None,
    cancelled_ms=None,
)
