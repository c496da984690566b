"""Directories of which a look-up brings a part: it is enough, or it is noticed that it is not."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import FRESHNESS, Samples
from building_vitals.cache.freshness import CLOSING_AGES_MS, closing_at
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.need import ROLLUPS_ALONE
from building_vitals.cache.segments import DirectoryMissing, Segment, pieces, segment_of
from building_vitals.cache.zooming import is_clean
from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.ranges import Range
from building_vitals.series.levels import bucket_start
from fakes.database import FakeDatabase

FETCHED_MS = 20_000 * DAY_MS + 12_345_678


def stored(rng: random.Random, frames: int, *, is_cut: bool) -> Segment:
    """Return a segment of many frames, some of which close where trust may end."""
    end_ms = FETCHED_MS - rng.choice([0, 1_000, HOUR_MS, 3 * DAY_MS])
    span_ms = rng.choice([HOUR_MS, 2 * DAY_MS, 40 * DAY_MS, 400 * DAY_MS])
    times = sorted(rng.sample(range(end_ms - span_ms, end_ms), 3 * frames))
    bounds = {closing_at(FETCHED_MS, each) for each in CLOSING_AGES_MS}
    bounds.update(rng.sample(times, frames))
    sizes, count = [], 0
    for before, after in pairwise(times):
        count += 1
        if any(before < each <= after for each in bounds):
            sizes.append(count)
            count = 0
    series = Samples((ms, "1.5") for ms in times).series(sizes)
    known = Range(times[0] - 7, end_ms)
    found = segment_of("a", known, series, fetched_ms=FETCHED_MS, key="k", offset=3)
    if is_cut:
        start_ms, stop_ms = sorted(rng.sample(range(*known), 2))
        found = msgspec.structs.replace(found, start_ms=start_ms, end_ms=stop_ms, is_cut=True)
    return found


async def looked_up(segment: Segment, time_range: Range, now_ms: int, samples: int) -> Segment:
    """Return the segment as the index gives it."""
    database = FakeDatabase()
    try:
        index = SegmentIndex(database)
        await database.batch(
            index.insert_statements("site", [segment], [now_ms + DAY_MS], [], now_ms=FETCHED_MS)
        )
        [found] = await index.find("site", ["a"], time_range, (FRESHNESS, now_ms), samples)
        return found
    finally:
        database.connection.close()


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    frames=st.sampled_from([3, 150]),
    is_cut=st.booleans(),
    age_ms=st.sampled_from([0, 10_000, HOUR_MS, 5 * DAY_MS, 100 * DAY_MS]),
    samples=st.sampled_from([0, ROLLUPS_ALONE]),
)
def test_what_a_look_up_leaves_out_is_not_needed(
    *, seed: int, frames: int, is_cut: bool, age_ms: int, samples: int
) -> None:
    """What is known of a range is the same pieces; of any other part, too, or it is noticed."""
    rng = random.Random(seed)
    whole = stored(rng, frames, is_cut=is_cut)
    span_ms = whole.range.duration_ms
    ends = [whole.start_ms - DAY_MS + round(rng.random() * (span_ms + 2 * DAY_MS)) for _ in "ab"]
    time_range = Range(min(ends), max(ends) + 1)
    now_ms = FETCHED_MS + age_ms
    part = time_range.clip(whole.range)
    if part is None:
        return
    found = asyncio.run(looked_up(whole, time_range, now_ms, samples))
    known_ms = FRESHNESS.known_until_ms(whole, now_ms)
    needed = [(part.start_ms, min(part.end_ms, known_ms))]
    if samples == ROLLUPS_ALONE:
        # Up to full hours, where the segment is cut.
        lo_ms, hi_ms = needed.pop()
        first_ms, last_ms = bucket_start(lo_ms, HOUR_MS) + HOUR_MS, bucket_start(hi_ms, HOUR_MS)
        if not is_clean(whole, lo_ms, HOUR_MS):
            needed.append((lo_ms, min(first_ms, hi_ms)))
        if not is_clean(whole, hi_ms, HOUR_MS):
            needed.append((max(last_ms, lo_ms), hi_ms))
    for start_ms, end_ms in needed:
        if start_ms < end_ms and found.frames is not None:
            assert pieces(whole, Range(start_ms, end_ms)) == pieces(found, Range(start_ms, end_ms))
    for _ in range(20):
        start_ms, end_ms = sorted(rng.sample(range(part.start_ms - 1, part.end_ms + 2), 2))
        try:
            taken = pieces(found, Range(start_ms, end_ms))
        except DirectoryMissing:
            assert not found.has_directory
        else:
            assert pieces(whole, Range(start_ms, end_ms)) == taken
