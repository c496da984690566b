"""What was fetched at different instants becomes one only where nothing newer gets hidden."""

from __future__ import annotations

import msgspec
import pytest

from builders import every, span, stored
from building_vitals.cache.fetch_runs import (
    JOINED_BYTES_MAX,
    JOINED_MIN,
    LOST_PART,
    affordable,
    are_scattered,
    fetch_runs,
    may_count_as,
)
from building_vitals.cache.followed import Followed
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.joining import BARE_SAMPLES_MAX, SEGMENT_BYTES_MAX, Run
from building_vitals.cache.object_keys import ROWS
from building_vitals.cache.segments import BlockSegment, Segment
from building_vitals.instants import DAY_MS


def segment(text: str) -> Segment:
    """Return the segment `10-20@500`: its range and when it was fetched."""
    known, _, fetched = text.partition("@")
    return stored(known, every(1, span(known)), fetched_ms=int(fetched), key=text).segment


# What was fetched within 50 may count as one, if it ends at most 88 after the first instant: ranges
# are short here, and some are said to be fetched before they end.
NEAR = Freshness(
    trust_ratio=1_000, trust_max_ms=50 * LOST_PART, lateness_ms=-90, grace_ms=1, max_age_ms=1
)


def told(found: list[Run]) -> list[str]:
    """Return runs as texts: the range, the instant, the parts with what each gives."""
    return [
        f"{run.known.start_ms}-{run.known.end_ms}@{run.fetched_ms}: "
        + " ".join(f"{part.start_ms}-{part.end_ms}@{of.fetched_ms}" for of, part in run.parts)
        for run in found
    ]


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        pytest.param("0-10@7 10-20@8 20-30@5", ["0-30@5: 0-10@7 10-20@8 20-30@5"], id="chunks"),
        pytest.param("20-30@5 0-10@7 10-20@8", ["0-30@5: 0-10@7 10-20@8 20-30@5"], id="any order"),
        pytest.param("0-10@7 10-20@7 20-30@7", ["0-30@7: 0-10@7 10-20@7 20-30@7"], id="one fetch"),
        pytest.param("0-10@7 10-20@8", [], id="too few"),
        pytest.param("0-10@7 11-20@8 20-30@9", [], id="a gap"),
        pytest.param("0-10@7 10-20@8 20-30@99", [], id="long after"),
        pytest.param("0-10@7 10-20@8 20-101@9", [], id="too young"),
        pytest.param(
            "0-10@99 10-20@7 20-30@8 30-40@9", ["10-40@7: 10-20@7 20-30@8 30-40@9"], id="the rest"
        ),
        pytest.param(
            "0-20@7 10-30@8 30-40@9", ["0-40@7: 0-10@7 10-30@8 30-40@9"], id="overlapping"
        ),
        pytest.param(
            "0-40@7 10-20@8 30-50@9", ["0-50@7: 0-10@7 10-20@8 20-30@7 30-50@9"], id="one within"
        ),
    ],
)
def test_neighbours_count_as_fetched_when_the_first_of_them_was(
    held: str, expected: list[str]
) -> None:
    """All that follow each other, as far as the rule says that they may."""
    segments = [segment(each) for each in held.split()]
    assert expected == told(fetch_runs(segments, segments, NEAR))


@pytest.mark.parametrize(
    ("other", "is_joined"),
    [
        pytest.param("5-6@4", True, id="before all of them"),
        pytest.param("5-6@10", True, id="after all of them"),
        pytest.param("5-6@5", False, id="with the first"),
        pytest.param("5-6@9", False, id="with the last"),
        pytest.param("0-99@7", False, id="between, over all of it"),
        pytest.param("40-50@7", True, id="between, elsewhere"),
    ],
)
def test_nothing_else_was_fetched_in_between(other: str, is_joined: bool) -> None:
    """What is not joined must be as new or old beside the whole as beside the parts."""
    chosen = [segment(each) for each in ("0-10@5", "10-20@9", "20-30@6")]
    found = fetch_runs([*chosen, segment(other)], chosen, NEAR)
    assert is_joined == bool(found)


