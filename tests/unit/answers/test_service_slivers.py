"""Charts whose data lie in rows: no object, one call of the database, no answer that is wrong."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable

import pytest

from building_vitals.cache.look_up_table import SLIVERS_BYTES_MAX
from building_vitals.cache.options import SLIVER_BYTES
from building_vitals.errors import Unavailable
from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range
from fakes.job_world import JobWorld
from fakes.meter import Meter
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World, days, read_body, read_json

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
POINTS = [f"p{n}" for n in range(12)]
IN_ROWS = "SELECT sum(stored_bytes) AS size FROM cache_segments WHERE data IS NOT NULL"
SEGMENTS = "SELECT * FROM cache_segments ORDER BY point, start_ms"


def live(at_ms: int, lasts_ms: int = 6 * HOUR_MS) -> Range:
    """Return the range of a chart that ends so long after the tests' present."""
    return Range(EPOCH_MS + at_ms - lasts_ms, EPOCH_MS + at_ms)


async def reload(world: World, points: list[str], times: int) -> None:
    """Let a chart be reloaded once a minute, and see each answer right."""
    for number in range(times):
        at_ms = world.clock.now_ms() - EPOCH_MS
        got = await world.ask(points, live(at_ms))
        assert world.truth(points, live(at_ms)) == got.samples, number
        await world.settle()
        await asyncio.sleep(60)


@in_virtual_time
async def test_a_live_chart_makes_no_object_and_a_hit_is_one_call() -> None:
    """Nothing is put into the bucket, nothing read from it; another isolate answers by one call."""
    async with World() as world:
        await reload(world, POINTS, 3)
        # What was young when it was fetched is trusted for a moment only.
        whole = live(world.clock.now_ms() - EPOCH_MS - HOUR_MS, 5 * HOUR_MS)
        world.recent._look_ups.forget()
        meter = Meter(world)
        got = await world.ask(POINTS, whole)
        assert ("hit", world.truth(POINTS, whole)) == (got.report.status, got.samples)
        assert [1, 0, 0, 0, 0] == meter.read()
        assert {} == world.objects.infos
        assert 0 == sum(world.objects.failures.calls.values())
        assert [] == world.database.look("SELECT * FROM cache_metadata")
        assert [] == world.reported


@in_virtual_time
async def test_an_answer_of_slivers_keeps_its_entity_tag() -> None:
    """The same for the same samples: a client that has them is told so, however often it asks."""
    async with World() as world:
        await reload(world, POINTS, 2)
        first = await world.ask(POINTS, live(0))
        world.recent._look_ups.forget()
        await asyncio.sleep(5)
        again = await world.service.fetch_timeseries(
            world.question(POINTS, live(0), matches=lambda tag: tag == first.answer_etag)
        )
        assert (first.answer_etag, b"") == (again.answer_etag, bytes(again.first))
        other = await world.ask(POINTS, live(-MINUTE_MS))
        assert first.answer_etag != other.answer_etag


@in_virtual_time
async def test_a_live_chart_leaves_few_rows() -> None:
    """What it fetches again takes the place of slivers: nothing is written a second time."""
    async with World() as world:
        await reload(world, POINTS[:3], 120)
        rows = world.database.look("SELECT count(*) AS n FROM cache_segments GROUP BY point")
        # One for each tail of 5, 15 or 60 minutes that no longer one has taken the place of since:
        # of a quarter of the reloads.
        assert max(row["n"] for row in rows) <= 30
        assert 0 == world.started["Compactor.compact"]
        assert {} == world.objects.infos
        assert [] == world.reported


async def store(world: World, points: list[str], time_range: Range) -> None:
    """Have points known, each fetch small enough for rows."""
    for start in range(0, len(points), 8):
        await world.ask(points[start : start + 8], time_range)
        await world.settle()


