"""What is brought together in one object, and what is left where it lies."""

from __future__ import annotations

from builders import sized
from building_vitals.cache.gathering import GATHERED_MIN, gathered, runs_in_one
from building_vitals.cache.joining import SEGMENT_BYTES_MAX
from building_vitals.cache.segments import Segment


def test_nothing_is_gathered_that_would_be_of_no_use() -> None:
    """Large segments stay, and so do a few small ones; what is too much comes in parts."""
    small = [sized(f"s{n}", 1000 + n) for n in range(GATHERED_MIN)]
    large = [sized(f"l{n}", SEGMENT_BYTES_MAX + 1) for n in range(20)]
    assert {each.key for each in small} == gathered([*large, *small])
    assert frozenset() == gathered([*large, *small[1:]])
    assert frozenset() == gathered([])
    full = [sized(f"f{n // 33}", SEGMENT_BYTES_MAX, str(n)) for n in range(33 * 12)]
    assert frozenset() == gathered(full)
    assert {each.key for each in small} == gathered([*full, *small])


def test_of_each_point_what_is_gathered_becomes_a_run() -> None:
    """Of points in the same objects each has its own; what lies in others stays out of it."""
    small = [
        sized(f"s{n}", 1000, point, first_ms=10 * n) for point in "ab" for n in range(GATHERED_MIN)
    ]
    large = sized("l", SEGMENT_BYTES_MAX + 1, "a", first_ms=10 * GATHERED_MIN)

    def of(point: str) -> list[Segment]:
        return [each for each in (*small, large) if each.point == point]

    planned = runs_in_one({"a": of("a"), "b": of("b")}, ())
    assert ["a", "b"] == [run.point for run in planned]
    for run in planned:
        of_point = [each for each in small if each.point == run.point]
        assert [(each, each.range) for each in of_point] == list(run.parts)
    assert [] == runs_in_one({"a": of("a")[-2:]}, ())
