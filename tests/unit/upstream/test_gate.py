"""The gate to the upstream: isolates together stay below the limit, with few round trips."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest

from building_vitals.errors import AppError, UpstreamLimited
from building_vitals.instants import MINUTE_MS
from building_vitals.upstream.gate import Grant, UpstreamQuota
from building_vitals.upstream.quota import CLOSED_MS_MAX, FALL_MS, QuotaState, minute_of
from building_vitals.upstream.quota_table import UpstreamQuotas
from fakes.database import FakeDatabase
from fakes.invocation import invocation
from fakes.virtual_time import LoopClock, in_virtual_time


class Bench:
    """A database, and any number of isolates with gates."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.clock = LoopClock()
        self.database = FakeDatabase()
        self.reported: list[tuple[str, AppError]] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.sent: Counter[int] = Counter()

    def gate(self, *, is_queued: bool = False, grant: Grant | None = None) -> UpstreamQuota:
        """Return the gate of an invocation; in an isolate of its own unless a grant is given."""
        return UpstreamQuota(
            quotas=UpstreamQuotas(self.database),
            grant=grant or Grant(),
            invocation=invocation(
                self.clock,
                run_later=self.run,
                on_fault=lambda where, error: self.reported.append((where, error)),
            ),
            limit=self.limit,
            is_queued=is_queued,
        )

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background."""
        self.tasks.add(asyncio.ensure_future(work))

    async def settle(self) -> None:
        """Return when the background is done."""
        await asyncio.gather(*self.tasks)

    async def send(self, gate: UpstreamQuota, count: int, deadline_ms: int | None = None) -> None:
        """Send requests one after the other, and count them by the minute."""
        for _ in range(count):
            await gate.admit(deadline_ms)
            self.sent[minute_of(self.clock.now_ms())] += 1

    def row(self) -> dict[str, Any]:
        """Return the quota's row."""
        return self.database.look("SELECT * FROM upstream_quota")[0]

    def state(self) -> QuotaState:
        """Return the quota's state."""
        row = self.row()
        return QuotaState(
            **{name: row[name] for name in ("minute_ms", "used", "allowed", "closed_until_ms")}
        )


@in_virtual_time
async def test_no_minute_has_more_than_its_requests() -> None:
    """Isolates that all send as fast as they may stay below the limit together, and use it up."""
    bench = Bench(60)
    await asyncio.gather(*(bench.send(bench.gate(), 40) for _ in range(6)))
    assert 240 == sum(bench.sent.values())
    assert max(bench.sent.values()) <= 60
    # Each of six isolates may be left with a part of a grant of three.
    assert min(list(bench.sent.values())[:-1]) >= 60 - 6 * 2
    assert 3 * MINUTE_MS <= max(bench.sent) - min(bench.sent) <= 4 * MINUTE_MS


@in_virtual_time
async def test_grants_save_round_trips() -> None:
    """A hundred requests of an isolate cost ten calls of the database."""
    bench = Bench(1000)
    grant = Grant()
    for _ in range(10):
        await bench.send(bench.gate(grant=grant), 10)
    assert {"batch": 10} == dict(bench.database.failures.calls)
    assert (100, 0) == (bench.row()["used"], grant.left)


@in_virtual_time
async def test_jobs_leave_a_share_to_interactive_requests() -> None:
    """Queued work gets 70 of 100; 30 are there at once for whoever waits for an answer."""
    bench = Bench(100)
    queued = asyncio.ensure_future(bench.send(bench.gate(is_queued=True), 100))
    await bench.clock.sleep(1000)
    assert {70} == set(bench.sent.values())
    await bench.send(bench.gate(), 30, deadline_ms=bench.clock.now_ms() + 1)
    assert {100} == set(bench.sent.values())
    await queued
    assert [100, 30] == list(bench.sent.values())


@in_virtual_time
async def test_interactive_requests_may_have_all() -> None:
    """Without jobs nothing is held back; jobs then wait for the next minute."""
    bench = Bench(20)
    await bench.send(bench.gate(), 20)
    assert 1 == len(bench.sent)
    await bench.send(bench.gate(is_queued=True), 1)
    assert [20, 1] == list(bench.sent.values())


@in_virtual_time
async def test_a_limit_of_one_serves_both_kinds() -> None:
    """The smallest limit starves nobody for ever."""
    bench = Bench(1)
    await bench.send(bench.gate(is_queued=True), 2)
    await bench.send(bench.gate(), 2)
    assert [1, 1, 1, 1] == list(bench.sent.values())


@in_virtual_time
async def test_who_cannot_be_served_in_time_is_told_at_once() -> None:
    """A deadline before the next minute fails without waiting, and says when to come back."""
    bench = Bench(2)
    now_ms = bench.clock.now_ms()
    await bench.send(bench.gate(), 2)
    with pytest.raises(UpstreamLimited, match="another 60 s: the limit is 2 requests") as caught:
        await bench.gate().admit(now_ms + 30_000)
    assert (60, True, 502) == (
        caught.value.retry_after_s,
        caught.value.retryable,
        caught.value.status,
    )
    assert now_ms == bench.clock.now_ms()
    await bench.gate().admit(now_ms + 90_000)
    assert bench.clock.now_ms() >= now_ms + MINUTE_MS


