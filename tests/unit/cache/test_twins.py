"""What is remembered of direct fetches that are under way."""

from __future__ import annotations

import msgspec
import pytest

from building_vitals.cache.coverage import Cover
from building_vitals.cache.need import Filling, Need
from building_vitals.cache.twins import LOOK_MS_MAX, LOOK_MS_MIN, SILENT_MS, Twins
from building_vitals.ranges import Range

NEED = Need("site", ("a", "b"), Range(0, 1000), 50_000, 80_000)


def test_the_same_in_another_order_is_the_same() -> None:
    """Site, points and range tell; order, deadlines and moments do not, as long as it goes on."""
    twins = Twins()
    fetch = twins.begin(NEED, 50_000)
    twin = msgspec.structs.replace(NEED, points=("b", "a"), now_ms=51_500, deadline_ms=52_000)
    assert fetch is twins.of(twin, 51_500)
    others: list[dict[str, object]] = [{"site": "other"}, {"points": ("a",)}]
    others += [{"points": ("a", "b", "c")}, {"time_range": Range(0, 1001)}]
    for other in others:
        assert twins.of(msgspec.structs.replace(twin, **other), 51_500) is None
    twins.end(fetch)
    assert twins.of(twin, 51_500) is None


@pytest.mark.parametrize(("later_ms", "expected"), [(0, True), (999, True), (1000, False)])
def test_the_present_is_shared_for_a_second(later_ms: int, *, expected: bool) -> None:
    """A range that reaches it has other samples later; one of the past has not."""
    for end_ms, is_shared in ((50_001, expected), (50_000, True)):
        twins = Twins()
        need = msgspec.structs.replace(NEED, time_range=Range(0, end_ms))
        twins.begin(need, 50_000)
        later = msgspec.structs.replace(need, now_ms=50_000 + later_ms)
        assert is_shared == (twins.of(later, 50_000 + later_ms) is not None)


def test_who_is_silent_is_dead() -> None:
    """The next one begins again, and the end of the dead one does not end the new one."""
    twins = Twins()
    dead = twins.begin(NEED, 50_000)
    assert twins.of(NEED, 50_000 + SILENT_MS - 1) is dead
    assert twins.of(NEED, 50_000 + SILENT_MS) is None
    living = twins.begin(NEED, 50_000 + SILENT_MS)
    twins.end(dead)
    assert twins.of(NEED, 50_000 + SILENT_MS) is living


def test_dead_fetches_take_no_memory() -> None:
    """They are forgotten when the next one begins."""
    twins = Twins()
    for n in range(50):
        need = msgspec.structs.replace(NEED, site=f"s{n}")
        twins.begin(need, n * SILENT_MS)
    assert 1 == len(vars(twins)["_fetches"])


def test_many_who_wait_look_seldom() -> None:
    """Their looks must not take the time of the fetch."""
    fetch = Twins().begin(NEED, 0)
    pauses = []
    for fetch.waiting in (1, 10, 1000):
        pauses.append(fetch.pause_ms)
    assert [LOOK_MS_MIN, 80, LOOK_MS_MAX] == pauses


def test_what_is_heritage_of_has_its_own_order_and_costs_nothing() -> None:
    """Requests are counted once, by who made them."""
    fetch = Twins().begin(NEED, 0)
    assert fetch.heritage_of(NEED) is None
    covers = [Cover("a", [], []), Cover("b", [], [], is_unknown=True)]
    fetch.filling = Filling(covers, samples_fetched=7, upstream_requests=3, had_known=False)
    taken = fetch.heritage_of(msgspec.structs.replace(NEED, points=("b", "a")))
    assert taken is not None
    assert (covers[::-1], 7, 0) == (taken.covers, taken.samples_fetched, taken.upstream_requests)
