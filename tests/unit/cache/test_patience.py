"""How long to wait for somebody else's fetch."""

from __future__ import annotations

import pytest

from building_vitals.cache.fetch_plan import UpstreamQuery
from building_vitals.cache.lease import Lease, OtherLease
from building_vitals.cache.patience import (
    SILENCE_MS,
    STORING_MS,
    WAIT_MAX_MS,
    WAIT_MIN_MS,
    is_worth_waiting,
    left_ms,
    next_look_ms,
    outside,
    plan_ms,
)
from building_vitals.ranges import Range
from fakes.costs import SteadyCosts

LEASE_MS = 9_000
DAY_MS = 86_400_000
NOW_MS = 100_000


def other(
    *, begun: int = 0, ends: int = 0, beaten: int = 0, points: int = 10, days: int = 10
) -> OtherLease:
    """Return a lease of so many points and days; times count from the present."""
    return OtherLease(
        "other",
        ("a",),
        points,
        Range(0, days * DAY_MS),
        expires_ms=NOW_MS + beaten + LEASE_MS,
        begun_ms=NOW_MS + begun,
        ends_ms=NOW_MS + ends,
    )


def is_worth(
    holder: OtherLease, *, own: int, points: int = 10, days: int = 10, patience: int = 30_000
) -> bool:
    """Return whether to wait for it, rather than fetch so much for that long oneself."""
    mine = Lease(
        "mine",
        "site",
        tuple(map(str, range(points))),
        Range(0, days * DAY_MS),
        0,
        begun_ms=NOW_MS,
        ends_ms=NOW_MS + own,
    )
    return is_worth_waiting(
        holder, mine, now_ms=NOW_MS, deadline_ms=NOW_MS + patience, lease_ms=LEASE_MS
    )


@pytest.mark.parametrize(
    ("holder", "left"),
    [
        pytest.param(other(ends=700), 700, id="on time"),
        pytest.param(other(ends=-STORING_MS), 0, id="storing"),
        pytest.param(other(ends=-STORING_MS - 900), 900, id="late: by as much again"),
        pytest.param(other(ends=700, beaten=-3000 - SILENCE_MS), 700, id="a beat may be late"),
        pytest.param(other(ends=700, beaten=-3001 - SILENCE_MS), None, id="dead"),
        pytest.param(other(ends=700, beaten=1000, begun=1000), 700, id="a clock that is ahead"),
    ],
)
def test_what_a_holder_still_needs(holder: OtherLease, left: int | None) -> None:
    """By what he has told, and by when he was last heard of."""
    assert left == left_ms(holder, NOW_MS, LEASE_MS)


@pytest.mark.parametrize(
    ("holder", "left"),
    [
        pytest.param(other(ends=-STORING_MS - 800), 0, id="late"),
        pytest.param(other(ends=700, beaten=-3800 - SILENCE_MS), 700, id="silent"),
        pytest.param(other(ends=700, beaten=-3801 - SILENCE_MS), None, id="silent for longer"),
    ],
)
def test_what_makes_others_late_makes_the_holder_late(holder: OtherLease, left: int | None) -> None:
    """Where each look comes 200 ms late, nobody is thought slow or dead for some of these."""
    assert left == left_ms(holder, NOW_MS, LEASE_MS, 200)


@pytest.mark.parametrize(
    ("holder", "own", "is_cheaper"),
    [
        pytest.param(other(ends=1000), 1000, True, id="just begun"),
        pytest.param(other(ends=1300), 1000, True, id="a little more saves a request"),
        pytest.param(other(ends=1301), 1000, False, id="more"),
        pytest.param(other(begun=-60_000, beaten=-60_000, ends=0), 1000, False, id="dead"),
    ],
)
def test_waiting_is_for_what_is_cheaper(holder: OtherLease, own: int, *, is_cheaper: bool) -> None:
    """A small need compares the time left with its own."""
    assert is_cheaper == is_worth(holder, own=own, points=1, days=1)


def test_who_wants_the_same_believes_in_the_holder_not_in_the_plan() -> None:
    """A fetch of the same size is no faster; one of a tenth may be."""
    late = other(begun=-8000, ends=12_000)
    assert is_worth(late, own=1000)
    assert not is_worth(late, own=1000, points=1)


def test_who_has_too_little_time_to_wait_fetches_if_there_is_time_for_that() -> None:
    """Not ready before the deadline: fetched, unless that would not be ready either."""
    late = other(begun=-8000, ends=12_000)
    assert is_worth(late, own=1000, patience=12_000)
    assert not is_worth(late, own=1000, patience=11_999)
    assert is_worth(late, own=12_000, patience=11_999)


def test_looks_come_closer_together_towards_the_end() -> None:
    """A quarter of the time left, within bounds."""
    far, near, soon = other(ends=10_000), other(ends=800), other(ends=4)
    assert [WAIT_MAX_MS, 200, WAIT_MIN_MS] == [
        next_look_ms(each, NOW_MS) for each in ([far], [far, near], [soon, near])
    ]


def test_what_others_fetch_is_left_out() -> None:
    """Of the points that both are for, the range of the other."""
    missing = {"a": [Range(0, 2 * DAY_MS), Range(9 * DAY_MS, 12 * DAY_MS)], "b": [Range(0, 5)]}
    free = outside(missing, [other(days=10)])
    assert {"a": [Range(10 * DAY_MS, 12 * DAY_MS)], "b": [Range(0, 5)]} == free
    assert {"b": [Range(0, 5)]} == outside(missing, [other(days=10), other(days=12)])


def test_a_plan_takes_as_long_as_its_longest_fetch_or_all_in_turn() -> None:
    """Four go side by side."""
    costs = SteadyCosts(page_size=288)
    days = [UpstreamQuery(("a",), Range(0, days * DAY_MS)) for days in (1, 3, 1, 1)]
    assert [0, 3000, 3000, 4500] == [
        plan_ms(plan, costs) for plan in ([], days[:2], days, 3 * days)
    ]