@in_virtual_time
async def test_a_grant_is_good_for_its_minute_alone() -> None:
    """What is left of a grant when the minute ends is lost, or the next would have more."""
    bench = Bench(100)
    grant = Grant()
    await bench.gate(grant=grant).admit(None)
    assert 4 == grant.left
    await bench.clock.sleep(MINUTE_MS)
    await bench.gate(grant=grant).admit(None)
    assert (4, 5) == (grant.left, bench.row()["used"])


@in_virtual_time
async def test_a_429_halves_what_is_allowed_and_minutes_bring_it_back() -> None:
    """Signs that come together count once; a tenth of the limit comes back each minute."""
    bench = Bench(100)
    await bench.gate().admit(None)
    for _ in range(5):
        bench.gate().limited(None)
    await bench.settle()
    assert 50 == bench.row()["allowed"]
    await bench.clock.sleep(FALL_MS)
    bench.gate().limited(None)
    await bench.settle()
    assert 25 == bench.row()["allowed"]
    expected = 25
    for _ in range(9):
        await bench.clock.sleep(MINUTE_MS)
        await bench.gate().admit(None)
        expected = min(100, expected + 10)
        assert expected == bench.row()["allowed"]
        assert expected == bench.state().allowed_now(100, bench.clock.now_ms())
    assert 100 == expected


@in_virtual_time
async def test_idle_minutes_count_too() -> None:
    """What recovers does so whether anybody asks or not, and the statistics know."""
    bench = Bench(100)
    await bench.gate().admit(None)
    bench.gate().limited(None)
    await bench.settle()
    await bench.clock.sleep(3 * MINUTE_MS)
    assert 80 == bench.state().allowed_now(100, bench.clock.now_ms())
    assert 0 == bench.state().used_now(bench.clock.now_ms())
    await bench.gate().admit(None)
    assert (80, 5) == (bench.row()["allowed"], bench.row()["used"])


@in_virtual_time
async def test_it_never_falls_below_one() -> None:
    """However often the upstream says 429, a request a minute remains."""
    bench = Bench(5)
    await bench.gate().admit(None)
    for _ in range(6):
        bench.gate().limited(None)
        await bench.settle()
        await bench.clock.sleep(FALL_MS)
    assert 1 <= bench.row()["allowed"] <= 2


@in_virtual_time
async def test_a_retry_after_holds_for_everybody() -> None:
    """While the upstream wants peace nobody sends, not even what was granted; there is an end."""
    bench = Bench(100)
    grant = Grant()
    gate = bench.gate(grant=grant)
    await gate.admit(None)
    now_ms = bench.clock.now_ms()
    gate.limited(20_000)
    await bench.settle()
    with pytest.raises(UpstreamLimited, match="another 20 s"):
        await bench.gate().admit(now_ms + 15_000)
    await bench.gate(grant=grant).admit(None)
    assert 20_000 <= bench.clock.now_ms() - now_ms <= 21_000
    gate.limited(10 * CLOSED_MS_MAX)
    await bench.settle()
    closed_ms = bench.row()["closed_until_ms"] - bench.clock.now_ms()
    assert CLOSED_MS_MAX == closed_ms


@in_virtual_time
async def test_a_changed_limit_takes_effect() -> None:
    """A lower limit at once, a higher one little by little."""
    bench = Bench(100)
    await bench.send(bench.gate(), 10)
    bench.limit = 40
    with pytest.raises(UpstreamLimited):
        await bench.send(bench.gate(), 40, deadline_ms=bench.clock.now_ms() + 1)
    assert 40 == bench.row()["used"]
    bench.limit = 100
    await bench.clock.sleep(MINUTE_MS)
    await bench.gate().admit(None)
    assert 50 == bench.row()["allowed"]


@in_virtual_time
async def test_without_the_database_requests_go_out() -> None:
    """The quota is no reason to fail: what cannot be counted is let through, and reported."""
    bench = Bench(1)
    bench.database.failures.always("*")
    await bench.send(bench.gate(), 3)
    bench.gate().limited(5)
    await bench.settle()
    assert ["upstream quota"] * 4 == [where for where, _ in bench.reported]


@in_virtual_time
async def test_limits_that_divide_badly_are_whole_numbers() -> None:
    """Halves and the share of jobs: no fraction is stored, which D1 would refuse."""
    bench = Bench(7)
    await bench.gate(is_queued=True).admit(None)
    bench.gate().limited(None)
    await bench.settle()
    await bench.clock.sleep(FALL_MS)
    await bench.gate(is_queued=True).admit(None)
    row = bench.row()
    assert all(isinstance(row[name], int) for name in ("allowed", "used", "used_queued"))
    assert 3 <= row["allowed"] <= 4
    assert [] == bench.reported
