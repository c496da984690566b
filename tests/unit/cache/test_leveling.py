"""Levels that are made of what is about to be stored."""

from __future__ import annotations

import asyncio

import msgspec

from builders import Samples, Stored, stored
from building_vitals.cache.leveling import with_levels
from building_vitals.cache.segments import (
    LEVELED_BYTES_MIN,
    Segment,
    level_piece,
    of_level,
    pieces,
    verify,
)
from building_vitals.ranges import Range
from building_vitals.series.frames import frame_text
from building_vitals.series.levels import WIDTHS_MS
from building_vitals.series.rollups import ROLLUP_MS, Places, Rollup
from building_vitals.series.sample_text import decode_samples
from building_vitals.series.splicing import inflate
from fakes.brute_levels import DAY_MS, HOUR_MS, MINUTE_MS, level

WEEK = Range(0, 7 * DAY_MS)
MANY = Samples((MINUTE_MS * n, f"{n * 7919 % 4_001}.5") for n in range(7 * 24 * 60))


def made(*held: Stored) -> tuple[bytes, list[Segment]]:
    """Return an object of some segments with levels."""
    data, segments = b"", []
    for each in held:
        end = each.segment.offset + each.segment.stored_bytes
        series = each.blob[each.segment.offset : end]
        segments.append(msgspec.structs.replace(each.segment, offset=len(data)))
        data += series
    found, leveled = asyncio.run(with_levels(data, segments))
    assert found.startswith(data)
    return found, leveled


def test_levels_lie_behind_the_samples_by_width() -> None:
    """Each is read by its directory, and those of one width lie together."""
    held = [stored(WEEK, MANY, point=name, sizes=[600] * 16) for name in "ab"]
    data, segments = made(*held)
    spans = []
    for segment in segments:
        assert segment.levels is not None
        rollup, *levels = segment.levels
        widths = [each.width_ms for each in levels]
        assert [15 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, DAY_MS, 7 * DAY_MS] == widths
        assert (ROLLUP_MS, 7 * 24) == (rollup.width_ms, rollup.count)
        spans.append((rollup.width_ms, rollup.offset, rollup.stored_bytes))
        for each in levels:
            [piece] = pieces(of_level(segment, each), WEEK)
            read = data[piece.offset : piece.offset + piece.stored_bytes]
            verify(piece, read)
            samples = decode_samples(inflate(read, piece.text_bytes))
            expected = level(list(MANY), each.width_ms)
            assert expected == [(ms, bytes(raw).decode()) for ms, raw in samples]
            assert (each.count, each.stored_bytes) == (len(expected), len(read))
            spans.append((each.width_ms, each.offset, each.stored_bytes))
    spans.sort()
    assert [each[1] for each in spans] == sorted(each[1] for each in spans)
    assert len(data) == spans[-1][1] + spans[-1][2]
    added = sum(each[2] for each in spans)
    assert added < 0.45 * sum(each.segment.stored_bytes for each in held)


def test_rollups_have_the_sums_of_hours() -> None:
    """They lie before the levels, as one frame of a series."""
    held = stored(WEEK, MANY, sizes=[600] * 16)
    data, [segment] = made(held)
    assert segment.levels is not None
    rollup = segment.levels[0]
    assert len(held.segment.frames or ()) > 1
    assert rollup.frames is not None
    [piece] = [level_piece(segment, rollup, range(len(rollup.frames)))]
    read = data[piece.offset : piece.offset + piece.stored_bytes]
    verify(piece, read)
    found = Rollup(frame_text(rollup.frames[0], read)).sums(Places.of([0, 1, 7 * 24]))
    values = [float(text) for _, text in MANY]
    assert [60, len(MANY) - 60] == found.counts
    sums = [total / (1 << found.bits) for total in found.totals]
    assert [sum(values[:60]), sum(values[60:])] == sums


def test_small_segments_have_none() -> None:
    """What is thinned from its samples in no time stays as it is."""
    few = stored(Range(0, DAY_MS // 6), MANY)
    assert few.segment.stored_bytes <= LEVELED_BYTES_MIN
    data, [segment] = made(few)
    assert (few.segment.stored_bytes, None) == (len(data), segment.levels)


def test_sparse_samples_have_none() -> None:
    """A sample in two days: there is nothing to save, and it is said how little at the most."""
    sparse = Samples((2 * DAY_MS * n, f'"{n * 7919:09}"') for n in range(3_000))
    held = stored(Range(0, 6_000 * DAY_MS), sparse, sizes=[600] * 4)
    assert held.segment.stored_bytes > LEVELED_BYTES_MIN
    data, [segment] = made(held)
    assert held.segment.stored_bytes == len(data)
    assert segment.levels is not None
    assert not any(each.is_kept for each in segment.levels)
    # Four lie in a week at the most, and two of them are kept.
    noted = [(each.width_ms, each.count) for each in segment.levels]
    assert [*((width_ms, 3_000) for width_ms in WIDTHS_MS[:-1]), (WIDTHS_MS[-1], 1_500)] == noted
