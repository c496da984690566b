"""Slivers: when a fetch is stored in rows, and when its slivers are joined or moved."""

from __future__ import annotations

import msgspec
import pytest

from builders import samples
from building_vitals.cache.object_keys import row_key
from building_vitals.cache.segments import Segment, segment_of
from building_vitals.cache.slivers import SAVED_MIN, are_large, are_many, fit_rows, worth_moving
from building_vitals.ranges import Range

DAY_MS = 86_400_000
NOW_MS = 1_000 * DAY_MS


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param([], True, id="nothing"),
        pytest.param([0, 0], True, id="no samples"),
        pytest.param([8192], True, id="as large as may be"),
        pytest.param([8193], False, id="larger"),
        pytest.param([60] * 50, True, id="a reload of many points"),
        pytest.param([60, 8193], False, id="one that needs an object"),
        pytest.param([8192] * 8, True, id="as much as may be"),
        pytest.param([1] * (8 * 8192 + 1), False, id="too much together"),
    ],
)
def test_a_fetch_goes_into_rows_or_into_an_object(sizes: list[int], expected: bool) -> None:
    """All of it, by the largest and by the sum."""
    assert expected == fit_rows(sizes, 8192)


def test_without_a_bound_there_are_no_slivers() -> None:
    """A bound of 0 is the way without them; only what has no samples needs no object anyway."""
    assert not fit_rows([1], 0)
    assert fit_rows([0], 0)


def sliver(n: int, *, count: int = 1, size: int | None = None) -> Segment:
    """Return the sliver of a minute, by default with one sample."""
    time_range = Range(NOW_MS + n * 60_000 - DAY_MS, NOW_MS + (n + 1) * 60_000 - DAY_MS)
    series = samples(" ".join(f"{time_range.start_ms + i}:1" for i in range(count))).series()
    made = segment_of(
        "p", time_range, series, fetched_ms=NOW_MS, key=row_key("site", str(n)), offset=0
    )
    data = series.data if count else None
    return msgspec.structs.replace(
        made, data=data, stored_bytes=made.stored_bytes if size is None else size
    )


def test_rows_are_joined_where_that_saves_some() -> None:
    """Those that follow each other, with and without samples; not those of different kinds."""
    slivers = [sliver(n, count=n % 2) for n in range(2 * SAVED_MIN + 1)]
    assert are_many(slivers[: SAVED_MIN + 1])
    assert not are_many(slivers[:SAVED_MIN])
    # Reloads, each fetched at its own instant, keep their rows: each is trusted so long.
    reloads = [msgspec.structs.replace(each, fetched_ms=each.end_ms) for each in slivers]
    assert not are_many(reloads)
    # Every other one: there is nothing to join.
    assert not are_many(slivers[::2])
    left_out = [msgspec.structs.replace(each, data=None) for each in slivers if each.count]
    assert not are_many([*left_out, *left_out])
    in_objects = [msgspec.structs.replace(each, key="timeseries/x") for each in slivers]
    assert not are_many([each for each in in_objects if each.count])


def test_slivers_add_up() -> None:
    """What an answer has of them together counts, and objects do not."""
    slivers = [sliver(n, size=8192) for n in range(9)]
    assert are_large(slivers, 8192)
    assert not are_large(slivers[:8], 8192)
    in_objects = [msgspec.structs.replace(each, key="timeseries/x") for each in slivers]
    assert not are_large(in_objects, 8192)


def test_the_largest_slivers_are_moved_until_half_is_left() -> None:
    """None while they are not large together; never more than that takes, nor what is left out."""
    sizes = [100] * 40 + [8192] * 4 + [4096] * 8
    slivers = [sliver(n, size=size) for n, size in enumerate(sizes)]
    assert sum(sizes) - 65_536 == 4_000
    moved = worth_moving(slivers, 8192)
    assert [8192] * 4 + [4096] == [each.stored_bytes for each in moved]
    left = sum(sizes) - sum(each.stored_bytes for each in moved)
    assert 32_768 - 8192 < left <= 32_768
    assert [] == worth_moving(slivers[40:], 8192)
    left_out = [msgspec.structs.replace(each, data=None) for each in slivers]
    assert [] == worth_moving([*slivers[40:], *left_out], 8192)
