"""Needs that wait for somebody else's fetch."""

from __future__ import annotations

import pytest

from building_vitals.cache.lease import Lease
from building_vitals.cache.need import Need
from building_vitals.cache.waiting import LOOK_MS, PAUSE_MS_MAX, WAITING_MAX, Waiting
from building_vitals.ranges import Range

LEASE = Lease("lease", "hq", ("a", "b"), Range(100, 200), 1_000)


def need(
    points: str = "a", start: int = 100, end: int = 200, site: str = "hq", deadline: int = 51
) -> Need:
    """Return a need that waits."""
    return Need(site, tuple(points), Range(start, end), now_ms=0, deadline_ms=deadline)


@pytest.mark.parametrize(
    ("waits", "is_behind"),
    [
        pytest.param(need(), True, id="the same"),
        pytest.param(need("bc"), True, id="one shared point"),
        pytest.param(need(start=199, end=300), True, id="one shared instant"),
        pytest.param(need(start=200, end=300), False, id="right behind"),
        pytest.param(need(start=0, end=100), False, id="right before"),
        pytest.param(need("c"), False, id="another point"),
        pytest.param(need(site="lab"), False, id="another site"),
        pytest.param(need(deadline=50), False, id="given up"),
    ],
)
def test_who_waits_behind_a_lease(waits: Need, *, is_behind: bool) -> None:
    """Who shares site, point and instant, and still waits."""
    waiting = Waiting()
    waiting.add("one", waits, 0)
    assert ([waits] if is_behind else []) == waiting.behind(LEASE, 50)


def test_who_has_gone_does_not_wait() -> None:
    """To go twice, or without having waited, does no harm."""
    waiting = Waiting()
    waiting.add("one", need(), 0)
    waiting.add("other", need("b"), 0)
    waiting.remove("one")
    waiting.remove("one")
    assert [need("b")] == waiting.behind(LEASE, 0)


def test_who_died_waiting_is_not_counted() -> None:
    """Their time is over: the others look as often as before, and others can wait."""
    waiting = Waiting()
    for n in range(WAITING_MAX):
        waiting.add(str(n), need(), 0)
    waiting.add("living", need(deadline=100), 60)
    assert [need(deadline=100)] == waiting.behind(LEASE, 60)
    assert LOOK_MS == waiting.pause_ms


def test_the_number_of_those_who_wait_is_bounded() -> None:
    """Requests that died while they waited cannot fill the memory."""
    waiting = Waiting()
    for n in range(WAITING_MAX + 5):
        waiting.add(str(n), need(), 0)
    assert WAITING_MAX == len(waiting.behind(LEASE, 0))


def test_many_who_wait_look_seldom() -> None:
    """So that all together look about as often as a few."""
    waiting, found = Waiting(), []
    for n in range(100):
        waiting.add(str(n), need(), 0)
        found.append(waiting.pause_ms)
    assert (LOOK_MS, 10 * LOOK_MS, PAUSE_MS_MAX) == (found[0], found[9], found[-1])