@in_virtual_time
async def test_slivers_that_add_up_go_into_an_object() -> None:
    """Behind an answer that is made of too many bytes of them; then that is read."""
    async with World() as world:
        points = [f"p{n}" for n in range(40)]
        whole = days(4, 3)
        await store(world, points, whole)
        size = sum(row["stored_bytes"] for row in world.database.look(SEGMENTS))
        assert 8 * SLIVER_BYTES < size < SLIVERS_BYTES_MAX
        assert {} == world.objects.infos
        await world.clock.sleep(5_000)
        before = await world.ask(points, whole)
        await world.settle()
        left = world.database.look(IN_ROWS)[0]["size"]
        # The largest have gone, until half of what is too many was left.
        assert 3 * SLIVER_BYTES < left <= 4 * SLIVER_BYTES
        assert [size - left] == [len(each) for each in world.objects.contents.values()]
        await world.clock.sleep(5_000)
        meter = Meter(world)
        after = await world.ask(points, whole)
        assert ("hit", "hit") == (before.report.status, after.report.status)
        assert world.truth(points, whole) == before.samples == after.samples
        assert [1, 0, 0, 1, 0] == meter.read()
        await world.settle()
        assert 1 == world.started["Compactor.compact"]


MANY = [f"p{n}" for n in range(72)]
# A thousand samples of each point: together more than a look-up brings along.
LONG = days(6.5, 3)


@in_virtual_time
async def test_an_answer_of_very_many_slivers_puts_them_into_an_object_first() -> None:
    """It is right, and so is the next; what the isolate holds of them is bounded."""
    async with World() as world:
        await store(world, MANY, LONG)
        size = sum(row["stored_bytes"] for row in world.database.look(SEGMENTS))
        assert SLIVERS_BYTES_MAX < size
        await world.clock.sleep(5_000)
        found = await world.index.find("site", MANY, LONG)
        assert len(MANY) == len(found)
        held = sum(len(each.data or b"") for each in found)
        assert SLIVERS_BYTES_MAX - SLIVER_BYTES < held <= SLIVERS_BYTES_MAX
        for _ in range(2):
            # Both ends are cut, so that directories are looked up, too.
            inside = Range(LONG.start_ms + HOUR_MS, LONG.end_ms - HOUR_MS)
            got = await world.ask(MANY, inside)
            assert ("hit", world.truth(MANY, inside)) == (got.report.status, got.samples)
            await world.settle()
            await world.clock.sleep(5_000)
        left = world.database.look(IN_ROWS)[0]["size"]
        assert 0 < left <= 4 * SLIVER_BYTES
        totals = world.database.look("SELECT objects, stored_bytes FROM cache_totals")
        assert [{"objects": len(world.objects.infos), "stored_bytes": size - left}] == totals
        assert [] == world.reported


@pytest.mark.parametrize("change", ["purge", "compaction", "expiry"])
@in_virtual_time
async def test_a_slow_download_of_slivers_is_not_cut(change: str) -> None:
    """Whatever becomes of the rows, an answer that has begun is sent to its end."""
    async with World() as world:
        await store(world, MANY, LONG)
        whole = Range(LONG.start_ms, LONG.end_ms + 2 * DAY_MS)
        await store(world, MANY, Range(LONG.end_ms, whole.end_ms))
        await world.clock.sleep(5_000)
        question = world.question(MANY, whole, format="json", gzip=False)
        answer = await world.service.fetch_timeseries(question)
        assert answer.rest is not None
        if change == "purge":
            await world.index.purge("site", None, whole, now_ms=world.clock.now_ms())
        elif change == "compaction":
            await world.compactor.compact(world.need(MANY, whole))
        else:
            world.database.look("DELETE FROM cache_segments")
        got = read_json(answer, await read_body(answer), is_gzip=False)
        assert world.truth(MANY, whole) == got.samples
        await world.settle()
        assert [] == world.reported


