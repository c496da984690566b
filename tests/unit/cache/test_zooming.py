"""What is read of a point for a chart, case by case."""

from __future__ import annotations

import asyncio
import random
from functools import cache

import msgspec
import pytest

from builders import Samples, stored
from building_vitals.cache.leveling import with_levels
from building_vitals.cache.segments import DirectoryMissing, Segment
from building_vitals.cache.zooming import (
    CountOf,
    Seam,
    bare_samples,
    is_long,
    none_counted,
    zoom_plan,
)
from building_vitals.ranges import Range
from fakes.brute_levels import DAY_MS, HOUR_MS, MINUTE_MS

MONTH = Range(0, 28 * DAY_MS)


@cache
def month() -> Segment:
    """Return four weeks of a sample each five minutes, with levels."""
    rng = random.Random(1)
    many = Samples((5 * MINUTE_MS * n, f"{rng.gauss(20, 3):.2f}") for n in range(28 * 288))
    segment, blob = stored(MONTH, many, sizes=[576] * 14)
    _, [found] = asyncio.run(with_levels(blob, [segment]))
    return found


@pytest.mark.parametrize(
    ("max_points", "width_ms"),
    [
        (8_064, 0),
        (2_688, HOUR_MS),
        (1_000, 4 * HOUR_MS),
        (112, DAY_MS),
        (20, 7 * DAY_MS),
        (2, 7 * DAY_MS),
    ],
)
def test_the_finest_width_that_may_fit(max_points: int, width_ms: int) -> None:
    """A whole segment is one run of the level, or of its samples."""
    plan = zoom_plan([(month(), MONTH)], max_points)
    assert plan is not None
    assert (width_ms, True) == (plan.width_ms, plan.is_level)
    [piece] = plan.pieces
    assert piece.frame is None


def test_a_width_that_does_not_fit() -> None:
    """Where it turns out that there are too many, the next one is read."""
    plan = zoom_plan([(month(), MONTH)], 100_000, HOUR_MS)
    assert plan is not None
    assert (4 * HOUR_MS, True) == (plan.width_ms, plan.is_level)


def test_a_cut_is_a_seam() -> None:
    """A range that cuts buckets takes the samples of those two, and whole buckets between."""
    part = Range(10 * MINUTE_MS, 27 * DAY_MS + HOUR_MS)
    plan = zoom_plan([(month(), part)], 1_000)
    assert plan is not None
    first, *between, last = plan.stretches
    assert isinstance(first, Seam)
    assert isinstance(last, Seam)
    assert (0, 27 * DAY_MS) == (first.start_ms, last.start_ms)
    assert [Range(10 * MINUTE_MS, 4 * HOUR_MS)] == [each.time_range for each in first.pieces]
    assert not any(isinstance(each, Seam) for each in between)


def test_a_cut_at_a_bucket_is_none() -> None:
    """Where buckets are whole, nothing finer is read."""
    plan = zoom_plan([(month(), Range(4 * HOUR_MS, 20 * DAY_MS))], 1_000)
    assert plan is not None
    assert not any(isinstance(each, Seam) for each in plan.stretches)


def test_parts_that_meet_inside_a_bucket() -> None:
    """Their bucket is put together of both, from their own levels where none is cut."""
    middle = 14 * DAY_MS + 2 * HOUR_MS
    many = Samples((5 * MINUTE_MS * n, str(n * 7919 % 4_001)) for n in range(28 * 288))
    parts = []
    for each in (Range(0, middle), Range(middle, MONTH.end_ms)):
        segment, blob = stored(each, many, sizes=[576] * 7)
        _, [found] = asyncio.run(with_levels(blob, [segment]))
        # Their samples' directories are not needed.
        parts.append((msgspec.structs.replace(found, frames=None), each))
    plan = zoom_plan(parts, 1_000)
    assert plan is not None
    [seam] = [each for each in plan.stretches if isinstance(each, Seam)]
    assert (14 * DAY_MS, 2) == (seam.start_ms, len(seam.pieces))