def test_what_can_not_be_joined_stays_apart() -> None:
    """Large ones, those in blocks, slivers without their bytes, and what came by point."""
    one, two, three = (segment(each) for each in ("0-10@5", "10-20@6", "20-30@7"))
    assert 1 == len(fetch_runs([one, two, three], [one, two, three], NEAR))
    replace = msgspec.structs.replace
    for other in (
        replace(two, stored_bytes=SEGMENT_BYTES_MAX + 1),
        BlockSegment(*msgspec.structs.astuple(two)),
        replace(two, key=f"{ROWS}k"),
        replace(two, is_by_point=True),
    ):
        assert [] == fetch_runs([one, other, three], [one, other, three], NEAR)


def test_slivers_are_joined_but_are_no_reason() -> None:
    """They take no read of their own."""
    chosen = [segment(f"{n}0-{n + 1}0@{n}") for n in range(4)]
    sliver = msgspec.structs.replace(chosen[1], key=f"{ROWS}k", data=b"1")
    assert are_scattered(chosen[:JOINED_MIN])
    assert not are_scattered([sliver, *chosen[:2]])
    assert [] == fetch_runs([chosen[0], sliver, chosen[2]], [chosen[0], sliver, chosen[2]], NEAR)
    all_of_them = [chosen[0], sliver, *chosen[2:]]
    [run] = fetch_runs(all_of_them, all_of_them, NEAR)
    assert span("0-40") == run.known


def test_what_becomes_one_has_a_size() -> None:
    """Beyond it another one begins."""
    count = 4
    chosen = [
        msgspec.structs.replace(segment(f"{n}-{n + 1}@5"), stored_bytes=JOINED_BYTES_MAX // count)
        for n in range(2 * count)
    ]
    assert [count, count] == [len(run.parts) for run in fetch_runs(chosen, chosen, NEAR)]


def of_bytes(size: int, *, is_leveled: bool) -> Run:
    """Return a run of one segment."""
    one = msgspec.structs.replace(
        segment("0-10@5"),
        stored_bytes=size,
        count=BARE_SAMPLES_MAX + 1,
        levels=() if is_leveled else None,
    )
    return Run("p", one.range, 5, [(one, one.range)])


def test_as_much_is_stored_at_once_as_it_may() -> None:
    """Making levels costs more than copying them; without need for them, they stay apart."""
    leveled, bare = of_bytes(10, is_leveled=True), of_bytes(10, is_leveled=False)

    def chosen(runs: list[Run], *, is_zoomed: bool) -> str:
        found = affordable(runs, most_bytes=35, most_leveled_bytes=15, is_zoomed=is_zoomed)
        return "".join("l" if run is leveled else "b" for run in found)

    assert "llll" == chosen([leveled] * 9, is_zoomed=True) == chosen([leveled] * 9, is_zoomed=False)
    assert "bb" == chosen([bare] * 9, is_zoomed=True)
    assert "bbbb" == chosen([bare] * 9, is_zoomed=False)
    assert "bbl" == chosen([bare, bare, bare, leveled], is_zoomed=True)
    assert "bbb" == chosen([bare, bare, bare, leveled], is_zoomed=False)
    assert "l" == chosen([leveled, bare], is_zoomed=False)
    assert "b" == chosen([of_bytes(99, is_leveled=False)], is_zoomed=True)
    assert "" == chosen([], is_zoomed=True)


# As configured: twice, 90 days, a minute late.
USUAL = Freshness(
    trust_ratio=2.0, trust_max_ms=90 * DAY_MS, grace_ms=DAY_MS, max_age_ms=30 * DAY_MS
)


def test_what_is_trusted_for_the_longest_may_count_as_older() -> None:
    """By a little of that: two instants that lie further apart, or younger samples, do not."""
    old_ms = USUAL.trust_max_ms // int(USUAL.trust_ratio) + USUAL.lateness_ms
    first_ms, most_ms = 10**12, USUAL.trust_max_ms // LOST_PART
    end_ms = first_ms - old_ms
    assert may_count_as(USUAL, first_ms, first_ms + most_ms, end_ms)
    assert not may_count_as(USUAL, first_ms, first_ms + most_ms + 1, end_ms)
    assert not may_count_as(USUAL, first_ms, first_ms + 1, end_ms + 1)
    assert may_count_as(USUAL, first_ms, first_ms, first_ms)
    followed = msgspec.structs.replace(USUAL, followed=Followed(first_ms - DAY_MS, 1))
    assert not may_count_as(followed, first_ms, first_ms + 1, end_ms)
