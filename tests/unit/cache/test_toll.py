"""What stands before a fetch: its size, and its cost."""

from __future__ import annotations

import pytest

from building_vitals.ahead import begin_ahead
from building_vitals.cache.need import Need
from building_vitals.cache.toll import Toll, require_size
from building_vitals.errors import RateLimited, TooLarge
from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range
from fakes.virtual_time import in_virtual_time
from fakes.world import World, days

WEEK = Range(0, 7 * DAY_MS)


def need(fetched_max: int | None) -> Need:
    """Return a need with a limit."""
    return Need("site", ("a", "b"), WEEK, 0, 1, fetched_max=fetched_max)


def test_gaps_are_held_to_a_limit() -> None:
    """What is known does not count; the refusal says what would fit."""
    require_size(need(1400), {"a": [WEEK], "b": [WEEK]})
    require_size(need(None), {"a": [WEEK], "b": [WEEK]})
    require_size(
        need(1399), {"a": [WEEK], "b": [Range(0, 3 * DAY_MS), Range(4 * DAY_MS, 7 * DAY_MS)]}
    )
    with pytest.raises(TooLarge) as caught:
        require_size(need(1399), {"a": [WEEK], "b": [WEEK]})
    assert (
        "route=cached fetches at most 1,399 estimated samples; here 1,400 are not known: leave out "
        "route=, or ask for at most 6 days of these points" == caught.value.detail
    )


@in_virtual_time
async def test_a_fetch_costs_its_gaps_by_the_rate_of_the_site() -> None:
    """A short range of many points costs something too; without a charge nothing is asked."""
    async with World() as world:
        paid: list[int] = []

        async def charge(cost: int) -> None:
            paid.append(cost)

        rate = (await world.upstream.costs("site")).samples_per_day
        gaps = {"a": [Range(0, DAY_MS), Range(5, 5 + DAY_MS)], "b": [Range(0, 1)]}
        await Toll(world.upstream, charge).pay(need(None), gaps)
        await Toll(world.upstream, None).pay(need(None), gaps)
        assert [round(2 * rate) + 100] == paid


@in_virtual_time
async def test_who_may_not_fetch_leaves_nothing_behind() -> None:
    """The upstream is not asked and the lease is let go, so that others fetch at once."""
    async with World() as world:
        calls: list[int] = []

        async def refuse(cost: int) -> None:
            calls.append(cost)
            raise RateLimited("too much")

        world.filler._toll = world.filler._twins._toll = Toll(world.upstream, refuse)
        for route in ("cached", "direct"):
            with pytest.raises(RateLimited):
                await world.ask(["a"], days(3, 2), route=route)
            await world.settle()
        assert (2, 0) == (len(calls), world.upstream.requests)
        assert [] == world.database.look("SELECT lease_id FROM fetch_leases")
        world.filler._toll = Toll(world.upstream, None)
        await world.ask(["a"], days(3, 2))
        world.filler._toll = Toll(world.upstream, refuse)
        await world.ask(["a"], days(3, 2))
        assert 2 == len(calls)


@in_virtual_time
async def test_who_waits_for_one_that_may_not_fetch_is_not_harmed() -> None:
    """The allowance takes a while to refuse: who waited meanwhile fetches then, and is answered."""
    async with World() as world:
        world.upstream.page_ms = 1000

        async def refuse(cost: int) -> None:
            await world.clock.sleep(200)
            raise RateLimited(f"{cost} is too much")

        other = world.make_app(world.app.isolate)
        other.filler._toll = Toll(world.upstream, refuse)
        refused = begin_ahead(other.filler.fill(world.need(["a"], days(3, 2)), []))
        await world.clock.sleep(50)
        began_ms = world.clock.now_ms()
        await world.ask(["a"], days(3, 2))
        assert world.clock.now_ms() - began_ms <= 1700
        with pytest.raises(RateLimited):
            await refused
        assert 1 == world.upstream.requests
        await world.settle()
        assert [] == world.database.look("SELECT lease_id FROM fetch_leases")
