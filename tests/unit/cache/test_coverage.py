"""What is known of a range, and what is not."""

from __future__ import annotations

import msgspec
import pytest

from builders import FRESHNESS, span, stored
from building_vitals.cache.coverage import Cover, cover, covers, gaps_of, known_until
from building_vitals.cache.segments import Segment
from building_vitals.ranges import Range

# FRESHNESS: settled from an age of 2,000; kept 24,000, or 1,000 if provisional, and 5,000 more.
NOW = 100_000


def segments(*known: str, fetched_ms: int = NOW, point: str = "p") -> list[Segment]:
    """Return segments of a point."""
    return [stored(each, point=point, fetched_ms=fetched_ms).segment for each in known]


def picture(covered: Cover) -> str:
    """Return the cover as text: parts known, each from the segment that starts at, and gaps."""
    parts = [
        (part, f"{segment.start_ms}:{part.start_ms}-{part.end_ms}")
        for segment, part in covered.known
    ]
    parts += [(gap, f"gap:{gap.start_ms}-{gap.end_ms}") for gap in covered.gaps]
    return " ".join(text for _, text in sorted(parts))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param([], "gap:10-50", id="nothing known"),
        pytest.param(["10-50"], "10:10-50", id="all known"),
        pytest.param(["0-90"], "0:10-50", id="more than all known"),
        pytest.param(["0-20"], "0:10-20 gap:20-50", id="beginning known"),
        pytest.param(["40-90"], "gap:10-40 40:40-50", id="end known"),
        pytest.param(["20-30"], "gap:10-20 20:20-30 gap:30-50", id="middle known"),
        pytest.param(["30-50", "10-30"], "10:10-30 30:30-50", id="two that meet, out of order"),
        pytest.param(["0-30", "20-60"], "0:10-20 20:20-50", id="two that overlap"),
        pytest.param(["0-60", "20-30"], "0:10-20 20:20-30 0:30-50", id="one inside"),
        pytest.param(["0-10", "50-60"], "gap:10-50", id="neighbours only"),
    ],
)
def test_cover(known: list[str], expected: str) -> None:
    """Segments and gaps follow each other through the whole request, each instant once."""
    assert expected == picture(cover("p", segments(*known), Range(10, 50)))


@pytest.mark.parametrize(
    ("copies", "expected"),
    [
        pytest.param({"0-60": 1, "20-30": 2}, "0:10-20 20:20-30 0:30-50", id="a newer part"),
        pytest.param({"0-60": 2, "20-30": 1}, "0:10-50", id="an older part"),
        pytest.param({"0-40": 1, "20-60": 2}, "0:10-20 20:20-50", id="the later is newer"),
        pytest.param({"0-40": 2, "20-60": 1}, "0:10-40 20:40-50", id="the earlier is newer"),
        pytest.param({"0-60": 3, "20-90": 2, "5-45": 4}, "5:10-45 0:45-50", id="three copies"),
    ],
)
def test_each_instant_is_that_of_the_newest_copy(copies: dict[str, int], expected: str) -> None:
    """What was shown once never gives way to what was fetched before it."""
    held = [each for known, at_ms in copies.items() for each in segments(known, fetched_ms=at_ms)]
    assert expected == picture(cover("p", held, Range(10, 50)))
    assert expected == picture(cover("p", held[::-1], Range(10, 50)))


def test_nothing_is_covered_where_nothing_can_be_known() -> None:
    """A range that lies in the future has neither segments nor gaps."""
    assert Cover("p", [], []) == cover("p", segments("0-90"), None)


@pytest.mark.parametrize(
    ("time_range", "now_ms", "expected"),
    [
        pytest.param("10-50", 90, "10-50", id="past"),
        pytest.param("10-50", 50, "10-50", id="up to now"),
        pytest.param("10-50", 30, "10-30", id="into the future"),
        pytest.param("10-50", 11, "10-11", id="just begun"),
        pytest.param("10-50", 10, None, id="begins now"),
        pytest.param("10-50", 5, None, id="future"),
    ],
)
def test_known_until_now(time_range: str, now_ms: int, expected: str | None) -> None:
    """Nothing later than the moment of asking can be known."""
    assert (span(expected) if expected else None) == known_until(span(time_range), now_ms)


