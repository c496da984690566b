"""What a follow has read, as charts and jobs judge it."""

from __future__ import annotations

import pytest

from building_vitals.cache.followed import Followed
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.segments import Segment
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range

NOW_MS = 1_767_225_600_000
KNOWN = Range(NOW_MS - 9 * DAY_MS, NOW_MS - 2 * MINUTE_MS)
FOLLOWED = Followed(NOW_MS - 9 * DAY_MS, 300_000, (Range(0, 9), KNOWN), KNOWN.end_ms)
RULE = Freshness(trust_ratio=2.0, trust_max_ms=DAY_MS, grace_ms=DAY_MS, max_age_ms=DAY_MS)
OF_FOLLOWED = Freshness(
    trust_ratio=2.0, trust_max_ms=DAY_MS, grace_ms=DAY_MS, max_age_ms=DAY_MS, followed=FOLLOWED
)


def segment(start_ms: int, end_ms: int, fetched_ms: int) -> Segment:
    """Return a segment."""
    return Segment("p", start_ms, end_ms, fetched_ms, "key", "tag", 0, 1, 1, 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("start_ms", "end_ms", "fetched_ms", "expected_ms"),
    [
        # Read by a round, five days ago, up to its present.
        (NOW_MS - 5 * DAY_MS - HOUR_MS, NOW_MS - 5 * DAY_MS, NOW_MS - 5 * DAY_MS, 0),
        # Read beyond what rounds have read.
        (NOW_MS - HOUR_MS, NOW_MS - 1000, NOW_MS - 60_000, KNOWN.end_ms - NOW_MS + 1000),
        # From before the follow: trust decides.
        (NOW_MS - 9 * DAY_MS - 9, NOW_MS - 9 * DAY_MS, NOW_MS - 9 * DAY_MS - 1, -9),
    ],
)
def test_what_rounds_have_read_is_known(
    start_ms: int, end_ms: int, fetched_ms: int, expected_ms: int
) -> None:
    """As far as they have read, whatever its age when it was fetched, and since when."""
    each = segment(start_ms, end_ms, fetched_ms)
    assert RULE.known_until_ms(each, NOW_MS) < end_ms
    assert end_ms + expected_ms == OF_FOLLOWED.known_until_ms(each, NOW_MS)
    assert OF_FOLLOWED.is_known(each, NOW_MS) == (expected_ms != -9)


def test_what_was_never_read_by_rounds_is_trusted_as_ever() -> None:
    """A segment that begins before all that they have read, or lies in a gap of it."""
    gap = Followed(0, 300_000, (Range(100, 200), Range(300, 400)), 400)
    assert [150, 200, 90, 200, 250, 400] == [
        gap.known_until_ms(segment(0, end_ms, NOW_MS), until_ms)
        for until_ms, end_ms in (
            (100, 150),
            (199, 900),
            (90, 900),
            (200, 900),
            (250, 900),
            (300, 900),
        )
    ]


def test_gaps_that_the_next_round_fills_are_left_to_it() -> None:
    """As long as rounds come: two intervals after the last one, charts fetch for themselves."""
    gaps = [Range(NOW_MS - HOUR_MS, NOW_MS - 3 * MINUTE_MS), Range(NOW_MS - 150_000, NOW_MS)]
    assert [gaps[0], Range(NOW_MS - 150_000, KNOWN.end_ms)] == FOLLOWED.without_rounds(gaps, NOW_MS)
    assert [] == FOLLOWED.without_rounds([Range(KNOWN.end_ms, NOW_MS)], NOW_MS)
    late_ms = KNOWN.end_ms + 2 * 300_000
    assert (True, False) == (FOLLOWED.is_healthy(late_ms), FOLLOWED.is_healthy(late_ms + 1))
    assert gaps == FOLLOWED.without_rounds(gaps, late_ms + 1)
    assert gaps == Followed(0, 300_000).without_rounds(gaps, NOW_MS)


def test_whether_rounds_hold_all_of_a_range() -> None:
    """Up to the last round while they come, else to its end."""
    week = Range(NOW_MS - 7 * DAY_MS, NOW_MS)
    assert FOLLOWED.holds(week, NOW_MS)
    assert FOLLOWED.holds(Range(NOW_MS - 1000, NOW_MS), NOW_MS)
    assert not FOLLOWED.holds(week._replace(start_ms=NOW_MS - 10 * DAY_MS), NOW_MS)
    assert not FOLLOWED.holds(week, NOW_MS + DAY_MS)
    assert FOLLOWED.holds(week._replace(end_ms=KNOWN.end_ms), NOW_MS + DAY_MS)
    assert not FOLLOWED.holds(None, NOW_MS)
