"""Rows of buckets, of hours and of samples."""

from __future__ import annotations

from fractions import Fraction

from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range
from building_vitals.series.bucket_sums import ROWS_AT_ONCE, Bounds, BucketSums
from building_vitals.series.buckets import Buckets, parse_interval
from building_vitals.series.rollups import Rollup, Sums, rollup_text


def bounds_of(interval: str, time_range: Range, zone: str = "UTC") -> Bounds:
    """Return the bounds of a range's buckets."""
    return Bounds(Buckets(parse_interval(interval), zone, time_range), time_range)


def rollup(counts: list[int], totals: list[int], bits: int = 0, fractions: int = 0) -> Rollup:
    """Return a frame of hours."""
    text = rollup_text(Sums(counts, [fractions] * len(counts), totals, bits))
    assert text is not None
    return Rollup(text)


def rows(sums: BucketSums, *names: str) -> str:
    """Return all rows."""
    return b",".join(text for _, text in sums.rows(names)).decode()


def test_bounds_are_those_of_the_range() -> None:
    """The first bucket begins before it, and it ends the last one."""
    found = bounds_of("1d", Range(5 * HOUR_MS, 2 * DAY_MS + 1), "Europe/Berlin")
    assert [-HOUR_MS, 23 * HOUR_MS, 47 * HOUR_MS] == found.begins_ms
    assert [5 * HOUR_MS, 23 * HOUR_MS, 47 * HOUR_MS, 2 * DAY_MS + 1] == found.bounds_ms
    assert [0, 0, 1, 2, 2] == [found.place_of(hours * HOUR_MS) for hours in (0, 22, 23, 47, 100)]


def test_hours_and_samples_are_one_row() -> None:
    """Whichever come first, in whatever units."""
    sums = BucketSums(bounds_of("2h", Range(0, 4 * HOUR_MS)))
    sums.add_samples(b"[0,1.25],[1,null],[2,7]", is_known=True)
    sums.add_hours(
        rollup([2, 0, 3], [3, 0, 30]), Range(HOUR_MS, 4 * HOUR_MS), HOUR_MS, is_known=True
    )
    assert "[0,4,11.25,2.8125],[7200000,3,30,10.0]" == rows(sums, "count", "sum", "mean")
    assert 2 == sums.known_rows()


def test_integers_are_summed_as_such() -> None:
    """Of numbers that were sent with a fraction the sum is one, too."""
    sums = BucketSums(bounds_of("1h", Range(0, 2 * HOUR_MS)))
    sums.add_hours(rollup([1], [8], 1, fractions=1), Range(0, HOUR_MS), 0, is_known=True)
    sums.add_samples(f"[{HOUR_MS},4]".encode(), is_known=True)
    assert "[0,4.0],[3600000,4]" == rows(sums, "sum")


def test_buckets_without_numbers_are_left_out() -> None:
    """And what is known counts only rows that there are."""
    sums = BucketSums(bounds_of("1h", Range(0, 4 * HOUR_MS)))
    sums.add_hours(rollup([1, 0, 2], [1, 0, 2]), Range(0, 3 * HOUR_MS), 0, is_known=False)
    sums.add_samples(f"[{3 * HOUR_MS},null]".encode(), is_known=False)
    assert "[0,1],[7200000,2]" == rows(sums, "count")
    assert ({0, 2}, 0) == (sums.fetched, sums.known_rows())


def test_what_no_double_holds_is_null() -> None:
    """A mean of such numbers may be one all the same."""
    sums = BucketSums(bounds_of("1h", Range(0, HOUR_MS)))
    sums.add_samples(b"[0,1e308],[1,1e308]", is_known=True)
    assert "[0,null,1e+308]" == rows(sums, "sum", "mean")


def test_numbers_are_written_as_python_does() -> None:
    """Very large and very small ones, too, and beside others."""
    values = ["0.1", "1e16", "12345.678", "9999999999999998.0", "0.0001", "0.00001", "-0.0", "3"]
    for some in (values, values[2:5], values[:2], values[4:6]):
        end_ms = len(some) * HOUR_MS
        sums = BucketSums(bounds_of("1h", Range(0, end_ms)))
        for n, value in enumerate(some):
            sums.add_samples(f"[{n * HOUR_MS},{value}]".encode(), is_known=True)
        expected = [f"[{n * HOUR_MS},{abs(float(value))!r}]" for n, value in enumerate(some)]
        assert ",".join(expected) == rows(sums, "mean")


def test_many_rows_are_several_runs() -> None:
    """So that none is very long."""
    size = ROWS_AT_ONCE + 1
    sums = BucketSums(bounds_of("1m", Range(0, size * MINUTE_MS)))
    sums.add_samples(b",".join(b"[%d,1]" % (n * MINUTE_MS) for n in range(size)), is_known=True)
    found = list(sums.rows(["count"]))
    assert [ROWS_AT_ONCE, 1] == [count for count, _ in found]
    assert [ROWS_AT_ONCE, 1] == [text.count(b"[") for _, text in found]


def test_means_of_any_size_are_rounded_once() -> None:
    """Of the smallest numbers that there are, of large ones beside them, and of both signs."""
    values = ["5e-324", "-2.5e-308", "1e-300", "1e300", "-1.7976931348623157e308", "123456789.1"]
    for some in (values[:2], values[:3], values[2:4], values[3:], values[1:5], ["-3.7", "-0.2"]):
        sums = BucketSums(bounds_of("1h", Range(0, HOUR_MS)))
        text = ",".join(f"[{n},{value}]" for n, value in enumerate(some))
        sums.add_samples(text.encode(), is_known=True)
        total = sum(map(Fraction, map(float, some)))
        count = len(some)
        expected = total.numerator / (total.denominator * count)
        assert f"[0,{expected!r}]" == rows(sums, "mean")
