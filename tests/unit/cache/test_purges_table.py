"""Purges against a plain model: what they name is gone, and everything else stays known."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import every, stored
from building_vitals.cache.coverage import cover
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.segments import cut_piece_text, pieces
from building_vitals.ranges import Range
from building_vitals.series.splicing import inflate
from fakes.database import FakeDatabase

POINTS = ("a", "b", 'c "☃"')
WORLD = Range(0, 60)
HELD = every(1, WORLD)
RANGES = (
    st.tuples(st.integers(0, 60), st.integers(0, 60))
    .filter(lambda ends: ends[0] != ends[1])
    .map(lambda ends: Range(min(ends), max(ends)))
)


class Fetch(NamedTuple):
    """A segment of a point, fetched some time before it is stored."""

    point: str
    time_range: Range
    ago: int
    sizes: list[int]


class Purge(NamedTuple):
    """A purge of some points; None for all."""

    points: list[str] | None
    time_range: Range


FETCHES = st.builds(
    Fetch,
    st.sampled_from(POINTS),
    RANGES,
    st.integers(0, 8),
    st.lists(st.integers(1, 6), max_size=12),
)
PURGES = st.builds(
    Purge, st.one_of(st.none(), st.lists(st.sampled_from(POINTS), max_size=3)), RANGES
)


class Model:
    """What is known of each point, instant by instant: when it was fetched."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, int], int] = {}
        self.purged: defaultdict[tuple[str, int], int] = defaultdict(lambda: -1)

    def purge(self, purge: Purge, now_ms: int) -> None:
        """Forget what a purge names, and remember that."""
        for point in POINTS if purge.points is None else purge.points:
            for instant in range(*purge.time_range):
                self.known.pop((point, instant), None)
                self.purged[point, instant] = now_ms

    def fetch(self, fetch: Fetch, fetched_ms: int) -> None:
        """Know what was fetched after it was purged last."""
        for instant in range(*fetch.time_range):
            place = fetch.point, instant
            if fetched_ms > self.purged[place]:
                self.known[place] = max(fetched_ms, self.known.get(place, -1))


@settings(deadline=None, max_examples=150)
@given(st.lists(st.one_of(FETCHES, PURGES), max_size=14), RANGES)
def test_what_is_known_is_what_was_not_purged(events: list[Fetch | Purge], asked: Range) -> None:
    """After any fetches and purges: the same instants, each sample of them once, and no other."""

    async def run() -> None:
        with FakeDatabase() as database:
            index, model, blobs = SegmentIndex(database), Model(), {}
            for number, event in enumerate(events):
                now_ms = 100 + 10 * number
                if isinstance(event, Purge):
                    model.purge(event, now_ms)
                    await index.purge("site", event.points, event.time_range, now_ms=now_ms)
                    continue
                held = stored(
                    event.time_range,
                    HELD,
                    sizes=event.sizes,
                    key=str(number),
                    fetched_ms=now_ms - 10 * event.ago - 5,
                    padding=number,
                )
                blobs[held.segment.key] = held
                segment = msgspec.structs.replace(held.segment, point=event.point)
                model.fetch(event, segment.fetched_ms)
                await database.batch(
                    index.insert_statements("site", [segment], [10**6], [], now_ms=now_ms)
                )
            found = await index.find("site", POINTS, asked)
            for point in POINTS:
                covered = cover(point, [each for each in found if each.point == point], asked)
                known = [n for _, part in covered.known for n in range(*part)]
                assert known == [n for n in range(*asked) if (point, n) in model.known]
                text = [
                    cut_piece_text(piece, blobs[piece.key].bytes_of(piece))[1]
                    if piece.frame is not None
                    else inflate(blobs[piece.key].bytes_of(piece), piece.text_bytes)
                    for segment, part in covered.known
                    for piece in pieces(segment, part)
                ]
                expected = [f"[{n},{value}]".encode() for n, value in HELD if n in known]
                assert b",".join(expected) == b",".join(filter(None, text))

    asyncio.run(run())


@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(FETCHES, PURGES), max_size=14))
def test_counts_of_parts_say_whether_there_is_anything(events: list[Fetch | Purge]) -> None:
    """A part of a segment with samples is never taken for one that is known to be empty."""

    async def run() -> None:
        with FakeDatabase() as database:
            index = SegmentIndex(database)
            for number, event in enumerate(events):
                if isinstance(event, Purge):
                    await index.purge("site", event.points, event.time_range, now_ms=number)
                    continue
                segment = msgspec.structs.replace(
                    stored(event.time_range, HELD, key="k", fetched_ms=number).segment,
                    point=event.point,
                )
                await database.batch(
                    index.insert_statements("site", [segment], [10**6], [], now_ms=number)
                )
            rows = database.look("SELECT * FROM cache_segments")
            assert all(row["samples"] > 0 for row in rows)

    asyncio.run(run())


async def test_more_names_than_a_parameter_holds_are_purged() -> None:
    """Five thousand of the longest names: several statements, one transaction."""
    with FakeDatabase() as database:
        index = SegmentIndex(database)
        names = [f"{n:04}" + "😀" * 508 for n in range(5_000)]
        segments = [
            msgspec.structs.replace(stored(WORLD, HELD, key="k").segment, point=name)
            for name in (names[0], names[-1], "other")
        ]
        await database.batch(index.insert_statements("site", segments, [10**6] * 3, [], now_ms=1))
        assert 2 == await index.purge("site", names, Range(5, 10), now_ms=10**6)
        found = database.look("SELECT point, is_cut FROM cache_segments ORDER BY point")
        assert [(names[0], 1)] * 2 + [(names[-1], 1)] * 2 + [("other", 0)] == [
            (row["point"], row["is_cut"]) for row in found
        ]


async def test_a_result_is_purged_by_any_of_its_points() -> None:
    """A job's points are kept in parts: each is looked at, and other jobs' results are left."""
    with FakeDatabase() as database:
        for job_id, parts in (("j", ['["a"]', '["b","c"]']), ("other", ['["d"]']), ("old", [])):
            database.look(
                "INSERT INTO job_results (job_id, site, start_ms, end_ms, object_key, expires_ms) "
                "VALUES (?1, 'site', 0, 10, 'k', 99)",
                job_id,
            )
            for first, points in enumerate(parts):
                database.look(
                    "INSERT INTO job_points VALUES (?1, ?2, 1, ?3)", job_id, first, points
                )
        await SegmentIndex(database).purge("site", ["c"], Range(5, 6), now_ms=1)
        # Whose points are no longer kept may have any.
        assert [("j", -1), ("old", -1), ("other", 99)] == [
            (row["job_id"], row["expires_ms"])
            for row in database.look("SELECT job_id, expires_ms FROM job_results ORDER BY job_id")
        ]
