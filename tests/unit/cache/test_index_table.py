"""The index of segments: found by point and range, replaced by newer ones, purged and forgotten."""

from __future__ import annotations

import msgspec
import pytest

from builders import FRESHNESS, Samples
from building_vitals.cache.index_table import ObjectRow, SegmentIndex
from building_vitals.cache.look_up_table import LONG_LEVELS
from building_vitals.cache.need import ROLLUPS_ALONE
from building_vitals.cache.segments import Level, Place, Segment, segment_of
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from fakes.database import FakeDatabase

UNICODE = "Gebäude »Süd«/☃ 😀, \"quoted\" \\ 'x' \u0001"
EVERYTHING = Range(0, 10_000_000)


def segment(
    start: int, end: int, point: str = "a", *, fetched: int = 5000, key: str = "k", count: int = 2
) -> Segment:
    """Return a segment with some samples."""
    series = Samples((start + n, "1.50") for n in range(count)).series()
    fold = PointSeries(point, Range(start, end), series)
    made = segment_of(fold.point, fold.known, fold.series, fetched_ms=fetched, key=key, offset=7)
    return msgspec.structs.replace(made, object_etag=f"etag-of-{key}")


class Shelf:
    """A database and the index in it."""

    def __init__(self) -> None:
        self.database = FakeDatabase()
        self.index = SegmentIndex(self.database)

    def __enter__(self) -> Shelf:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.connection.close()

    async def insert(self, *segments: Segment, site: str = "site") -> None:
        """Make segments known, and their objects."""
        keys = dict.fromkeys(each.key for each in segments if each.key)
        objects = [
            ObjectRow(
                key=key, range=EVERYTHING, points=1, samples=2, text_bytes=20, stored_bytes=10
            )
            for key in keys
        ]
        expires_ms = [9_000_000] * len(segments)
        await self.database.batch(
            self.index.insert_statements(site, segments, expires_ms, objects, now_ms=5000)
        )

    async def ranges(self, *points: str, time_range: Range = EVERYTHING) -> list[tuple[int, int]]:
        """Return the ranges found, by time."""
        found = await self.index.find("site", points or ("a",), time_range)
        return sorted((each.start_ms, each.end_ms) for each in found)


async def test_a_segment_is_found_as_it_was_inserted() -> None:
    """Every field comes back, the directory too where it is asked for or needed."""
    with Shelf() as shelf:
        made = segment(1000, 2000, UNICODE)
        await shelf.insert(made)
        [whole] = await shelf.index.find("site", [UNICODE], EVERYTHING)
        assert made == whole
        known = FRESHNESS, made.fetched_ms
        [bare] = await shelf.index.find("site", [UNICODE], EVERYTHING, known)
        assert msgspec.structs.replace(made, frames=None) == bare
        for cutting in (Range(1001, 3000), Range(0, 1999)):
            [cut] = await shelf.index.find("site", [UNICODE], cutting, known)
            assert made == cut


