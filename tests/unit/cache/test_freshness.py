"""Tests of freshness: how far a segment is known, and when it may go."""

from __future__ import annotations

import msgspec
import pytest

from builders import FRESHNESS, stored
from building_vitals.cache.freshness import (
    CLOSING_STEP_MS,
    LATENESS_MS,
    MOMENT_MS,
    Freshness,
    closings,
    gone_sql,
    is_whole_sql,
    spent_sql,
)
from building_vitals.cache.segments import Segment
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range

FETCHED_MS = 1_767_225_600_000
# As configured: twice, 90 days, a minute late.
USUAL = Freshness(
    trust_ratio=2.0, trust_max_ms=90 * DAY_MS, grace_ms=DAY_MS, max_age_ms=30 * DAY_MS
)


def segment(oldest_ms: int, youngest_ms: int = 0) -> Segment:
    """Return a segment by the ages of its ends when it was fetched."""
    known = Range(FETCHED_MS - oldest_ms, FETCHED_MS - youngest_ms)
    return stored(known, fetched_ms=FETCHED_MS).segment


@pytest.mark.parametrize(
    ("later_ms", "age_ms"),
    [
        pytest.param(0, 0, id="who has it fetched gets all of it"),
        pytest.param(MOMENT_MS, 0, id="and so does another of the same moment"),
        pytest.param(MOMENT_MS + 1, 5 * MINUTE_MS, id="the next one has the youngest again"),
        pytest.param(8 * MINUTE_MS, 5 * MINUTE_MS, id="twice as long as it was old: four minutes"),
        pytest.param(8 * MINUTE_MS + 1, 15 * MINUTE_MS, id="no longer"),
        pytest.param(28 * MINUTE_MS, 15 * MINUTE_MS, id="a quarter of an hour, late by a minute"),
        pytest.param(15 * HOUR_MS, 16 * HOUR_MS, id="after a night"),
        pytest.param(5 * DAY_MS, 64 * HOUR_MS, id="after five days"),
        pytest.param(60 * DAY_MS, 1_024 * HOUR_MS, id="after two months"),
        pytest.param(90 * DAY_MS, 4_096 * HOUR_MS, id="as long as anything is trusted"),
    ],
)
def test_trust_grows_with_age(later_ms: int, age_ms: int) -> None:
    """What is known is what was old enough when it was fetched, to a closing of frames."""
    year = segment(365 * DAY_MS)
    assert FETCHED_MS - age_ms == USUAL.known_until_ms(year, FETCHED_MS + later_ms)


def test_nothing_is_trusted_longer_than_the_longest_trust() -> None:
    """However old it was."""
    year = segment(365 * DAY_MS, 200 * DAY_MS)
    assert year.end_ms == USUAL.known_until_ms(year, FETCHED_MS + 90 * DAY_MS)
    assert not USUAL.is_known(year, FETCHED_MS + 90 * DAY_MS + 1)


def test_what_ended_long_before_its_fetch_is_known_to_its_end() -> None:
    """It is rounded to no closing while all of it is trusted, and to one after that."""
    past = segment(5 * HOUR_MS, 2 * HOUR_MS)
    assert past.end_ms == USUAL.known_until_ms(past, FETCHED_MS + 4 * HOUR_MS - 2 * MINUTE_MS)
    assert FETCHED_MS - 4 * HOUR_MS == USUAL.known_until_ms(past, FETCHED_MS + 4 * HOUR_MS)
    assert past.start_ms == USUAL.known_until_ms(past, FETCHED_MS + 9 * HOUR_MS)


def test_who_has_waited_for_a_fetch_gets_all_of_it() -> None:
    """What began when somebody began to wait is as new as it could have been."""
    day, now_ms = segment(DAY_MS), FETCHED_MS + 10_000
    assert day.end_ms == USUAL.known_until_ms(day, now_ms, since_ms=FETCHED_MS)
    assert day.end_ms > USUAL.known_until_ms(day, now_ms, since_ms=FETCHED_MS + 5_000)
    # A fetch of the future is one of a clock that was set back since.
    assert day.end_ms == USUAL.known_until_ms(day, FETCHED_MS - 5_000)


