"""Sums of stored hours are what the samples give, whatever these are and however they are cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import pairwise
from unittest.mock import patch

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import Samples, stored
from building_vitals.cache import leveling
from building_vitals.cache.level_joining import join_levels
from building_vitals.cache.leveling import with_levels
from building_vitals.cache.rollup_plans import Hours, HoursOrSamples, rollup_plan, stretches
from building_vitals.cache.segments import Piece, Segment, cut_piece_text, pieces
from building_vitals.instants import HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range
from building_vitals.series import rollups
from building_vitals.series.aggregates import PointAggregation
from building_vitals.series.bucket_sums import Bounds, BucketSums
from building_vitals.series.buckets import Buckets, parse_interval
from building_vitals.series.frames import Series, frame_text
from building_vitals.series.levels import columns_of
from building_vitals.series.rollups import Rollup, RollupBuilder
from building_vitals.series.splicing import inflate

NAMES = ("sum", "count", "mean")
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana"]
)
INTERVALS = st.sampled_from(["1h", "90m", "2h", "6h", "1d", "1w", "1mo"])
# Clocks are changed within some of them.
STARTS = st.sampled_from([1_743_206_400_000, 1_761_350_400_000, 1_541_203_200_000]) | st.integers(
    946_684_800_000, 1_900_000_000_000
)
DECIMALS = st.decimals(-100, 100, places=2).map(str)
KINDS = st.sampled_from(
    [
        DECIMALS,
        st.integers(-100, 100).map(str),
        DECIMALS | st.integers(0, 50).map(str),
        DECIMALS | st.sampled_from(["null", "true", '"on"', "-0.0", "1e-3", "[1]"]),
        st.floats(-1e6, 1e6).map(json.dumps) | st.integers(-(2**60), 2**60).map(str),
    ]
)


@st.composite
def samples(draw: st.DrawFn) -> list[tuple[int, str]]:
    """Return samples of some days, mostly many an hour."""
    at_ms, found = draw(STARTS), list[tuple[int, str]]()
    values = draw(st.lists(draw(KINDS), min_size=3, max_size=12))
    for n in range(draw(st.integers(20, 400))):
        found.append((at_ms, values[n * 7 % len(values)]))
        at_ms += draw(st.sampled_from([1, MINUTE_MS, 5 * MINUTE_MS])) + n % 3
        if draw(st.integers(0, 40)) == 0:
            at_ms += draw(st.integers(1, 50 * HOUR_MS))
    return found


class Held:
    """Segments of a point with their rollups, and their bytes."""

    def __init__(self, held: list[tuple[int, str]], ends: list[int]) -> None:
        self.blobs: dict[str, bytes] = {}
        self.parts: list[tuple[Segment, Range]] = []
        for lo_ms, hi_ms in pairwise(ends):
            own = Samples((ms, text) for ms, text in held if lo_ms <= ms < hi_ms)
            if not own:
                continue
            made = stored(Range(lo_ms, hi_ms), own, sizes=[25] * (len(own) // 25 + 1))
            size = made.segment.stored_bytes
            own_bytes = made.blob[made.segment.offset :][:size]
            segment = msgspec.structs.replace(made.segment, offset=0, key=f"k{lo_ms}")
            data, [segment] = asyncio.run(with_levels(own_bytes, [segment]))
            self.blobs[segment.key] = data
            self.parts.append((segment, segment.range))

    def read(self, piece: Piece) -> bytes:
        """Return the bytes of a piece."""
        return self.blobs[piece.key][piece.offset :][: piece.stored_bytes]

    def text(self, piece: Piece) -> bytes:
        """Return the text of a piece of samples."""
        if piece.frame is None:
            return inflate(self.read(piece), piece.text_bytes)
        return cut_piece_text(piece, self.read(piece))[1]

    def cut(self, begin_ms: int, end_ms: int, *, is_cut: bool) -> list[tuple[Segment, Range]]:
        """Return what is left of a range: of purged segments, or of a request."""
        found = []
        for segment, part in self.parts:
            shared = part.clip(Range(begin_ms, end_ms))
            if shared is None:
                continue
            left = segment
            if is_cut and shared != part:
                left = msgspec.structs.replace(
                    segment, start_ms=shared.start_ms, end_ms=shared.end_ms, is_cut=True
                )
            found.append((left, shared))
        return found


def summed(held: Held, plan: Sequence[HoursOrSamples], bounds: Bounds) -> bytes:
    """Return the rows of a plan."""
    sums = BucketSums(bounds)
    for each in plan:
        if isinstance(each, Hours):
            rollup = Rollup(frame_text(each.frame, held.read(each.piece)))
            sums.add_hours(rollup, each.span, each.frame.first_ms, is_known=True)
        elif text := held.text(each):
            sums.add_samples(text, is_known=True)
    return b",".join(text for _, text in sums.rows(NAMES))


@settings(deadline=None, max_examples=40)
@given(
    found=samples(),
    cuts=st.lists(st.floats(0, 1), max_size=3),
    ends=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    is_aligned=st.booleans(),
    is_cut=st.booleans(),
    interval=INTERVALS,
    zone=ZONES,
    frame_hours=st.sampled_from([3, 24, 4_096]),
)
def test_rows_of_hours_are_those_of_samples(
    *,
    found: list[tuple[int, str]],
    cuts: list[float],
    ends: tuple[float, float],
    is_aligned: bool,
    is_cut: bool,
    interval: str,
    zone: str,
    frame_hours: int,
) -> None:
    """To the last digit: of segments, of what purges and ranges leave, and of what is joined."""
    first_ms, last_ms = found[0][0], found[-1][0] + 1
    span_ms = last_ms - first_ms
    turns = sorted({first_ms, last_ms, *(first_ms + int(span_ms * each) for each in cuts)})
    with (
        patch.object(rollups, "FRAME_HOURS", frame_hours),
        patch.object(leveling, "LEVELED_BYTES_MIN", 0),
    ):
        held = Held(found, turns)
        begin_ms, end_ms = sorted(first_ms + int(span_ms * each) for each in ends)
        if is_aligned:
            begin_ms, end_ms = begin_ms // HOUR_MS * HOUR_MS, -(-end_ms // HOUR_MS) * HOUR_MS
        time_range = Range(begin_ms, end_ms + 1)
        buckets = Buckets(parse_interval(interval), zone, time_range)
        aggregation = PointAggregation(NAMES, buckets)
        inside = [f"[{ms},{text}]" for ms, text in found if begin_ms <= ms <= end_ms]
        expected = []
        if inside:
            expected = [aggregation.add(",".join(inside).encode()), aggregation.end()]
        expected_text = b",".join(filter(None, expected))

        bounds = Bounds(buckets, time_range)
        parts = held.cut(*time_range, is_cut=is_cut)
        split = sorted({ms // HOUR_MS * HOUR_MS for ms in bounds.bounds_ms[1:-1] if ms % HOUR_MS})
        plan = [each for part in parts for each in stretches(*part, split)]
        assert expected_text == summed(held, plan, bounds)
        chosen = rollup_plan(parts, bounds.split_ms)
        assert chosen in (None, plan)

        assert joined_rows(held, parts, bounds) in (None, expected_text)


def joined_rows(held: Held, parts: list[tuple[Segment, Range]], bounds: Bounds) -> bytes | None:
    """Return the rows of the rollup that parts have together; None where there is none."""
    texts = [held.text(each) for segment, part in parts for each in pieces(segment, part)]
    run = b",".join(filter(None, texts))
    if not run:
        return None
    columns = columns_of(run)
    made = stored(
        Range(columns.times[0], columns.times[-1] + 1),
        Samples((ms, raw.decode()) for ms, raw in zip(columns.times, columns.raws, strict=True)),
    )
    size = made.segment.stored_bytes
    data = made.blob[made.segment.offset :][:size]
    levels = join_levels(parts, Series(made.segment.frames or (), data), held.read)
    if levels is None or levels.rollup is None:
        return None
    sums = BucketSums(bounds)
    again = RollupBuilder()
    again.add(columns)
    assert again.build() == levels.rollup
    for frame in levels.rollup.frames:
        rollup = Rollup(frame_text(frame, levels.rollup.data[frame.offset :][: frame.stored_bytes]))
        span = Range(frame.first_ms, frame.last_ms + HOUR_MS)
        if any(ms % HOUR_MS for ms in bounds.bounds_ms[1:-1]):
            return None
        sums.add_hours(rollup, span, frame.first_ms, is_known=True)
    return b",".join(text for _, text in sums.rows(NAMES))