async def test_levels_come_where_they_are_asked_for() -> None:
    """Of a whole segment few directories; all where it has to be cut, and where all is asked."""
    with Shelf() as shelf:
        made = segment(1000, 2000, UNICODE)
        # So many that it is worth while to leave some out.
        frames = (made.frames or ()) * (LONG_LEVELS // 200)
        levels = (
            Level.of(900_000, 0, 0, 700, ()),
            Level.of(604_800_000, 0, 0, 50, ()),
            Level.of(3_600_000, 20, 300, 500, frames),
            Level.of(14_400_000, 320, 100, 100, frames),
            Level.of(86_400_000, 420, 50, 60, frames),
        )
        made = msgspec.structs.replace(made, levels=levels)
        await shelf.insert(made)
        known = FRESHNESS, made.fetched_ms
        [plain] = await shelf.index.find("site", [UNICODE], EVERYTHING)
        assert msgspec.structs.replace(made, levels=None) == plain
        assert [made] == await shelf.index.find("site", [UNICODE], EVERYTHING, level_samples=1)
        assert [made] == await shelf.index.find("site", [UNICODE], Range(0, 1999), known, 1)
        # The widest that is kept, and those that are small enough.
        for most, left_out in ((1, {0, 1, 2, 3}), (151, {0, 2}), (748, {0, 2}), (751, {0})):
            [found] = await shelf.index.find("site", [UNICODE], EVERYTHING, known, most)
            assert found.frames is None
            assert found.levels == tuple(
                Level.of(each.width_ms, each.offset, each.stored_bytes, each.count, None)
                if n in left_out
                else each
                for n, each in enumerate(levels)
            )


async def test_rollups_are_looked_up_alone() -> None:
    """For rows of hours and days no levels are needed; rollups come as a whole."""
    with Shelf() as shelf:
        made = segment(1000, 2000)
        rollup = Level.of(-3_600_000, 20, 30, 4_000, made.frames)
        level = Level.of(3_600_000, 50, 300, 500, made.frames)
        for levels, expected in (((rollup, level), (rollup,)), ((level,), ()), (None, None)):
            await shelf.insert(msgspec.structs.replace(made, levels=levels))
            for known in (None, (FRESHNESS, made.fetched_ms)):
                [found] = await shelf.index.find(
                    "site", [made.point], EVERYTHING, known, ROLLUPS_ALONE
                )
                assert expected == found.levels
            [found] = await shelf.index.find("site", [made.point], EVERYTHING)
            assert found.levels is None


async def test_a_segment_that_is_not_known_to_its_end_comes_with_its_directory() -> None:
    """It will have to be cut where what is known of it ends."""
    with Shelf() as shelf:
        made = segment(1000, 2000)
        await shelf.insert(made)
        whole_until_ms = FRESHNESS.trusted_until_ms(made, made.end_ms)
        for later_ms, has_directory in ((0, False), (1, True)):
            known = FRESHNESS, whole_until_ms + later_ms
            [found] = await shelf.index.find("site", ["a"], EVERYTHING, known)
            assert has_directory == (found.frames is not None)


async def test_a_slow_fetch_does_not_take_the_place_of_a_newer_one() -> None:
    """Of the same range the copy fetched last stays, whichever is stored last."""
    with Shelf() as shelf:
        newer, older = (
            msgspec.structs.replace(segment(1000, 2000, key=name), fetched_ms=fetched_ms)
            for name, fetched_ms in (("newer", 6000), ("older", 5000))
        )
        await shelf.insert(newer)
        await shelf.insert(older)
        assert ["newer"] == [each.key for each in await shelf.index.find("site", ["a"], EVERYTHING)]
        await shelf.insert(msgspec.structs.replace(older, fetched_ms=6001))
        assert ["older"] == [each.key for each in await shelf.index.find("site", ["a"], EVERYTHING)]


async def test_an_access_is_noted_once_in_a_while() -> None:
    """Of the objects named, those whose last access was noted before."""
    with Shelf() as shelf:
        for name, at_ms in (("old", 100), ("new", 200), ("other", 100)):
            stored = ObjectRow(
                key=name, range=Range(0, 1), points=1, samples=1, text_bytes=1, stored_bytes=1
            )
            await shelf.database.batch(
                shelf.index.object_statements("site", [stored], now_ms=at_ms, expires_ms=1)
            )
        await shelf.index.note_access(["old", "new", "gone"], now_ms=300, before_ms=150)
        assert [("new", 200), ("old", 300), ("other", 100)] == [
            tuple(row.values())
            for row in shelf.database.look(
                "SELECT object_key, last_access_ms FROM cache_metadata ORDER BY 1"
            )
        ]


@pytest.mark.parametrize(
    ("start", "end", "is_found"),
    [
        pytest.param(1000, 2000, True, id="the same"),
        pytest.param(0, 1001, True, id="its first instant"),
        pytest.param(1999, 3000, True, id="its last instant"),
        pytest.param(1400, 1500, True, id="inside"),
        pytest.param(0, 1000, False, id="up to its start"),
        pytest.param(2000, 3000, False, id="from its end"),
    ],
)
async def test_what_overlaps_is_found(start: int, end: int, is_found: bool) -> None:
    """Ranges are half-open on both sides."""
    with Shelf() as shelf:
        await shelf.insert(segment(1000, 2000))
        assert is_found == bool(await shelf.ranges("a", time_range=Range(start, end)))


async def test_only_what_is_asked_for_is_found() -> None:
    """Other points and other sites are not."""
    with Shelf() as shelf:
        await shelf.insert(segment(1000, 2000), segment(1000, 2000, "A"), segment(0, 9, "a,b"))
        await shelf.insert(segment(3000, 4000), site="site2")
        assert [(1000, 2000)] == await shelf.ranges("a")
        assert [(0, 9)] == await shelf.ranges("a,b")
        assert [] == await shelf.ranges("constructor", "__proto__", "")


async def test_six_hundred_points_are_one_query() -> None:
    """Any number of points travels as one parameter; rows come in groups, none is lost."""
    with Shelf() as shelf:
        points = [f"{UNICODE} {n} {'x' * 100}" for n in range(600)]
        made = [
            segment(1000 * part, 1000 * part + 1000, point, key=f"k{part}")
            for point in points
            for part in range(5)
        ]
        await shelf.insert(*made)
        shelf.database.failures.calls.clear()
        found = await shelf.index.find("site", points, EVERYTHING)
        assert {"rows": 1} == shelf.database.failures.calls

        def order(each: Segment) -> tuple[str, int]:
            return each.point, each.start_ms

        assert sorted(made, key=order) == sorted(found, key=order)
        assert 5 == len(await shelf.index.find("site", points[321:322], EVERYTHING))


async def test_a_newer_segment_takes_the_place_of_those_within() -> None:
    """What lies wholly within goes, what reaches out stays; other points are not touched."""
    with Shelf() as shelf:
        await shelf.insert(
            segment(1000, 1500),
            segment(1500, 2000),
            segment(900, 1100),
            segment(1900, 2100),
            segment(1200, 1300, "b"),
        )
        await shelf.insert(segment(1000, 2000, fetched=6000, key="new"))
        assert [(900, 1100), (1000, 2000), (1900, 2100)] == await shelf.ranges("a")
        assert [(1200, 1300)] == await shelf.ranges("b")


async def test_an_older_segment_takes_no_ones_place() -> None:
    """What was fetched before does not replace what was fetched after it."""
    with Shelf() as shelf:
        await shelf.insert(segment(1200, 1300, fetched=6000, key="newer"))
        await shelf.insert(segment(1000, 2000, fetched=5000, key="older"))
        found = await shelf.index.find("site", ["a"], EVERYTHING)
        assert {("newer", 1200, 1300), ("older", 1000, 2000)} == {
            (each.key, each.start_ms, each.end_ms) for each in found
        }


async def test_what_is_known_to_be_empty_is_known() -> None:
    """A segment without samples has no object, and is found."""
    with Shelf() as shelf:
        await shelf.insert(segment(1000, 2000, count=0))
        [found] = await shelf.index.find("site", ["a"], EVERYTHING)
        assert ("", 0) == (found.key, found.count)


async def test_only_the_very_segments_are_removed() -> None:
    """A row that has taken a removed one's place, under another object, stays."""
    with Shelf() as shelf:
        old = segment(1000, 2000, key="old")
        await shelf.insert(old, segment(3000, 4000, key="other"))
        await shelf.insert(segment(1000, 2000, fetched=6000, key="new"))
        await shelf.index.remove("site", [old])
        assert [(1000, 2000), (3000, 4000)] == await shelf.ranges("a")
        [new] = await shelf.index.find("site", ["a"], Range(1000, 2000))
        await shelf.index.remove("site2", [new])
        assert [(1000, 2000), (3000, 4000)] == await shelf.ranges("a")
        await shelf.index.remove("site", [new])
        assert [(3000, 4000)] == await shelf.ranges("a")


@pytest.mark.parametrize(
    ("points", "time_range", "left"),
    [
        pytest.param(None, EVERYTHING, set(), id="all"),
        pytest.param(["a"], EVERYTHING, {("b", 1000)}, id="a point"),
        pytest.param(None, Range(1000, 3000), {("a", 3000)}, id="a range that holds some"),
        pytest.param(["a", "b"], Range(2999, 5000), {("a", 1000), ("b", 1000)}, id="one of them"),
        pytest.param([], EVERYTHING, {("a", 1000), ("b", 1000), ("a", 3000)}, id="no point"),
        pytest.param(None, Range(2000, 3000), {("a", 1000), ("b", 1000), ("a", 3000)}, id="a gap"),
    ],
)
async def test_a_purge_forgets_what_it_touches(
    points: list[str] | None, time_range: Range, left: set[tuple[str, int]]
) -> None:
    """Points and ranges can be named; the number of segments forgotten is told."""
    with Shelf() as shelf:
        await shelf.insert(segment(1000, 2000), segment(3000, 4000), segment(1000, 2000, "b"))
        await shelf.insert(segment(1000, 2000), site="site2")
        assert 3 - len(left) == await shelf.index.purge("site", points, time_range, now_ms=5001)
        found = await shelf.index.find("site", ["a", "b"], EVERYTHING)
        assert left == {(each.point, each.start_ms) for each in found}
        assert 1 == len(await shelf.index.find("site2", ["a"], EVERYTHING))


async def test_what_was_fetched_before_a_purge_is_not_inserted_after_it() -> None:
    """A fetch that a purge overtook leaves the rest of it; later ones and other points count."""
    with Shelf() as shelf:
        await shelf.index.purge("site", ["a"], Range(900, 2000), now_ms=5000)
        await shelf.insert(segment(1200, 1300, fetched=5001, key="late"))
        await shelf.insert(segment(1000, 2000, fetched=5000))
        assert [(1200, 1300)] == await shelf.ranges("a")
        await shelf.insert(segment(1000, 2000, "b"))
        assert [(1000, 2000)] == await shelf.ranges("b")
        await shelf.insert(segment(1000, 2000), site="site2")
        assert 1 == len(await shelf.index.find("site2", ["a"], EVERYTHING))
        await shelf.index.purge("site", ["a"], Range(900, 2000), now_ms=100)
        await shelf.insert(segment(500, 6000, fetched=4000))
        assert [(500, 900), (2000, 6000)] == await shelf.ranges("a")


async def test_lost_objects_are_forgotten() -> None:
    """All segments in an object go, in any point."""
    with Shelf() as shelf:
        await shelf.insert(
            segment(0, 10, key="x"), segment(0, 10, "b", key="x"), segment(20, 30, key="y")
        )
        assert 2 == await shelf.index.forget([Place("x"), Place("missing")], now_ms=1)
        assert [(20, 30)] == await shelf.ranges("a", "b")
        assert 0 == await shelf.index.forget([], now_ms=1)


async def test_what_lies_beneath_lost_objects_is_forgotten() -> None:
    """Older copies must not be shown again; newer ones, other points and times stay."""
    with Shelf() as shelf:
        await shelf.insert(
            segment(0, 100, fetched=1000, key="old"),
            segment(100, 200, fetched=1000, key="old"),
            segment(0, 100, "b", fetched=1000, key="old"),
        )
        # Beneath what goes, and not beneath what is lost.
        await shelf.insert(segment(80, 140, fetched=900, key="older"))
        await shelf.insert(segment(40, 60, fetched=2000, key="x"))
        await shelf.insert(segment(50, 70, fetched=3000, key="new"))
        assert 3 == await shelf.index.forget([Place("x")], now_ms=1)
        assert [(50, 70), (100, 200)] == await shelf.ranges("a")
        assert [(0, 100)] == await shelf.ranges("b")


async def test_objects_without_segments_are_orphans() -> None:
    """A purge notes those that it leaves, and those of before it, for the clean-up."""
    with Shelf() as shelf:
        await shelf.insert(
            segment(0, 10, key="x"), segment(0, 10, "b", key="x"), segment(20, 30, key="y")
        )
        await shelf.index.purge("site", ["a"], EVERYTHING, now_ms=5001)
        await shelf.index.purge("site2", None, EVERYTHING, now_ms=5002)
        assert {"x": None, "y": 5001} == {
            row["object_key"]: row["orphaned_ms"]
            for row in shelf.database.look("SELECT * FROM cache_metadata")
        }
        await shelf.index.purge("site", ["b"], EVERYTHING, now_ms=5003)
        assert {"x": 5003, "y": 5001} == {
            row["object_key"]: row["orphaned_ms"]
            for row in shelf.database.look("SELECT * FROM cache_metadata")
        }


async def test_many_segments_travel_in_many_parameters() -> None:
    """Directories of more than a parameter can hold are split; nothing is lost."""
    with Shelf() as shelf:
        frames = segment(0, 10).frames
        assert frames is not None
        large = [
            msgspec.structs.replace(segment(10 * n, 10 * n + 10, UNICODE), frames=frames * 300)
            for n in range(120)
        ]
        await shelf.insert(*large)
        found = await shelf.index.find("site", [UNICODE], EVERYTHING)
        assert large == sorted(found, key=lambda each: each.start_ms)