@in_virtual_time
async def test_slivers_that_change_meanwhile_are_looked_up_again() -> None:
    """A purge between the look-up and the move into an object: the answer is planned again."""
    async with World() as world:
        await store(world, MANY, LONG)
        await world.clock.sleep(5_000)
        calls = 0

        async def purge(_: str) -> None:
            nonlocal calls
            calls += 1
            # The look-up has been made, and the bytes that it left out are about to be read.
            if calls == 2:
                world.database.failures.before = None
                await world.index.purge("site", [MANY[-1]], LONG, now_ms=world.clock.now_ms())

        world.database.failures.before = purge
        got = await world.ask(MANY, LONG)
        assert ("partial", world.truth(MANY, LONG)) == (got.report.status, got.samples)
        await world.settle()
        assert [] == world.reported


@in_virtual_time
async def test_what_is_known_is_known_while_it_is_moved() -> None:
    """Another answer moves the same slivers in between: the whole of it is known all the same."""
    async with World() as world:
        await store(world, MANY, LONG)
        await world.clock.sleep(5_000)
        calls = 0

        async def move(_: str) -> None:
            nonlocal calls
            calls += 1
            if calls == 2:
                world.database.failures.before = None
                await world.ask(MANY, LONG)
                await world.settle()

        world.database.failures.before = move
        question = world.question(MANY, LONG, route="queued")
        answer = await world.service.answer_known(question)
        assert answer is not None
        got = read_json(answer, await read_body(answer), is_gzip=True)
        assert world.truth(MANY, LONG) == got.samples
        assert 72 == len(world.upstream.asked) * 8


@in_virtual_time
async def test_a_bucket_that_is_down_is_no_harm_to_live_charts() -> None:
    """They neither read nor write it."""
    async with World() as world:
        world.objects.failures.always("*")
        await reload(world, POINTS, 3)
        assert [] == world.reported


@in_virtual_time
async def test_a_purge_cuts_slivers() -> None:
    """What it names is fetched again, and nothing else."""
    async with World() as world:
        await world.ask(POINTS, live(-DAY_MS))
        await world.settle()
        middle = Range(EPOCH_MS - DAY_MS - 3 * HOUR_MS, EPOCH_MS - DAY_MS - 2 * HOUR_MS)
        now_ms = world.clock.now_ms()
        assert 1 == await world.index.purge("site", [POINTS[0]], middle, now_ms=now_ms)
        await world.clock.sleep(5_000)
        got = await world.ask(POINTS, live(-DAY_MS))
        assert ("partial", world.truth(POINTS, live(-DAY_MS))) == (got.report.status, got.samples)
        assert [middle] == got.report.fetched
        assert (len(POINTS[:1]), middle) == (
            len(world.upstream.asked[-1].points),
            world.upstream.asked[-1].time_range,
        )


@in_virtual_time
async def test_a_job_over_slivers_fetches_nothing_again() -> None:
    """Its chunks, its check and its result take them as they are, however many there are."""
    async with JobWorld() as world:
        await store(world, MANY, LONG)
        asked = world.upstream.samples_sent
        await world.clock.sleep(5_000)
        job = await world.run(await world.submit(MANY, LONG))
        assert ("completed", asked) == (job.status, world.upstream.samples_sent)
        assert world.truth(MANY, LONG) == await world.result(job.job_id)
        assert [] == world.reported


def _other(text: str) -> str:
    """Return base64 of as many other bytes."""
    return base64.b64encode(bytes(byte ^ 1 for byte in base64.b64decode(text))).decode()


