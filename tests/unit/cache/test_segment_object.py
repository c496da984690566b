"""What is stored at once: an object, or slivers with their bytes in them."""

from __future__ import annotations

import pytest

from builders import Samples
from building_vitals.cache.object_keys import is_row_key
from building_vitals.cache.segment_object import segment_object
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries


def fold(point: str, count: int) -> PointSeries:
    """Return a series of some samples."""
    return PointSeries(point, Range(0, 1000), Samples((n, "1.5") for n in range(count)).series())


@pytest.mark.parametrize("sliver_bytes", [0, 20, 8192])
def test_it_is_an_object_or_slivers(sliver_bytes: int) -> None:
    """By the largest series; either way each series is a part of the data, at its offset."""
    series = [fold("a", 3), fold("none", 0), fold("b", 500)]
    made = segment_object("hq", series, fetched_ms=5, nonce="x", sliver_bytes=sliver_bytes)
    assert (sliver_bytes < 8192) == made.is_object
    assert (sliver_bytes == 8192) == is_row_key(made.key)
    for each, point_series in zip(made.segments, series, strict=True):
        part = made.data[each.offset : each.offset + each.stored_bytes]
        assert point_series.series.data == part
        has_data = bool(each.count) and not made.is_object
        assert (part if has_data else None) == each.data
        assert has_data == each.is_sliver


def test_what_has_no_samples_needs_neither() -> None:
    """Without a sample there is no key, and nothing to be stored but rows."""
    made = segment_object("hq", [fold("a", 0)], fetched_ms=5, nonce="x", sliver_bytes=8192)
    assert ("", False, b"") == (made.key, made.is_object, made.data)
    assert [False] == [each.is_sliver or each.is_left_out for each in made.segments]