def test_what_is_kept_is_what_was_known_a_grace_ago() -> None:
    """It stands in when the upstream fails, and goes from its young end too."""
    day = segment(DAY_MS)
    for age_ms in (0, 9 * MINUTE_MS, 4 * HOUR_MS, 40 * HOUR_MS):
        now_ms = FETCHED_MS + age_ms
        assert USUAL.known_until_ms(day, now_ms) == USUAL.kept_until_ms(day, now_ms + DAY_MS)


@pytest.mark.parametrize("age_ms", [0, 5 * MINUTE_MS, 30 * MINUTE_MS, 20 * HOUR_MS])
def test_trusted_until(age_ms: int) -> None:
    """It is the last millisecond at which as much is known."""
    day = segment(DAY_MS)
    end_ms = day.end_ms - age_ms
    until_ms = USUAL.trusted_until_ms(day, end_ms)
    assert USUAL.known_until_ms(day, until_ms) >= end_ms
    assert USUAL.known_until_ms(day, until_ms + 1) < end_ms


def test_a_site_s_own_lateness_counts_where_it_is_to_be_learned() -> None:
    """A fixed one stays; a minute stands for what is not known yet."""
    learning = msgspec.structs.replace(USUAL, is_learned=True)
    assert LATENESS_MS == learning.of_site(None).lateness_ms
    assert 600_000 == learning.of_site(600_000).lateness_ms
    assert LATENESS_MS == learning.of_site(LATENESS_MS - 1).lateness_ms
    assert LATENESS_MS == USUAL.of_site(600_000).lateness_ms
    day, now_ms = segment(DAY_MS), FETCHED_MS + MINUTE_MS
    assert FETCHED_MS - 15 * MINUTE_MS == learning.of_site(600_000).known_until_ms(day, now_ms)


def test_a_segment_may_go_when_nothing_is_left_of_it_or_nobody_reads_it() -> None:
    """Whichever comes first; the last access is noted an eighth of that age late at most."""
    young, old = segment(HOUR_MS), segment(365 * DAY_MS)
    assert FETCHED_MS + 2 * HOUR_MS + DAY_MS == USUAL.gone_ms(young)
    unread_ms = 30 * DAY_MS + USUAL.note_every_ms
    assert FETCHED_MS + unread_ms == USUAL.gone_ms(old)
    assert FETCHED_MS + 50 * DAY_MS + unread_ms == USUAL.gone_ms(old, FETCHED_MS + 50 * DAY_MS)
    assert FETCHED_MS + 91 * DAY_MS == USUAL.gone_ms(old, FETCHED_MS + 80 * DAY_MS)


def test_frames_close_at_the_ages_at_which_trust_may_end() -> None:
    """Those that lie within the range, in order."""
    found = closings(Range(FETCHED_MS - 3 * HOUR_MS, FETCHED_MS), FETCHED_MS)
    assert [FETCHED_MS - HOUR_MS, FETCHED_MS - 15 * MINUTE_MS, FETCHED_MS - 5 * MINUTE_MS] == found
    assert [] == closings(Range(FETCHED_MS - HOUR_MS, FETCHED_MS - 15 * MINUTE_MS), FETCHED_MS)


def test_fetches_within_half_a_minute_close_at_the_same_instants() -> None:
    """What is known of each ends there, too: never later than it may."""
    day, later_ms = Range(FETCHED_MS - DAY_MS, FETCHED_MS), FETCHED_MS + CLOSING_STEP_MS
    for fetched_ms in (FETCHED_MS, FETCHED_MS + 1, later_ms - 1):
        assert closings(day, FETCHED_MS) == closings(day, fetched_ms)
        held = msgspec.structs.replace(segment(DAY_MS), fetched_ms=fetched_ms, end_ms=fetched_ms)
        now_ms = fetched_ms + MINUTE_MS
        assert closings(day, FETCHED_MS)[-1] == USUAL.known_until_ms(held, now_ms)
    assert closings(day, FETCHED_MS)[-1] + CLOSING_STEP_MS == closings(day, later_ms)[-1]


def test_the_expressions_count_their_parameters_from_the_first() -> None:
    """They stand in statements that have parameters of their own."""
    for n in range(4):
        assert f"?{7 + n}" in is_whole_sql(7)
        assert f"?{7 + n}" in gone_sql(7, "0")
    assert "?11" not in is_whole_sql(7) + gone_sql(7, "0")
    assert "?10" not in spent_sql(7)
    assert (3, 4) == (len(FRESHNESS.sql_values), len(FRESHNESS.clean_up_values))
