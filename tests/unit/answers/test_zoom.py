"""Answers with fewer samples, from levels that were stored behind an earlier answer."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable
from gzip import decompress
from typing import Any, NamedTuple

import msgspec
import pytest

from builders import Samples, stored
from building_vitals.answers.body import ByteSource
from building_vitals.answers.formats.encoder import BodyOptions
from building_vitals.answers.formats.json_text import TextJson
from building_vitals.answers.formats.registry import Format
from building_vitals.answers.pieces import PointPieces
from building_vitals.answers.zoom import (
    Found,
    FoundLevel,
    PieceReader,
    ZoomPoint,
    body_bytes,
    choices,
)
from building_vitals.cache.blobs import Blobs
from building_vitals.cache.leveling import with_levels
from building_vitals.cache.segments import Piece, Segment, pieces
from building_vitals.cache.zooming import zoom_plan
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range
from fakes.brute_levels import Plain, finest
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World, days, read_body

POINTS = ("a", "b", "c")


def plain(samples: list[list[Any]]) -> list[tuple[int, str]]:
    return [(ms, json.dumps(value)) for ms, value in samples]


async def levels_of(world: World, time_range: Range, max_points: int) -> dict[str, Any]:
    """Return what an answer says of each point."""
    answer = await world.service.fetch_timeseries(
        world.question(POINTS, time_range, gzip=False, max_points=max_points)
    )
    found: dict[str, Any] = json.loads(await read_body(answer))["data"]
    return found


@in_virtual_time
@pytest.mark.parametrize("max_points", [10, 100, 400, 1_500])
async def test_a_hit_is_what_the_samples_would_give(max_points: int) -> None:
    """Of whole ranges and cut ones, aligned and not: the finest level that fits, and its name."""
    async with World(page_size=50_000, interval_ms=300_000) as world:
        await world.ask(POINTS, days(20, 2))
        await world.settle()
        for time_range in (
            days(20, 2),
            days(17, 5),
            Range(EPOCH_MS - 13 * DAY_MS + 7 * MINUTE_MS, EPOCH_MS - 3 * DAY_MS - 11 * HOUR_MS + 1),
            Range(EPOCH_MS - 9 * DAY_MS + 1, EPOCH_MS - 8 * DAY_MS),
        ):
            truth = world.truth(POINTS, time_range)
            for point, found in (await levels_of(world, time_range, max_points)).items():
                expected = finest(plain(truth[point]), max_points)
                if expected is not None:
                    assert expected == (found["level"], plain(found["samples"]))
                assert len(found["samples"]) == found["count"] <= max_points
        assert not world.reported


@in_virtual_time
@pytest.mark.parametrize("format", ["json", "csv", "ndjson", "msgpack"])
@pytest.mark.parametrize("gzip", [True, False])
async def test_every_format_is_the_same_as_without_levels(format: Format, *, gzip: bool) -> None:
    """What a hit gives from levels is, but for `_meta`, what a miss gave from its samples."""
    async with World(page_size=50_000) as world:
        options: dict[str, Any] = {"format": format, "gzip": gzip, "max_points": 300}
        bodies = []
        for _ in range(2):
            question = world.question(POINTS, days(12, 1.3), **options)
            answer = await world.service.fetch_timeseries(question)
            bodies.append(await read_body(answer))
            assert 0 < answer.samples <= 900
            await world.settle()
        assert ("hit", answer.samples) == (answer.report.status, answer.report.samples_from_cache)
        if format == "json" and gzip:
            first, second = (json.loads(decompress(each))["data"] for each in bodies)
            assert first == second
        elif not gzip and format != "msgpack":
            first, second = (each.partition(b'"_meta"')[0] for each in bodies)
            assert first == second


MONTH = Range(0, 28 * DAY_MS)


class Kept(NamedTuple):
    """A month of a point with levels, read from memory; and what was read, round by round."""

    segment: Segment
    blobs: Blobs
    plain: list[Plain]
    rounds: list[list[Piece]]

    async def read(self, pieces: Iterable[Piece], _fresh: object, *, is_verified: bool) -> Blobs:
        """Return all there is."""
        assert is_verified
        self.rounds.append(list(pieces))
        return self.blobs


async def kept_month() -> Kept:
    """Return four weeks of a sample each five minutes."""
    rng = random.Random(1)
    plain = [(5 * MINUTE_MS * n, f"{rng.gauss(20, 3):.2f}") for n in range(28 * 288)]
    segment, blob = stored(MONTH, Samples(plain), sizes=[576] * 14)
    data, [found] = await with_levels(blob, [segment])
    blobs = Blobs()
    blobs.add(found.key, 0, data)
    return Kept(found, blobs, plain, [])


@pytest.mark.parametrize(("max_points", "level"), [(600, "4h"), (300, "1d")])
async def test_one_round_of_reads(max_points: int, level: str) -> None:
    """
    What is cut is counted to tell whether a level fits; what is made of it comes along.

    As it is told by the share of the frames that lies within: of 20 days each level has so much.
    """
    kept = await kept_month()
    part = Range(2 * DAY_MS + 7 * MINUTE_MS, 22 * DAY_MS + 8 * HOUR_MS + 1)
    plan, point = zoom_plan([(kept.segment, part)], max_points), PointPieces("p", [])
    assert plan is not None
    assert plan.uncounted(lambda _: None, max_points)
    store: Any = kept
    source = ByteSource([], {}, store)
    group = [ZoomPoint(point._replace(known=[(kept.segment, part)]), plan)]
    [choice] = await choices(group, source, max_points)
    encoder = TextJson(BodyOptions(1, gzip=False))
    choice.put(encoder, point)
    [found] = json.loads(encoder.take() + encoder.finish({}))["data"].values()
    inside = [each for each in kept.plain if part.start_ms <= each[0] < part.end_ms]
    texts = dict(kept.plain)
    assert finest(inside, max_points) == (level, [(ms, texts[ms]) for ms, _ in found["samples"]])
    assert 1 == len(kept.rounds)


def test_cuts_of_one_frame() -> None:
    """Whatever has been cut of it before, each cut is what its range takes of the frame."""
    plain = [(MINUTE_MS * n, str(n)) for n in range(60)]
    segment, blob = stored(Range(0, HOUR_MS), Samples(plain))
    blobs = Blobs()
    blobs.add(segment.key, 0, blob)
    reader = PieceReader(frozenset(), blobs)
    for first, end in ((10, 30), (20, 40), (12, 20), (0, 59), (50, 55), (10, 30)):
        [piece] = pieces(segment, Range(first * MINUTE_MS, end * MINUTE_MS))
        assert (end - first, Samples(plain[first:end]).text) == reader.cut(piece)


async def test_a_guess_that_is_wrong() -> None:
    """Where samples crowd at one end of a frame, another level fits than its share tells."""
    crowd = [(5 * MINUTE_MS * n, str(n * 7_919 % 4_001)) for n in range(10 * 288)]
    rest = [(10 * DAY_MS + 6 * HOUR_MS * n, str(n * 7_919 % 4_001)) for n in range(18 * 4)]
    many = Samples(crowd + rest)
    segment, blob = stored(MONTH, many, sizes=[576] * 6)
    data, [found] = await with_levels(blob, [segment])
    blobs = Blobs()
    blobs.add(found.key, 0, data)
    kept: Any = Kept(found, blobs, crowd + rest, [])
    most = 0
    for part in (Range(HOUR_MS, 8 * DAY_MS), Range(6 * DAY_MS + HOUR_MS, 28 * DAY_MS)):
        for max_points in range(20, 240, 7):
            plan = zoom_plan([(found, part)], max_points)
            assert plan is not None
            group = [ZoomPoint(PointPieces("p", [], known=[(found, part)]), plan)]
            kept.rounds.clear()
            [choice] = await choices(group, ByteSource([], {}, kept), max_points)
            most = max(most, len(kept.rounds))
            encoder = TextJson(BodyOptions(1, gzip=False))
            choice.put(encoder, group[0].part)
            [answer] = json.loads(encoder.take() + encoder.finish({}))["data"].values()
            inside = [each for each in kept.plain if part.start_ms <= each[0] < part.end_ms]
            expected = finest(inside, max_points)
            assert expected == (answer["level"], plain(answer["samples"]))
    assert most > 1


def test_short_runs_are_put_in_as_one() -> None:
    """Each run is compressed by itself: those that follow each other are one."""
    runs: list[tuple[int, bytes]] = []

    class Recorder(TextJson):
        def add_text(self, count: int, text: bytes) -> None:
            runs.append((count, text))
            super().add_text(count, text)

    found = [Found(1, 1, b"[1,2]"), Found(2, 0, b"[2,2],[3,4]"), Found(2_047, 7, b"[4,5]")]
    encoder = Recorder(BodyOptions(1, gzip=False))
    known = FoundLevel(found, "1h", Blobs()).put(encoder, PointPieces("p", []))
    assert [(3, b"[1,2],[2,2],[3,4]"), (2_047, b"[4,5]")] == runs
    assert (8, 2_050) == (known, encoder.samples)


@in_virtual_time
async def test_one_read_of_an_object() -> None:
    """A level of many points lies together: a range that cuts no bucket takes a single read."""
    async with World(page_size=50_000) as world:
        points = [f"p{n}" for n in range(12)]
        await world.ask(points, days(30, 2))
        await world.settle()
        first = EPOCH_MS - 28 * DAY_MS
        aligned = Range(first - first % DAY_MS, EPOCH_MS - 4 * DAY_MS)
        aligned = Range(aligned.start_ms, aligned.end_ms - aligned.end_ms % DAY_MS)
        world.objects.failures.calls.clear()
        got = await world.ask(points, aligned, max_points=800)
        assert 1 == world.objects.failures.calls["get"]
        assert all(len(each) <= 800 for each in got.samples.values())
        assert "hit" == got.report.status


@in_virtual_time
async def test_a_sliding_chart() -> None:
    """What is fetched from minute to minute meets what was known inside of buckets."""
    async with World(page_size=50_000, interval_ms=60_000) as world:
        await world.ask(("a",), Range(EPOCH_MS - 10 * DAY_MS, EPOCH_MS))
        await world.settle()
        for minutes in (1, 7, 61, 200, 600):
            await asyncio.sleep(minutes * 60)
            now_ms = world.clock.now_ms()
            time_range = Range(now_ms - 10 * DAY_MS, now_ms - now_ms % 1_000)
            found = await world.ask(("a",), time_range, max_points=300)
            await world.settle()
            truth = plain(world.truth(("a",), time_range)["a"])
            expected = finest(truth, 300)
            assert expected is not None
            assert expected[1] == plain(found.samples["a"])
            assert found.report.status in ("partial", "hit")
            assert found.report.samples_from_cache <= len(found.samples["a"])


@in_virtual_time
async def test_what_was_purged_does_not_show() -> None:
    """A purge cuts buckets: what is fetched in its place is not mixed with what was there."""
    async with World(page_size=50_000) as world:
        whole = days(20, 2)
        await world.ask(("a",), whole)
        await world.settle()
        purged = Range(EPOCH_MS - 12 * DAY_MS + 1_234_567, EPOCH_MS - 11 * DAY_MS + 7_654_321)
        await world.index.purge("site", ("a",), purged, now_ms=world.clock.now_ms())
        for _ in range(2):
            got = await world.ask(("a",), whole, max_points=200)
            await world.settle()
            expected = finest(plain(world.truth(("a",), whole)["a"]), 200)
            assert expected is not None
            assert expected[1] == plain(got.samples["a"])


@in_virtual_time
async def test_a_spoilt_level_is_fetched_again() -> None:
    """Bytes of a level that are not what was stored are noticed before a byte goes out."""
    async with World(page_size=50_000) as world:
        whole = days(20, 2)
        first = await world.ask(("a",), whole, max_points=300)
        await world.settle()
        [segment] = await world.index.find("site", ("a",), whole, level_samples=10**6)
        assert segment.levels
        for level in segment.levels:
            spoilt = bytearray(world.objects.contents[segment.key])
            spoilt[level.offset + level.stored_bytes // 2] ^= 0xFF
            world.objects.contents[segment.key] = bytes(spoilt)
        got = await world.ask(("a",), whole, max_points=300)
        assert first.samples == got.samples
        assert 0 == got.report.samples_from_cache
        assert ["lost objects"] == [where for where, _ in world.reported]


@in_virtual_time
async def test_without_levels_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stored before there were levels is read as a whole, until it is stored again."""
    async with World(page_size=50_000) as world:

        async def unleveled(data: bytes, segments: Any, _known: Any) -> Any:
            return data, segments

        monkeypatch.setattr("building_vitals.cache.leveling.with_levels", unleveled)
        whole = days(60, 2)
        await world.ask(("a",), whole)
        await world.settle()
        [segment] = await world.index.find("site", ("a",), whole, level_samples=10**6)
        assert segment.levels is None
        assert zoom_plan([(segment, whole)], 100) is None
        got = await world.ask(("a",), whole, max_points=100)
        expected = finest(plain(world.truth(("a",), whole)["a"]), 100)
        assert expected is not None
        assert expected[1] == plain(got.samples["a"])
        assert len(got.samples["a"]) == got.report.samples_from_cache


def test_bytes_of_an_answer() -> None:
    """Of points with levels it is their share of the answer that counts, of others all of them."""
    many = Samples((MINUTE_MS * n, "1.25") for n in range(20_000))
    held = stored(Range(0, MINUTE_MS * 20_000), many).segment
    whole = [(held, held.range)]
    part = PointPieces("p", pieces(held, held.range), known=whole)
    leveled = msgspec.structs.replace(held, levels=())
    small = part._replace(known=[(leveled, held.range)])
    sizes = [
        body_bytes([each], 100, is_spliced=is_spliced)
        for each in (part, small)
        for is_spliced in (True, False)
    ]
    assert [held.text_bytes, held.text_bytes, 800, 3_200] == sizes
    assert held.stored_bytes == body_bytes([part], None, is_spliced=True)
    assert held.text_bytes == body_bytes([small], None, is_spliced=False)
