"""What is known of a range, and what is not."""

from __future__ import annotations

import msgspec
import pytest

from builders import FRESHNESS, span, stored
from building_vitals.cache.coverage import (
    Cover,
    cover,
    covers,
    gaps_of,
    known_until,
    superseded,
)
from building_vitals.cache.segments import Segment
from building_vitals.ranges import Range

# FRESHNESS: known for twice its age, to a closing of frames; kept for a minute more.
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
    ("age_s", "grace", "expected"),
    [
        pytest.param(1, False, "0:0-2000000", id="a moment later"),
        pytest.param(2, False, "0:0-1680000 gap:1680000-2000000", id="the youngest five minutes"),
        pytest.param(61, True, "0:0-2000000", id="kept for a minute"),
        pytest.param(62, True, "0:0-1680000 gap:1680000-2000000", id="end of their grace"),
        pytest.param(600, False, "0:0-1680000 gap:1680000-2000000", id="twice five minutes"),
        pytest.param(601, False, "0:0-1080000 gap:1080000-2000000", id="longer"),
        pytest.param(660, True, "0:0-1680000 gap:1680000-2000000", id="kept as long"),
        pytest.param(1801, False, "gap:0-2000000", id="no closing is left"),
        pytest.param(1860, True, "0:0-1080000 gap:1080000-2000000", id="but kept"),
        pytest.param(1861, True, "gap:0-2000000", id="gone"),
    ],
)
def test_what_is_no_longer_trusted_is_a_gap(age_s: int, *, grace: bool, expected: str) -> None:
    """A segment is known to a closing of its frames, and as much is in need a grace later."""
    held = segments("0-2000000", fetched_ms=2_000_000)
    [found] = covers(
        ["p"],
        held,
        Range(0, 2_000_000),
        freshness=FRESHNESS,
        now_ms=2_000_000 + age_s * 1000,
        grace=grace,
    )

    assert expected == picture(found)


@pytest.mark.parametrize(
    ("copies", "expected"),
    [
        pytest.param(["0-50@1", "20-30@2"], "0:0-20 20:20-30 0:30-50", id="within"),
        pytest.param(["20-30@1", "0-50@2"], "0:0-50", id="around"),
        pytest.param(["0-30@2", "20-50@1"], "0:0-30 20:30-50", id="the first is newer"),
        pytest.param(["0-30@1", "20-50@2"], "0:0-20 20:20-50", id="the last is newer"),
        pytest.param(["0-50@1", "0-50@2"], "0:0-50", id="the same range"),
        pytest.param(["0-50@1", "0-10@3", "5-20@2"], "0:0-10 5:10-20 0:20-50", id="three"),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_the_newest_copy_wins(copies: list[str], expected: str, *, reverse: bool) -> None:
    """Instant by instant, in whatever order the copies come."""
    held = [
        segment
        for known, _, at in (each.partition("@") for each in copies)
        for segment in segments(known, fetched_ms=NOW + int(at))
    ]
    found = cover("p", held[::-1] if reverse else held, Range(0, 50))

    assert expected == picture(found)
    assert all(
        segment.fetched_ms == max(one.fetched_ms for one in held if one.range.clip(part))
        for segment, part in found.known
        if part.duration_ms < 50
    )


def test_of_two_fetches_at_one_instant_the_last_given_wins() -> None:
    """What has just come stands behind what was found."""
    one, other = segments("0-50")[0], segments("0-50")[0]
    assert [other] == [each for each, _ in cover("p", [one, other], Range(0, 50)).known]
    assert other is cover("p", [one, other], Range(0, 50)).known[0][0]


@pytest.mark.parametrize("grace", [False, True])
def test_a_newer_copy_decides_even_where_it_is_not_known(*, grace: bool) -> None:
    """What an older one says there was shown before the newer one came, and never again."""
    older = segments("0-1000000", fetched_ms=2_000_000)
    newer = segments("500000-2300000", fetched_ms=2_300_000)
    now_ms = 2_300_000 + 500_000 + (60_000 if grace else 0)
    [found] = covers(
        ["p"],
        older + newer,
        Range(0, 2_300_000),
        freshness=FRESHNESS,
        now_ms=now_ms + 300_000,
        grace=grace,
    )

    # The newer one is known to 15 minutes before its fetch, at a round half minute; the older one
    # to its end.
    assert "0:0-500000 500000:500000-1380000 gap:1380000-2300000" == picture(found)
    [later] = covers(
        ["p"],
        older + newer,
        Range(0, 2_300_000),
        freshness=FRESHNESS,
        now_ms=now_ms + 1_600_000,
        grace=grace,
    )
    assert "gap:0-2300000" == picture(later)


def test_what_was_waited_for_is_known_to_its_end() -> None:
    """The fetch had begun before, and was worth waiting for."""
    held = segments("0-2000000", fetched_ms=2_000_000)
    [found] = covers(
        ["p"],
        held,
        Range(0, 2_000_000),
        freshness=FRESHNESS,
        now_ms=2_005_000,
        since_ms=2_000_000,
    )
    assert "0:0-2000000" == picture(found)


def test_superseded_segments_hold_no_instant() -> None:
    """One newer copy, or several together, say all that they say."""
    [small], [other] = segments("0-10", fetched_ms=1), segments("10-40", fetched_ms=2)
    [old], [used] = segments("5-30", fetched_ms=0), segments("5-41", fetched_ms=0)
    assert [old] == superseded([small, old, other, used][:3])
    assert [old] == superseded([old, small, used, other])
    assert [] == superseded([])


def test_configuration_of_today_decides() -> None:
    """It is judged when reading: less trust takes effect for what is stored already."""
    held = segments("0-10", fetched_ms=NOW)
    stricter = msgspec.structs.replace(FRESHNESS, trust_ratio=0.1)
    found = [
        gaps_of(covers(["p"], held, Range(0, 10), freshness=each, now_ms=NOW + 50_000))
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
    held += segments("20-50", point="gone", fetched_ms=NOW - 240_000)
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
