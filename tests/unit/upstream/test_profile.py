"""What an observation adds to a profile, and what is worth writing."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range
from building_vitals.upstream.profile import (
    CHECK_EVERY_MS,
    LOOKS_APART_MS_MAX,
    NEWEST_WITHIN_MS,
    SIGHTINGS_MAX,
    Observation,
    SiteProfile,
    learned,
)

NOW_MS = 1_735_689_600_000
DAY = Range(NOW_MS - DAY_MS, NOW_MS)


def seen(**values: Any) -> Observation:
    """Return an observation of two points over a day, by point."""
    usual: dict[str, Any] = {
        "is_by_point": True,
        "is_whole_site": False,
        "points_count": 2,
        "time_range": DAY,
        "now_ms": NOW_MS,
    }
    return Observation(**{**usual, **values})


def test_first_figures_are_taken_as_they_are() -> None:
    """Per answer, per point and day; when the site was seen."""
    profile = learned(SiteProfile(), seen(requests=2, samples=576, busy_ms=3_000))

    assert profile == SiteProfile(
        call_samples=288.0,
        call_ms=1_500.0,
        point_samples_per_day=288.0,
        looked_ms=NOW_MS,
        seen_ms=NOW_MS,
    )


def test_pages_of_the_site_tell_its_rate() -> None:
    """What the whole site makes in a day, and nothing of a single point."""
    observation = seen(
        is_by_point=False, is_whole_site=True, requests=4, samples=8_000, busy_ms=20_000
    )

    assert learned(SiteProfile(), observation) == SiteProfile(
        page_samples=2_000.0,
        page_ms=5_000.0,
        samples_per_day=8_000.0,
        looked_ms=NOW_MS,
        seen_ms=NOW_MS,
    )


def test_later_figures_move_the_kept_ones() -> None:
    """A single slow answer does not change the plan at once."""
    profile = learned(
        SiteProfile(call_ms=1_000.0, call_samples=10.0), seen(requests=1, busy_ms=2_000)
    )

    assert (1_300.0, 7.0) == (profile.call_ms, profile.call_samples)


@pytest.mark.parametrize(
    ("time_range", "samples", "expected"),
    [
        pytest.param(DAY, 0, 100.0, id="nothing came"),
        pytest.param(Range(NOW_MS - HOUR_MS + 1, NOW_MS), 999, 100.0, id="too short"),
        pytest.param(Range(NOW_MS - HOUR_MS, NOW_MS + DAY_MS), 20, 142.0, id="what has happened"),
    ],
)
def test_rates_come_from_enough_of_the_past(
    time_range: Range, samples: int, expected: float
) -> None:
    """A rate seen over minutes is chance, and the future has no samples yet."""
    observation = seen(time_range=time_range, requests=1, samples=samples)
    profile = learned(SiteProfile(point_samples_per_day=100.0), observation)

    assert expected == pytest.approx(profile.point_samples_per_day)


def test_limits_are_learned_when_they_were_met() -> None:
    """The page size and the names that a fetch had to go down to; else they stay."""
    profile = learned(SiteProfile(), seen(page_size=5_000, names_max=50))

    assert (5_000, 50) == (profile.page_size, profile.names_max)
    after = learned(profile, seen())
    assert (5_000, 50) == (after.page_size, after.names_max)


@pytest.mark.parametrize(
    ("end_ms", "newest_ms", "expected"),
    [
        pytest.param(NOW_MS, NOW_MS - MINUTE_MS, MINUTE_MS, id="up to now"),
        pytest.param(NOW_MS + DAY_MS, NOW_MS - 1, 1, id="into the future"),
        pytest.param(NOW_MS, NOW_MS + 5, 0, id="a clock ahead"),
        pytest.param(NOW_MS - NEWEST_WITHIN_MS, NOW_MS - HOUR_MS, HOUR_MS, id="just ended"),
        pytest.param(NOW_MS - NEWEST_WITHIN_MS - 1, NOW_MS - HOUR_MS, None, id="yesterday's chart"),
        pytest.param(NOW_MS, None, None, id="nothing came"),
    ],
)
def test_age_of_the_newest_sample(end_ms: int, newest_ms: int | None, expected: int | None) -> None:
    """Only a range that reaches up to now shows how late samples are."""
    observation = seen(time_range=Range(NOW_MS - 2 * DAY_MS, end_ms), newest_ms=newest_ms)

    assert expected == learned(SiteProfile(), observation).newest_age_ms


def test_small_changes_are_not_worth_a_write() -> None:
    """A figure must differ by a fifth; when the site was last seen does not count."""
    kept = SiteProfile(page_ms=1_000.0, points=100, newest_age_ms=1_000, seen_ms=1)

    assert not replace(kept, page_ms=1_200.0, points=81, seen_ms=9_999_999).differs(kept)
    assert replace(kept, page_ms=1_201.0).differs(kept)
    assert replace(kept, points=79).differs(kept)
    assert replace(kept, call_ms=0.1).differs(kept)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SiteProfile(), SiteProfile(is_same=False)),
        (SiteProfile(is_same=True), SiteProfile(is_same=False)),
        (SiteProfile(), SiteProfile(is_filter_heeded=False)),
        (SiteProfile(), SiteProfile(newest_age_ms=0)),
        (SiteProfile(checked_ms=NOW_MS), SiteProfile(checked_ms=NOW_MS + CHECK_EVERY_MS)),
    ],
)
def test_findings_are_always_worth_a_write(one: SiteProfile, other: SiteProfile) -> None:
    """What is true or false, and when it was found out: else it is found out again and again."""
    assert one.differs(other)
    assert other.differs(one)
    assert not one.differs(one)


def test_comparing_is_due_after_a_week() -> None:
    """And at once where it was never done."""
    assert SiteProfile().is_due(NOW_MS)
    assert not SiteProfile(checked_ms=NOW_MS).is_due(NOW_MS + CHECK_EVERY_MS - 1)
    assert SiteProfile(checked_ms=NOW_MS).is_due(NOW_MS + CHECK_EVERY_MS)


def test_profiles_are_stored_without_what_is_not_known() -> None:
    """The text in D1 grows with what is learned, and reads back the same."""
    assert b"{}" == msgspec.json.encode(SiteProfile())
    profile = SiteProfile(points=3, is_same=False, newest_age_ms=0)
    assert profile == msgspec.json.decode(msgspec.json.encode(profile), type=SiteProfile)


def looks(late_by_ms: list[int], apart_ms: int = 5 * MINUTE_MS) -> SiteProfile:
    """Return what looks teach, each with a newer sample that was so old at the look before."""
    profile, before_ms = SiteProfile(), NOW_MS - apart_ms
    for late_ms in (*late_by_ms[:1], *late_by_ms) or (0,):
        now_ms = before_ms + apart_ms
        observation = seen(
            newest_ms=before_ms - late_ms,
            now_ms=now_ms,
            time_range=Range(now_ms - DAY_MS, now_ms + HOUR_MS),
        )
        profile, before_ms = learned(profile, observation), now_ms
    return profile


@pytest.mark.parametrize(
    ("late_by_s", "lateness_s"),
    [
        pytest.param([6] * 4, None, id="too few"),
        pytest.param([6, 6, 6, 6, 9], 9, id="all of few"),
        pytest.param([6] * 19 + [40], 6, id="one in twenty may be later"),
        pytest.param([6] * 18 + [40, 30], 30, id="two may not"),
        pytest.param([40] * 20 + [6] * 20, 6, id="what was long ago is forgotten"),
        pytest.param([-240] * 9, 0, id="there at the first look after its time"),
    ],
)
@pytest.mark.parametrize("apart_ms", [2 * MINUTE_MS, LOOKS_APART_MS_MAX])
def test_how_late_samples_come(late_by_s: list[int], lateness_s: int | None, apart_ms: int) -> None:
    """By the looks that did not find them, however often somebody looks: the 95th percentile."""
    profile = looks([late_s * 1000 for late_s in late_by_s], apart_ms)
    assert (None if lateness_s is None else lateness_s * 1000) == profile.lateness_ms
    assert len(profile.late_by_ms) == min(len(late_by_s), SIGHTINGS_MAX)


def test_who_does_not_look_at_the_present_has_not_missed_a_sample() -> None:
    """A fetch of what is past, between two looks, says nothing of what was not there yet."""
    known = looks([6000] * 5)
    later_ms = known.looked_ms + 4 * MINUTE_MS
    past = seen(time_range=DAY, now_ms=later_ms)
    assert known.looked_ms == learned(known, past).looked_ms
    empty = seen(time_range=Range(NOW_MS, later_ms - 1000), now_ms=later_ms)
    assert later_ms - 1000 == learned(known, empty).looked_ms


def test_what_says_nothing_of_lateness_is_left_out() -> None:
    """A sample seen before, the first of all, one that nobody looked for, one before its time."""
    known = looks([6000] * 5)
    newest_ms, now_ms = known.newest_ms, known.looked_ms + MINUTE_MS
    time_range = Range(now_ms - DAY_MS, now_ms)
    again = learned(known, seen(newest_ms=newest_ms, now_ms=now_ms, time_range=time_range))
    assert known.late_by_ms == again.late_by_ms
    assert () == looks([]).late_by_ms
    assert () == looks([HOUR_MS] * 9, apart_ms=LOOKS_APART_MS_MAX + 1).late_by_ms
    ahead = seen(newest_ms=now_ms + HOUR_MS, now_ms=now_ms, time_range=time_range)
    assert 0 == learned(known, ahead).late_by_ms[-1]


def test_the_first_sightings_are_worth_a_write_each() -> None:
    """Else no isolate that ends soon would ever have seen enough of them."""
    profiles = [looks([6000] * n) for n in range(9)]
    assert [True] * 5 + [False] * 3 == [
        later.differs(earlier) for earlier, later in pairwise(profiles)
    ]