def test_a_purged_segment_is_cut_at_its_ends() -> None:
    """Its levels know of samples that were purged: the ends come from its samples."""
    part = Range(10 * MINUTE_MS, 20 * DAY_MS)
    purged = msgspec.structs.replace(
        month(), start_ms=part.start_ms, end_ms=part.end_ms, is_cut=True
    )
    plan = zoom_plan([(purged, part)], 1_000)
    assert plan is not None
    assert [0] == [each.start_ms for each in plan.stretches if isinstance(each, Seam)]


def test_what_has_no_levels() -> None:
    """A few samples are looked into; of many all are gone through, some at a time."""
    bare = msgspec.structs.replace(month(), levels=None)
    assert not is_long([(bare, MONTH)], 8_000)
    long = msgspec.structs.replace(bare, count=bare_samples(100) + 1)
    assert is_long([(long, MONTH)], 100)
    assert zoom_plan([(long, MONTH)], 100) is None
    plan = zoom_plan([(bare, MONTH)], 100)
    assert plan is not None
    assert (15 * MINUTE_MS, False) == (plan.width_ms, plan.is_level)


def test_a_directory_that_was_left_out() -> None:
    """It is asked for where a cut needs it."""
    bare = msgspec.structs.replace(month(), frames=None)
    with pytest.raises(DirectoryMissing):
        zoom_plan([(bare, Range(1, MONTH.end_ms))], 100)


def test_no_parts() -> None:
    """A point of which nothing is known has no samples, which are all there are."""
    plan = zoom_plan([], 100)
    assert plan is not None
    assert (0, []) == (plan.width_ms, plan.stretches)


def test_frames_that_are_cut_are_counted_where_it_matters() -> None:
    """Where a range cuts frames of a level, their share decides whether it fits."""
    part = Range(2 * DAY_MS, 26 * DAY_MS)
    sure = zoom_plan([(month(), part)], 2_600)
    assert sure is not None
    assert HOUR_MS == sure.width_ms
    cut = sure.uncounted(none_counted, 2_100)
    assert cut
    assert [] == sure.uncounted(none_counted, sure.most(none_counted))
    assert [] == sure.uncounted(lambda _: 1, 2_100)
    counts: list[tuple[CountOf, int, int]] = [
        (lambda _: 1, 1, HOUR_MS),
        (lambda _: 500, 500, 4 * HOUR_MS),
    ]
    for counted, each, width_ms in counts:
        assert sure.least(none_counted) + each * len(cut) == sure.least(counted)
        plan = zoom_plan([(month(), part)], 2_000, HOUR_MS - 1, counted)
        assert plan is not None
        assert width_ms == plan.width_ms


def test_a_level_that_is_not_kept_says_how_few_samples_it_saves() -> None:
    """Of three samples in a quarter of an hour two are kept: they are not read in vain."""
    part = Range(0, 7 * DAY_MS)
    week = msgspec.structs.replace(month(), end_ms=part.end_ms, is_cut=True)
    assert not (month().levels or ())[1].is_kept
    for max_points, width_ms in ((1_200, 15 * MINUTE_MS), (1_000, HOUR_MS)):
        for segment in (month(), week):
            plan = zoom_plan([(segment, part)], max_points)
            assert plan is not None
            assert width_ms == plan.width_ms


def test_a_few_samples_without_their_level_are_put_together() -> None:
    """They do not make of all that is known something that has to be gone through."""
    few, blob = stored(
        Range(MONTH.end_ms, MONTH.end_ms + DAY_MS),
        Samples((MONTH.end_ms + HOUR_MS * n, "1") for n in range(24)),
    )
    assert blob
    plan = zoom_plan([(month(), MONTH), (few, few.range)], 1_000)
    assert plan is not None
    assert (4 * HOUR_MS, True) == (plan.width_ms, plan.is_level)
    [seam] = [each for each in plan.stretches if isinstance(each, Seam)]
    assert (MONTH.end_ms, 24) == (seam.start_ms, sum(each.count for each in seam.pieces))
