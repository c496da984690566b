"""Which hours come from rollups, and which samples are looked at."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from builders import Samples, stored
from building_vitals.cache.leveling import with_levels
from building_vitals.cache.need import ROLLUPS_ALONE, ROLLUPS_AND_SAMPLES
from building_vitals.cache.rollup_plans import (
    SPLIT_HOURS_MAX,
    Hours,
    HoursOrSamples,
    pieces_of,
    rollup_of,
    rollup_plan,
    rollup_samples,
    stretches,
)
from building_vitals.cache.segments import DirectoryMissing, Piece, Segment
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range

MANY = Samples((MINUTE_MS * n, f"{n * 7919 % 4_001}.5") for n in range(10 * 24 * 60))


def rolled(start_ms: int, end_ms: int) -> Segment:
    """Return a segment with a rollup."""
    held = stored(Range(start_ms, end_ms), MANY, sizes=[600] * 30, padding=0)
    _, [segment] = asyncio.run(with_levels(held.blob[:-3], [held.segment]))
    assert rollup_of(segment) is not None
    return segment


def spans(found: list[HoursOrSamples]) -> list[Range | None]:
    """Return the hours of what is read, None for samples."""
    return [each.span if isinstance(each, Hours) else None for each in found]


def hours(start: int, end: int) -> Range:
    """Return a range of hours."""
    return Range(start * HOUR_MS, end * HOUR_MS)


@pytest.mark.parametrize(
    ("interval", "aggregates", "zone", "expected"),
    [
        ("1d", ["mean"], "UTC", ROLLUPS_ALONE),
        ("1d", ["mean"], "Europe/Berlin", ROLLUPS_ALONE),
        ("1d", ["mean"], "Asia/Kolkata", ROLLUPS_AND_SAMPLES),
        ("1h", ["sum", "count", "mean"], "UTC", ROLLUPS_ALONE),
        ("90m", ["sum"], "UTC", ROLLUPS_AND_SAMPLES),
        ("1mo", ["count"], "UTC", ROLLUPS_ALONE),
        ("59m", ["mean"], "UTC", 0),
        ("1d", ["mean", "min"], "UTC", 0),
        ("1d", ["twa"], "UTC", 0),
    ],
)
def test_sums_of_hours_are_enough(
    interval: str, aggregates: list[str], zone: str, expected: int
) -> None:
    """For counts, sums and means of no less than an hour, and where an hour begins, they alone."""
    assert expected == rollup_samples(interval, aggregates, zone, Range(0, 400 * DAY_MS))


def test_whole_segments_are_all_hours() -> None:
    """Those at its ends, too, and nobody needs the directory of its samples."""
    segment = rolled(90 * MINUTE_MS, 50 * HOUR_MS + 1)
    segment = msgspec.structs.replace(segment, frames=None)
    assert [hours(1, 51)] == spans(list(stretches(segment, segment.range)))


def test_cut_hours_are_looked_into() -> None:
    """What a range or a purge leaves of an hour comes from its samples."""
    segment = rolled(0, 50 * HOUR_MS)
    part = Range(90 * MINUTE_MS, 7 * HOUR_MS + 1)
    assert [None, hours(2, 7), None] == spans(list(stretches(segment, part)))
    cut = msgspec.structs.replace(segment, start_ms=part.start_ms, end_ms=part.end_ms, is_cut=True)
    assert [None, hours(2, 7), None] == spans(list(stretches(cut, part)))
    within = list(stretches(segment, Range(HOUR_MS + 1, 2 * HOUR_MS - 1)))
    assert [None] == spans(within)


def test_hours_are_split_where_a_bucket_ends() -> None:
    """Their samples are looked at, and only theirs."""
    segment = rolled(0, 50 * HOUR_MS)
    found = list(stretches(segment, segment.range, [2 * HOUR_MS, 3 * HOUR_MS, 49 * HOUR_MS]))
    assert [hours(0, 2), None, None, hours(4, 49), None] == spans(found)
    ranges = [each.time_range for each in found if isinstance(each, Piece)]
    assert [hours(2, 3), hours(3, 4), hours(49, 50)] == ranges


def test_all_samples_where_that_is_as_good() -> None:
    """Without rollups, with many split hours, or where most samples are looked at anyway."""
    segment = rolled(0, 200 * HOUR_MS)
    parts = [(segment, segment.range)]
    assert rollup_plan(parts, [24 * HOUR_MS]) is not None
    assert rollup_plan(parts, []) is not None
    assert rollup_plan(parts, [n * HOUR_MS for n in range(SPLIT_HOURS_MAX + 1)]) is None
    assert rollup_plan([(segment, Range(1, 3 * HOUR_MS - 1))], []) is None
    bare = msgspec.structs.replace(segment, levels=())
    assert rollup_plan([(bare, bare.range)], []) is None


def test_directories_are_needed_for_cuts() -> None:
    """Whoever asks then goes through all samples."""
    segment = msgspec.structs.replace(rolled(0, 50 * HOUR_MS), frames=None)
    with pytest.raises(DirectoryMissing):
        rollup_plan([(segment, segment.range)], [DAY_MS])


def test_pieces_tell_which_hours_are_taken() -> None:
    """Other hours of the same frame make another answer, with another entity tag."""
    segment = rolled(0, 50 * HOUR_MS)
    parts = [hours(0, 50), hours(0, 49), hours(1, 50)]
    found = [rollup_plan([(segment, part)], []) or [] for part in parts]
    assert parts == [piece.time_range for plan in found for piece in pieces_of(plan)]
    assert 1 == len({piece.offset for plan in found for piece in pieces_of(plan)})