SPOILING: dict[str, Callable[[str], str | None]] = {
    "gone": lambda _: None,
    "empty": lambda _: "",
    "cut": lambda text: text[: len(text) // 8 * 4],
    "other bytes": _other,
    "no base64": lambda text: '☃"\\],' + text[5:],
}


def spoil(world: World, how: str) -> None:
    """Spoil the row of one sliver."""
    [row] = world.database.look("SELECT * FROM cache_segments WHERE point = 'p3' AND samples > 0")
    world.database.look(
        "UPDATE cache_segments SET data = ?1 WHERE point = 'p3' AND start_ms = ?2",
        *(SPOILING[how](row["data"]), row["start_ms"]),
    )


@pytest.mark.parametrize("how", SPOILING)
@pytest.mark.parametrize("format", ["json", "csv", "msgpack"])
@in_virtual_time
async def test_a_spoilt_sliver_is_fetched_again(how: str, format: str) -> None:
    """No answer holds it; that very row is forgotten, and the others stay."""
    async with World() as world:
        past = live(-DAY_MS)
        await world.ask(POINTS, past)
        await world.settle()
        await world.clock.sleep(5_000)
        spoil(world, how)
        answer = await world.service.fetch_timeseries(
            world.question(POINTS, past, format=format, gzip=False)  # type: ignore[arg-type]
        )
        body = await read_body(answer)
        assert "partial" == answer.report.status
        if format == "json":
            assert world.truth(POINTS, past) == read_json(answer, body, is_gzip=False).samples
        assert 1 == len(world.upstream.asked[1:])
        assert ("p3",) == world.upstream.asked[-1].points
        await world.settle()
        await world.clock.sleep(5_000)
        got = await world.ask(POINTS, past)
        assert ("hit", world.truth(POINTS, past)) == (got.report.status, got.samples)
        assert [] == world.crashes


@pytest.mark.parametrize("how", SPOILING)
@in_virtual_time
async def test_compaction_joins_no_spoilt_sliver(how: str) -> None:
    """It changes nothing then, and what was spoilt is a gap from now on."""
    async with World() as world:
        for number in range(10):
            part = Range(
                EPOCH_MS - DAY_MS + number * HOUR_MS, EPOCH_MS - DAY_MS + (number + 1) * HOUR_MS
            )
            await world.ask(["p3"], part)
            await world.settle()
        rows = world.database.look(SEGMENTS)
        world.database.look(
            "UPDATE cache_segments SET data = ?1 WHERE start_ms = ?2",
            *(SPOILING[how](rows[4]["data"]), rows[4]["start_ms"]),
        )
        await world.clock.sleep(5_000)
        whole = Range(EPOCH_MS - DAY_MS, EPOCH_MS - DAY_MS + 10 * HOUR_MS)
        await world.compactor.compact(world.need(["p3"], whole))
        await world.settle()
        got = await world.ask(["p3"], whole)
        assert world.truth(["p3"], whole) == got.samples
        assert 1 == len(got.report.fetched)


@in_virtual_time
async def test_a_spoilt_sliver_among_very_many_is_fetched_again() -> None:
    """It is seen when they go into an object, which then does not hold it."""
    async with World() as world:
        await store(world, MANY, LONG)
        await world.clock.sleep(5_000)
        world.database.look("UPDATE cache_segments SET data = 'AAAA' WHERE point = ?1", MANY[-1])
        got = await world.ask(MANY, LONG)
        assert ("partial", world.truth(MANY, LONG)) == (got.report.status, got.samples)
        assert (MANY[-1],) == world.upstream.asked[-1].points


@in_virtual_time
async def test_slivers_that_cannot_be_moved_leave_all_as_it_was() -> None:
    """The bucket is down: the request goes past the cache, and the next one finds everything."""
    async with World() as world:
        await store(world, MANY, LONG)
        await world.clock.sleep(5_000)
        world.objects.failures.always("*")
        got = await world.ask(MANY[:30], LONG)
        assert "hit" == got.report.status
        with pytest.raises(Unavailable):
            await world.store.at_hand(
                "site",
                world.filler.cover(
                    world.need(MANY, LONG), await world.index.find("site", MANY, LONG)
                ),
            )
        world.objects.failures.clear()
        await world.settle()
        got = await world.ask(MANY, LONG)
        assert ("hit", world.truth(MANY, LONG)) == (got.report.status, got.samples)