@pytest.mark.parametrize(
    ("now_ms", "grace", "expected"),
    [
        pytest.param(12_999, False, "0:0-10000 10000:10000-12000", id="both fresh"),
        pytest.param(13_000, False, "0:0-10000 gap:10000-12000", id="provisional expired"),
        pytest.param(13_000, True, "0:0-10000 10000:10000-12000", id="provisional in grace"),
        pytest.param(17_999, True, "0:0-10000 10000:10000-12000", id="end of its grace"),
        pytest.param(18_000, True, "0:0-10000 gap:10000-12000", id="after its grace"),
        pytest.param(35_999, False, "0:0-10000 gap:10000-12000", id="settled to the last"),
        pytest.param(36_000, False, "gap:0-12000", id="settled expired"),
        pytest.param(40_999, True, "0:0-10000 gap:10000-12000", id="settled in grace"),
        pytest.param(41_000, True, "gap:0-12000", id="all gone"),
    ],
)
def test_expired_segments_are_gaps(now_ms: int, *, grace: bool, expected: str) -> None:
    """Segments are known until they expire, and in need until their grace is over."""
    held = segments("0-10000", "10000-12000", fetched_ms=12_000)
    [found] = covers(["p"], held, Range(0, 12_000), freshness=FRESHNESS, now_ms=now_ms, grace=grace)

    assert expected == picture(found)


def test_expired_segments_only_fill_gaps() -> None:
    """In need, what is fresh still comes first; expired parts stand between, in order of time."""
    fresh = segments("20-30", fetched_ms=NOW)
    expired = segments("0-25", "28-90", fetched_ms=NOW - 24_000)
    [found] = covers(
        ["p"], expired + fresh, Range(10, 50), freshness=FRESHNESS, now_ms=NOW, grace=True
    )

    assert picture(found) == "0:10-20 20:20-30 28:30-50"
    assert [10, 20, 30] == [part.start_ms for _, part in found.known]


def test_configuration_of_today_decides() -> None:
    """Expiry is judged when reading: a shorter TTL takes effect for what is stored already."""
    held = segments("0-10", fetched_ms=NOW)
    stricter = msgspec.structs.replace(FRESHNESS, settled_ttl_ms=500)
    found = [
        gaps_of(covers(["p"], held, Range(0, 10), freshness=each, now_ms=NOW + 500))
        for each in (FRESHNESS, stricter)
    ]

    assert [{}, {"p": [Range(0, 10)]}] == found


def test_points_are_covered_in_the_order_asked_for() -> None:
    """Every point has its cover, from its own segments only."""
    held = segments("0-50", point="b") + segments("0-20", point="a")
    found = covers(["b", "c", "a"], held, Range(0, 50), freshness=FRESHNESS, now_ms=NOW)

    assert [
        ("b", "0:0-50"),
        ("c", "gap:0-50"),
        ("a", "0:0-20 gap:20-50"),
    ] == [(each.point, picture(each)) for each in found]
    assert {"c": [Range(0, 50)], "a": [Range(20, 50)]} == gaps_of(found)


@pytest.mark.parametrize("grace", [False, True])
def test_nothing_is_missing_of_a_point_that_the_site_does_not_have(*, grace: bool) -> None:
    """What is stored of it, fresh or expired, is not answered, and nothing of it is fetched."""
    held = segments("0-20", point="gone") + segments("0-20", point="p")
    held += segments("20-50", point="gone", fetched_ms=NOW - 24_000)
    found = covers(
        ["gone", "p"],
        held,
        Range(0, 50),
        freshness=FRESHNESS,
        now_ms=NOW,
        grace=grace,
        unknown={"gone"},
    )

    assert Cover("gone", [], [], is_unknown=True) == found[0]
    assert (False, "0:0-20 gap:20-50") == (found[1].is_unknown, picture(found[1]))
    assert {"p": [Range(20, 50)]} == gaps_of(found)
