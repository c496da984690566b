"""
The machine's clock set back by a second or by minutes, under what an isolate and D1 remember.

Nothing hangs until the clock has caught up, nothing is believed until then, no duration is below 0.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from building_vitals.access.api_keys import hash_key
from building_vitals.access.key_access import KNOWN_MS, KeyAccess, KeyMemory
from building_vitals.access.keys_table import ApiKeys
from building_vitals.api.timeseries import timeseries_reply
from building_vitals.errors import Unauthorized
from building_vitals.instants import DAY_MS, MINUTE_MS, SKEW_MS, elapsed_ms, is_recent
from building_vitals.ranges import Range
from building_vitals.statistics.events import RequestEvent
from building_vitals.statistics.recorder import REQUESTS_PER_BATCH_MAX, Outbox
from building_vitals.statistics.requests_table import WeightedRequest
from building_vitals.upstream.gate import Grant, UpstreamQuota
from building_vitals.upstream.point_names import READING_MS_MAX, PointNames
from building_vitals.upstream.quota_table import UpstreamQuotas
from fakes.ace import Bench
from fakes.api_calls import called, headers_of
from fakes.clock import VirtualClock
from fakes.database import FakeDatabase
from fakes.http import answer
from fakes.invocation import invocation
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, LoopClock, in_virtual_time

KEY = f"bv_{'k' * 43}"
STEPS_MS = (1_000, 10 * MINUTE_MS)


class MovedClock(LoopClock):
    """A clock that somebody sets."""

    def __init__(self) -> None:
        super().__init__()
        self.moved_ms = 0

    def now_ms(self) -> int:
        """Return what the clock says."""
        return super().now_ms() + self.moved_ms


@pytest.mark.parametrize("step_ms", [*STEPS_MS, -5])
def test_no_time_is_negative(step_ms: int) -> None:
    """Between two readings there is the time that passed, or none."""
    assert max(0, -step_ms) == elapsed_ms(EPOCH_MS, EPOCH_MS - step_ms)


@pytest.mark.parametrize(
    ("age_ms", "is_believed"),
    [(0, True), (999, True), (1000, False), (-SKEW_MS, True), (-SKEW_MS - 1, False)],
)
def test_what_is_of_the_future_is_not_recent(age_ms: int, *, is_believed: bool) -> None:
    """But for the little that machines' clocks are apart."""
    assert is_believed == is_recent(EPOCH_MS, EPOCH_MS + age_ms, 1000)


async def test_a_revoked_key_is_not_believed_until_the_clock_has_caught_up() -> None:
    """After ten minutes back it is looked up at once; after a second, within its minute."""
    for step_ms in STEPS_MS:
        with FakeDatabase() as database:
            clock = VirtualClock()
            database.look(
                "INSERT INTO api_keys (key_id, name, key_hash, role, sites, created_ms)"
                " VALUES ('k', 'n', ?1, 'reader', '*', 1)",
                hash_key(KEY),
            )
            works: list[Coroutine[Any, Any, None]] = []
            access = KeyAccess(
                keys=ApiKeys(database),
                memory=KeyMemory(),
                invocation=invocation(clock, run_later=works.append),
            )
            await access.identify({"x-api-key": KEY})
            while works:
                await works.pop()
            database.look("UPDATE api_keys SET revoked_ms = 5")
            clock.advance(-step_ms)
            if step_ms <= SKEW_MS:
                clock.advance(KNOWN_MS + step_ms)
            with pytest.raises(Unauthorized):
                await access.identify({"x-api-key": KEY})


def test_a_reader_of_the_future_is_waited_for_by_nobody() -> None:
    """A list that was being read when the clock was set back may be read by others."""
    names = PointNames()
    with names.reading("hq", EPOCH_MS):
        assert names.is_being_read("hq", EPOCH_MS + READING_MS_MAX - 1)
        assert not names.is_being_read("hq", EPOCH_MS - 10 * MINUTE_MS)


async def test_a_site_is_asked_for_again() -> None:
    """That a site is not there is not believed for longer because the clock went back."""
    bench = Bench(answer(404, {}), answer(404, {}), answer(404, {}), answer(200, {"name": "hq"}))
    with pytest.raises(Exception, match="knows no site"):
        await bench.client.list_points("hq")
    bench.clock.advance(-10 * MINUTE_MS)
    assert [] == await bench.client.list_points("hq")


def event(number: int) -> WeightedRequest:
    """Return a request."""
    about = RequestEvent(
        request_id=str(number), time_ms=EPOCH_MS, endpoint="", duration_ms=0, status=200
    )
    return WeightedRequest(about, 1)


