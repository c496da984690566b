"""Leases: one for all who share a point and an instant, until it ends or runs out."""

from __future__ import annotations

from typing import Any

import pytest

from building_vitals.cache.leases_table import Lease, Leases
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
    ) -> str | None:
        """Try to take a lease; return its id, or None when it can't be had."""
        self._taken += 1
        lease = Lease(f"lease-{self._taken}", site, points, Range(start, end), until)
        statement = self.leases.take_statement(lease, now_ms=now)
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
        await desk.leases.renew(lease, 5000)
        assert await desk.take("a", now=4999) is None
        await desk.leases.release(lease)
        await desk.leases.renew(lease, 9000)
        assert await desk.take("a", now=4999)


async def test_five_thousand_points_take_one_lease() -> None:
    """Any number of points is one statement, and each of them counts."""
    with Desk() as desk:
        points = [f"site/building {n}/point {'x' * 80}" for n in range(5000)]
        assert await desk.take(*points)
        assert await desk.take(points[4321]) is None
        assert await desk.take("another")
