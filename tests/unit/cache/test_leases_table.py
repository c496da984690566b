"""Leases: one for all who share a point and an instant, until it ends or runs out."""

from __future__ import annotations

from typing import Any

import pytest

from building_vitals.cache.lease import Lease, OtherLease
from building_vitals.cache.leases_table import Leases
from building_vitals.ranges import Range
from fakes.database import FakeDatabase


class Desk:
    """A database and its leases."""

    def __init__(self) -> None:
        self.database = FakeDatabase()
        self.leases = Leases(self.database)
        self._taken = 0

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.connection.close()

    async def take(
        self,
        *points: str,
        site: str = "site",
        start: int = 100,
        end: int = 200,
        until: int = 1000,
        now: int = 0,
        is_background: bool = False,
        passed: tuple[str, ...] = (),
    ) -> str | None:
        """Try to take a lease; return its id, or None when it can't be had."""
        self._taken += 1
        lease = Lease(
            f"lease-{self._taken}",
            site,
            points,
            Range(start, end),
            until,
            begun_ms=now,
            ends_ms=now + 50,
            is_background=is_background,
        )
        statement = self.leases.take_statement(lease, now_ms=now, passed=passed)
        [outcome] = await self.database.batch([statement])
        return lease.lease_id if outcome.changes else None


@pytest.mark.parametrize(
    ("points", "other", "can_be_had"),
    [
        pytest.param(("a", "b"), {}, False, id="the same"),
        pytest.param(("b", "c"), {}, False, id="one shared point"),
        pytest.param(("b",), {"start": 199, "end": 300}, False, id="a shared instant at the end"),
        pytest.param(("b",), {"start": 0, "end": 101}, False, id="a shared instant at the start"),
        pytest.param(("b",), {"start": 120, "end": 130}, False, id="inside"),
        pytest.param(("b",), {"start": 0, "end": 900}, False, id="around"),
        pytest.param(("c", "d"), {}, True, id="other points"),
        pytest.param(("A", "a ", "a,b", '"a"', "['a']"), {}, True, id="points that look alike"),
        pytest.param(("a",), {"start": 200, "end": 300}, True, id="right behind"),
        pytest.param(("a",), {"start": 0, "end": 100}, True, id="right before"),
        pytest.param(("a",), {"site": "site2"}, True, id="another site"),
    ],
)
async def test_who_shares_waits(
    points: tuple[str, ...], other: dict[str, Any], can_be_had: bool
) -> None:
    """A lease is refused while another one shares a point and an instant of the same site."""
    with Desk() as desk:
        assert await desk.take("a", "b")
        assert can_be_had == bool(await desk.take(*points, **other))


async def test_a_released_lease_can_be_had() -> None:
    """Once its holder lets go, the next one takes it; others' are not touched."""
    with Desk() as desk:
        first = await desk.take("é ☃", 'quote " \\')
        other = await desk.take("other")
        assert first
        assert await desk.take("é ☃") is None
        await desk.leases.release(first)
        assert await desk.take("é ☃")
        assert await desk.take("other") is None
        await desk.leases.release("never taken")
        assert other


async def test_a_lease_runs_out() -> None:
    """At its end, and not before, somebody else may have it."""
    with Desk() as desk:
        assert await desk.take("a", until=1000)
        assert await desk.take("a", now=999) is None
        assert await desk.take("a", now=1000, until=2000)
        assert await desk.take("a", now=1001) is None


async def test_a_renewed_lease_lives_on() -> None:
    """Renewing moves the end; one that is gone is not brought back."""
    with Desk() as desk:
        lease = await desk.take("a", until=1000)
        assert lease
        await desk.leases.renew(lease, 5000, 0)
        assert await desk.take("a", now=4999) is None
        await desk.leases.release(lease)
        await desk.leases.renew(lease, 9000, 0)
        assert await desk.take("a", now=4999)


async def test_five_thousand_points_take_one_lease() -> None:
    """Any number of points is one statement, and each of them counts."""
    with Desk() as desk:
        points = [f"site/building {n}/point {'x' * 80}" for n in range(5000)]
        assert await desk.take(*points)
        assert await desk.take(points[4321]) is None
        assert await desk.take("another")


@pytest.mark.parametrize(
    ("first", "second", "can_be_had"),
    [
        pytest.param(False, False, False, id="people wait for people"),
        pytest.param(True, False, True, id="people never wait for a job"),
        pytest.param(False, True, False, id="a job waits for people"),
        pytest.param(True, True, False, id="a job waits for a job"),
    ],
)
async def test_who_waits_for_whom(*, first: bool, second: bool, can_be_had: bool) -> None:
    """Background work is in nobody's way but its own kind's."""
    with Desk() as desk:
        assert await desk.take("a", is_background=first)
        assert can_be_had == bool(await desk.take("a", is_background=second))


async def test_who_waits_no_longer_passes() -> None:
    """One lease may be passed by name; the next in its place is in the way again."""
    with Desk() as desk:
        first = await desk.take("a")
        assert first
        second = await desk.take("a", passed=(first,))
        assert second
        assert await desk.take("a", passed=(first,)) is None
        assert await desk.take("a", passed=(second, first))


async def test_who_waits_sees_for_what() -> None:
    """Of each lease in the way: shared points, size, and how long it will take."""
    with Desk() as desk:
        await desk.take("a", "b", "c", start=0, end=150, now=7)
        await desk.take("z")
        mine = Lease("mine", "site", ("c", "q", "a"), Range(100, 300), 1000)
        look = desk.leases.look_statement(mine, now_ms=10)
        [outcome] = await desk.database.batch([look])
        assert [
            OtherLease("lease-1", ("a", "c"), 3, Range(0, 150), 1000, begun_ms=7, ends_ms=57)
        ] == desk.leases.found(outcome.rows)


async def test_a_failure_takes_the_place_of_its_lease() -> None:
    """It is in the way of people for as long as it is remembered, and never of jobs."""
    with Desk() as desk:
        await desk.take("a", "b")
        failed = Lease("lease-1", "site", ("b",), Range(100, 150), 0)
        await desk.database.batch([desk.leases.fail_statement(failed, '{"x":1}', 600)])
        await desk.leases.renew("lease-1", 9000, 0)
        assert await desk.take("a", now=599)
        assert await desk.take("b", now=599) is None
        look = desk.leases.look_statement(failed.__replace__(lease_id="other"), now_ms=599)
        [outcome] = await desk.database.batch([look])
        assert ['{"x":1}'] == [each.failure for each in desk.leases.found(outcome.rows)]
        assert await desk.take("b", now=599, is_background=True)
        assert await desk.take("b", now=600)


async def test_a_clock_that_steps_back_does_not_shorten_a_lease() -> None:
    """An end that is earlier than the one told before does not count."""
    with Desk() as desk:
        lease = await desk.take("a", until=1000)
        assert lease
        await desk.leases.renew(lease, 400, 0)
        assert await desk.take("a", now=999) is None
