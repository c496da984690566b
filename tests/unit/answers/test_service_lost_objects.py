"""Objects that are gone or spoilt: no answer is wrong, and the next asking is answered in full."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import msgpack
import pytest

from building_vitals.access.caller import ANYBODY
from building_vitals.answers.answer import TimeseriesAnswer
from building_vitals.cache.store import LostObjects
from building_vitals.errors import AppError
from building_vitals.instants import DAY_MS, parse_iso
from building_vitals.ports import ObjectInfo
from building_vitals.ranges import Range
from fakes.history import LongTexts
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import OBJECTS_ONLY, World, days, read_body

POINTS = ["a", "b", "c", "d"]
# Five objects, of which an answer takes several batches.
PARTS = [days(15 - n, 14 - n) for n in range(5)]
WHOLE = Range(PARTS[0].start_ms, PARTS[-1].end_ms)
# Frames are cut at both ends.
INSIDE = Range(WHOLE.start_ms + DAY_MS // 3, WHOLE.end_ms - DAY_MS // 3)
READERS = {
    "spliced": {"format": "json", "gzip": True},
    "plain": {"format": "json", "gzip": False},
    "csv": {"format": "csv", "gzip": False},
    "ndjson": {"format": "ndjson", "gzip": True},
    "msgpack": {"format": "msgpack", "gzip": False},
    "max_points": {"format": "json", "gzip": False, "max_points": 100_000},
}


def samples_end(world: World, key: str) -> int:
    """Return where the samples of an object end; its levels lie behind them."""
    [(end,)] = world.database.connection.execute(
        "SELECT max(offset + stored_bytes) FROM cache_segments WHERE object_key = ?", (key,)
    )
    return int(end)


HARMS: dict[str, Callable[[World, str], None]] = {
    "lose": lambda world, key: world.objects.lose(key),
    "spoil first": lambda world, key: world.objects.spoil(key, 40),
    "spoil last": lambda world, key: world.objects.spoil(key, samples_end(world, key) - 40),
    "overwrite": lambda world, key: world.objects.overwrite(key, world.objects.contents[key][1:]),
}


def samples_of(body: bytes, reader: str) -> dict[str, list[list[Any]]]:
    """Return the samples in a body, by point."""
    options = READERS[reader]
    if options["gzip"]:
        body = gzip.decompress(body)
    if options["format"] == "json":
        document = json.loads(body)
        return {point: found["samples"] for point, found in document["data"].items()}
    if options["format"] == "msgpack":
        document = msgpack.unpackb(body, strict_map_key=False)
        return {point: found["samples"] for point, found in document["data"].items()}
    rows: dict[str, list[list[Any]]] = {point: [] for point in POINTS}
    if options["format"] == "ndjson":
        for line in body.splitlines():
            row = json.loads(line)
            rows[row["point"]].append([parse_iso(row["time"]), row["value"]])
        return rows
    for time, point, _ in list(csv.reader(io.StringIO(body.decode())))[1:]:
        rows[point].append([parse_iso(time), None])
    return rows


def is_right(world: World, body: bytes, reader: str) -> bool:
    """Return whether a body has all samples of the range; of CSV, which has no types, all times."""
    truth = world.truth(POINTS, INSIDE)
    found = samples_of(body, reader)
    if reader == "csv":
        truth = {point: [[at, None] for at, _ in each] for point, each in truth.items()}
    return truth == found


async def answer(world: World, reader: str) -> TimeseriesAnswer:
    """Return the beginning of an answer."""
    return await world.service.fetch_timeseries(
        world.question(POINTS, INSIDE, **READERS[reader])  # type: ignore[arg-type]
    )


@in_virtual_time
async def store_all(kept: list[Stored]) -> None:
    """Add a bucket and a database that have everything."""
    async with World(history=LongTexts, interval_ms=3_600_000) as world:
        for each in PARTS:
            await world.ask(POINTS, each)
            await world.settle()
        objects = world.objects
        database = world.database.connection.serialize()
        kept.append(Stored(objects.infos, objects.contents, database))


class Stored(NamedTuple):
    """What a world has stored."""

    infos: dict[str, ObjectInfo]
    contents: dict[str, bytes]
    database: bytes


@pytest.fixture(scope="module")
def filled() -> Stored:
    """A world in which everything is stored."""
    kept: list[Stored] = []
    store_all(kept)
    return kept[0]


async def harm_and_ask_again(filled: Stored, reader: str, moment: str, harm: str, n: int) -> None:
    """See that an answer is right, or cut, and the next one right."""
    async with World(history=LongTexts, interval_ms=3_600_000) as world:
        world.objects.infos |= filled.infos
        world.objects.contents |= filled.contents
        world.database.connection.deserialize(filled.database)
        await world.clock.sleep(60_000)
        keys = sorted(world.objects.infos)
        assert len(PARTS) == len(keys)

        async def harm_once(operation: str) -> None:
            if operation == "get":
                world.objects.failures.before = None
                HARMS[harm](world, keys[n])

        if moment == "before":
            HARMS[harm](world, keys[n])
        elif moment == "between":
            world.objects.failures.before = harm_once
        cuts, statuses = 0, []
        for number in range(2):
            try:
                found = await answer(world, reader)
                if moment == "during" and number == 0:
                    assert found.rest is not None
                    HARMS[harm](world, keys[n])
                assert is_right(world, await read_body(found), reader)
                statuses.append(found.report.status)
            except LostObjects:
                cuts += 1
            await world.settle()
            await world.clock.sleep(2_000)
        # The first client at most is cut off, and what was lost is fetched once.
        assert statuses[-1] == ("partial" if cuts or moment == "during" else "hit")
        assert 2 == cuts + len(statuses)
        assert 1 == len(world.upstream.asked)
        assert [] == world.crashes


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("moment", ["before", "between", "during"])
@pytest.mark.parametrize("reader", READERS)
@in_virtual_time
async def test_an_answer_is_right_or_cut_and_the_next_is_right(
    filled: Stored, reader: str, moment: str, harm: str
) -> None:
    """Harmed before a request, between look-up and read, or after the first bytes."""
    # Each object comes up for each reader, though not with each harm at each moment.
    n = 3 * list(HARMS).index(harm) + list(READERS).index(reader) + len(moment)
    await harm_and_ask_again(filled, reader, moment, harm, n % len(PARTS))


@pytest.mark.parametrize("harm", HARMS)
@in_virtual_time
async def test_compaction_copies_nothing_that_is_spoilt(harm: str) -> None:
    """Objects in turn: the answer before is whole, and so is the one after."""
    for n in range(list(HARMS).index(harm), 10, len(HARMS)):
        async with World(cache=OBJECTS_ONLY) as world:
            for day in range(20, 10, -1):
                await world.ask(["a"], days(day, day - 1))
                await world.settle()
            await world.clock.sleep(10_000)
            need = world.need(["a"], days(20, 10))
            HARMS[harm](world, sorted(world.objects.infos)[n])
            await world.compactor.compact(need)
            got = await world.ask(["a"], days(20, 10))
            assert world.truth(["a"], days(20, 10)) == got.samples
            assert 1 == len(got.report.fetched)


@pytest.mark.parametrize("harm", HARMS)
@in_virtual_time
async def test_a_job_is_right_or_gone(harm: str) -> None:
    """Each object in turn, with and without a result of its own: all of it, or ask again."""
    whole = Range(EPOCH_MS - 40 * DAY_MS - DAY_MS // 3, EPOCH_MS - 10 * DAY_MS)
    for n in range(6):
        async with JobWorld() as world:
            job_id = await world.submit(["a", "b"], whole)
            assert "completed" == (await world.run(job_id)).status
            await world.settle()
            keys = sorted(key for key in world.objects.infos if key.startswith("timeseries/"))
            if n == len(keys):
                return
            HARMS[harm](world, keys[n])
            truth = world.truth(["a", "b"], whole)
            try:
                first = await world.result(job_id)
            except AppError:
                first = None
            assert first in (truth, None)
            await world.settle()
            second = await world.result(job_id)
            assert second in (truth, None)
            again = await world.submit(["a", "b"], whole, caller=ANYBODY)
            if again != job_id:
                assert "completed" == (await world.run(again)).status
                assert truth == await world.result(again)


@pytest.mark.parametrize("harm", HARMS)
@in_virtual_time
async def test_a_chunk_whose_cut_frames_are_spoilt_is_fetched_again(harm: str) -> None:
    """What a job finds stored is counted in its frames; it completes with spoilt ones fetched."""
    async with JobWorld() as world:
        await world.ask(["a"], days(40, 10))
        await world.settle()
        await world.clock.sleep(10_000)
        [key] = world.objects.infos
        HARMS[harm](world, key)
        whole = Range(EPOCH_MS - 40 * DAY_MS + DAY_MS // 3, EPOCH_MS - 10 * DAY_MS - DAY_MS // 3)
        job_id = await world.submit(["a"], whole)
        assert "completed" == (await world.run(job_id)).status
        found = await world.result(job_id)
        assert found in (world.truth(["a"], whole), None)
        await world.settle()
        again = await world.ask(["a"], whole)
        assert world.truth(["a"], whole) == again.samples