def test_a_promise_of_the_future_is_kept_by_another() -> None:
    """Who promised to write before the clock went back by minutes may be dead."""
    outbox = Outbox()
    assert outbox.add(event(0), EPOCH_MS) is not None
    assert outbox.add(event(1), EPOCH_MS - 1_000) is None
    batch = outbox.add(event(2), EPOCH_MS - 10 * MINUTE_MS)
    assert batch is not None
    taken = outbox.take(batch, EPOCH_MS - 10 * MINUTE_MS)
    assert ["0", "1", "2"] == [each.event.request_id for each in taken]
    assert len(taken) < REQUESTS_PER_BATCH_MAX


@pytest.mark.parametrize("step_ms", STEPS_MS)
def test_the_gate_opens_again(step_ms: int) -> None:
    """What was used up, closed or halved in the future keeps nobody out for long."""

    @in_virtual_time
    async def opens() -> None:
        with FakeDatabase() as database:
            clock = MovedClock()
            tasks: list[asyncio.Task[None]] = []

            def gate() -> UpstreamQuota:
                return UpstreamQuota(
                    quotas=UpstreamQuotas(database),
                    grant=Grant(),
                    limit=10,
                    is_queued=False,
                    invocation=invocation(
                        clock, run_later=lambda work: tasks.append(asyncio.ensure_future(work))
                    ),
                )

            for _ in range(10):
                await gate().admit(None)
            gate().limited(100_000)
            await asyncio.gather(*tasks)
            clock.moved_ms -= step_ms
            began_s = asyncio.get_running_loop().time()
            await gate().admit(None)
            waited_s = asyncio.get_running_loop().time() - began_s
            assert waited_s <= (0 if step_ms > 5 * MINUTE_MS else 102)
            # The next refusal counts, too.
            gate().limited(1_000)
            await asyncio.gather(*tasks)
            [row] = database.look("SELECT allowed, closed_until_ms FROM upstream_quota")
            assert row["closed_until_ms"] <= clock.now_ms() + 1_000
            assert row["allowed"] < 10

    opens()


@pytest.mark.parametrize("step_ms", STEPS_MS)
def test_an_answer_that_takes_less_than_no_time(step_ms: int) -> None:
    """Headers, `_meta`, the log and the statistics say 0, and the answer is whole."""

    @in_virtual_time
    async def whole() -> None:
        async with JobWorld() as world:
            clock = MovedClock()
            vars(world.clock)["now_ms"] = clock.now_ms
            points, time_range = ["a"], Range(EPOCH_MS - DAY_MS, EPOCH_MS)
            question = world.question(points, time_range)
            clock.moved_ms -= step_ms
            found = await world.service.fetch_timeseries(question)
            call: Any = SimpleNamespace(app=world.app, facts=SimpleNamespace())
            headers = headers_of(timeseries_reply(call, found, question))
            assert "0" == headers["X-Request-Duration"]
            assert headers["Server-Timing"].startswith("total;dur=0,")
            assert 0 == (await world.ask(points, time_range)).meta["duration"]

    whole()


@in_virtual_time
async def test_the_log_and_the_statistics_say_none() -> None:
    """A request during which the clock goes back and back took no time."""
    async with JobWorld() as world:
        backwards = itertools.count(EPOCH_MS, -1_000)
        vars(world.clock)["now_ms"] = lambda: next(backwards)
        reply = await called(world, "GET /api/health", caller=None)
        assert 200 == reply.status
        [line] = [line for line in world.lines if line["event"] == "request"]
        assert 0 == line["durationMs"]


def test_the_views_of_jobs_show_no_negative_time() -> None:
    """Of a job that ended before it began, and of one that will begin."""
    with FakeDatabase() as database:
        for job_id, status, created_ms, ended_ms in (
            ("done", "completed", EPOCH_MS, EPOCH_MS - MINUTE_MS),
            ("active", "processing", 2 * EPOCH_MS, None),
        ):
            database.look(
                "INSERT INTO queue_jobs (job_id, request_hash, owner, site, points_count, start_ms,"
                " end_ms, priority, status, total_chunks, estimated_size, metadata, created_ms,"
                " updated_ms, started_ms, completed_ms)"
                " VALUES (?1, ?1, 'o', 'hq', 1, 0, 1, 'low', ?2, 1, 1, '{}', ?3, ?3, ?4, ?4)",
                *(job_id, status, created_ms, ended_ms),
            )
        [active] = database.look("SELECT age_seconds, silent_seconds FROM v_active_jobs")
        assert {"age_seconds": 0, "silent_seconds": 0} == active
        [sums] = database.look(
            "SELECT avg_duration_ms, max_duration_ms, avg_wait_ms FROM v_job_performance"
        )
        assert {"avg_duration_ms": 0, "max_duration_ms": 0, "avg_wait_ms": 0} == sums
