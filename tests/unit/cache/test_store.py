"""
The segment store: objects first, rows after, and as few reads as there are runs of neighbours.
"""

from __future__ import annotations

import asyncio

import pytest

from builders import Samples
from building_vitals.cache.blobs import READ_BYTES_MAX, READ_GAP_BYTES_MAX
from building_vitals.cache.segment_object import SegmentObject, segment_object
from building_vitals.cache.segments import Piece, Place, pieces
from building_vitals.cache.store import READS_MAX, LostObjects, SegmentStore
from building_vitals.errors import Unavailable
from building_vitals.ports import Statement
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from fakes.failures import Fault
from fakes.object_store import FakeObjectStore
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World

KNOWN = Range(EPOCH_MS, EPOCH_MS + 1_000_000)


def fold(point: str, count: int) -> PointSeries:
    """Return so many samples of a point."""
    times = [EPOCH_MS + 100 * n for n in range(count)]
    return PointSeries(point, KNOWN, Samples((at, f"{at % 977}.25") for at in times).series())


def made(*point_series: PointSeries, nonce: str = "n") -> SegmentObject:
    """Return an object of these, not stored yet."""
    return segment_object("site", point_series, fetched_ms=EPOCH_MS, nonce=nonce)


def pieces_of(stored: SegmentObject) -> list[Piece]:
    """Return what all of an object's segments are made of."""
    return [piece for each in stored.segments for piece in pieces(each, each.range)]


def part(key: str, offset: int, length: int) -> Piece:
    """Return a piece by its place alone."""
    return Piece(key, "", offset, length, 0, 0, 0, 0)


@in_virtual_time
async def test_what_was_stored_is_read() -> None:
    """Point by point the same bytes, in one read, each with the tag that its object got."""
    async with World() as world:
        stored = await world.store.put(made(fold("a", 600), fold("none", 0), fold("b", 3)))
        [info] = world.objects.infos.values()
        assert [info.object_etag, "", info.object_etag] == [
            each.object_etag for each in stored.segments
        ]
        assert [stored.key, "", stored.key] == [each.key for each in stored.segments]
        blobs = await world.store.read(pieces_of(stored), {})
        assert stored.data == b"".join(blobs.piece(piece) for piece in pieces_of(stored))
        assert 1 == world.objects.failures.calls["get"]


@in_virtual_time
async def test_an_object_says_what_it_is() -> None:
    """Its metadata tell site, points, samples, range, sizes and when it was fetched."""
    async with World() as world:
        stored = await world.store.put(made(fold("a", 600), fold("none", 0), fold("b", 3)))
        info = world.objects.infos[stored.key]
        text_bytes = sum(each.text_bytes for each in stored.segments)
        assert {
            "site": "site",
            "points": "2",
            "samples": "603",
            "start": "2026-01-01T00:00:00.000Z",
            "end": "2026-01-01T00:16:40.000Z",
            "originalSize": str(text_bytes),
            "compressedSize": str(len(stored.data)),
            "fetchedMs": str(EPOCH_MS),
        } == info.metadata
        assert stored.key.startswith("timeseries/site/2026-01-01_2026-01-01/")


@in_virtual_time
async def test_nothing_needs_no_object() -> None:
    """Points without samples are known without anything being stored."""
    async with World() as world:
        stored = await world.store.put(made(fold("a", 0), fold("b", 0)))
        assert {} == world.objects.infos
        await world.store.commit([stored], now_ms=EPOCH_MS)
        found = await world.index.find("site", ["a", "b"], KNOWN)
        assert [("a", 0), ("b", 0)] == sorted((each.point, each.count) for each in found)
        assert [] == world.database.look("SELECT * FROM cache_metadata")


class Watched(FakeObjectStore):
    """A bucket that takes its time, and notes which parts are read and how many at once."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[int, int | None]] = []
        self.under_way = self.most = 0

    async def get(
        self,
        key: str,
        *,
        offset: int = 0,
        length: int | None = None,
        object_etag: str | None = None,
    ) -> bytes | None:
        """Note the part, and return it."""
        self.reads.append((offset, length))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.1)
        self.under_way -= 1
        return await super().get(key, offset=offset, length=length, object_etag=object_etag)


def store_over(watched: Watched, world: World) -> SegmentStore:
    """Return a store over a bucket of its own."""
    return SegmentStore(
        objects=watched,
        database=world.database,
        index=world.index,
        freshness=world.freshness,
        sliver_bytes=0,
        invocation=world.app.invocation,
    )


@in_virtual_time
async def test_some_reads_at_once() -> None:
    """Of many no more are under way than the platform has connections; all that lack are named."""
    async with World() as world:
        watched, pieces = Watched(), list[Piece]()
        for n in range(20):
            key = f"k{n:02}"
            await watched.put(key, bytes([n]) * 10, content_type="x/y")
            pieces.append(Piece(key, watched.infos[key].object_etag, n // 4, 5, 0, 0, 0, 0))
        store, begun_ms = store_over(watched, world), world.clock.now_ms()
        blobs = await store.read(pieces, {})
        assert [bytes([n]) * 5 for n in range(20)] == [bytes(blobs.piece(each)) for each in pieces]
        assert (READS_MAX, 20) == (watched.most, len(watched.reads))
        assert 100 * -(-20 // READS_MAX) == world.clock.now_ms() - begun_ms
        gone = ["k03", "k17"]
        await watched.delete(gone)
        with pytest.raises(LostObjects) as found:
            await store.read(pieces, {})
        assert gone == found.value.keys


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        pytest.param([(0, 10), (10, 5)], [(0, 15)], id="neighbours"),
        pytest.param([(10, 5), (0, 10)], [(0, 15)], id="in any order"),
        pytest.param([(0, 10), (0, 10), (2, 3)], [(0, 10)], id="one in another"),
        pytest.param(
            [(0, 10), (10 + READ_GAP_BYTES_MAX, 5)], [(0, 15 + READ_GAP_BYTES_MAX)], id="near"
        ),
        pytest.param(
            [(0, 10), (11 + READ_GAP_BYTES_MAX, 5)],
            [(0, 10), (11 + READ_GAP_BYTES_MAX, 5)],
            id="far apart",
        ),
        pytest.param(
            [(0, READ_BYTES_MAX), (READ_BYTES_MAX, 1)],
            [(0, READ_BYTES_MAX), (READ_BYTES_MAX, 1)],
            id="more than a read may have",
        ),
    ],
)
@in_virtual_time
async def test_neighbours_are_read_together(
    places: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    """A read takes what lies close together, and no more than it may."""
    async with World() as world:
        watched = Watched()
        await watched.put("k", bytes(READ_BYTES_MAX + 100_000), content_type="x/y")
        object_etag = watched.infos["k"].object_etag
        pieces = [Piece("k", object_etag, offset, length, 0, 0, 0, 0) for offset, length in places]
        blobs = await store_over(watched, world).read(pieces, {})
        assert expected == sorted(watched.reads)
        assert [length for _, length in places] == [len(blobs.piece(each)) for each in pieces]


@in_virtual_time
async def test_what_is_at_hand_is_not_read() -> None:
    """Objects only just made are taken from memory."""
    async with World() as world:
        stored = made(fold("a", 600))
        blobs = await world.store.read(pieces_of(stored), {stored.key: stored.data})
        assert stored.data == blobs.piece(pieces_of(stored)[0])
        assert {} == world.objects.failures.calls
        with pytest.raises(LookupError):
            blobs.piece(part("other", 0, 1))
        with pytest.raises(LookupError):
            blobs.piece(part(stored.key, 0, len(stored.data) + 1))


@pytest.mark.parametrize("harm", ["lose", "overwrite", "shorten"])
@in_virtual_time
async def test_lost_objects_are_named(harm: str) -> None:
    """Objects that are gone or others are all named at once; the rest is not."""
    async with World() as world:
        stored = [
            await world.store.put(made(fold("a", 600), nonce=str(number))) for number in range(5)
        ]
        bad = [stored[1].key, stored[3].key]
        for key in bad:
            if harm == "lose":
                world.objects.lose(key)
            elif harm == "overwrite":
                world.objects.overwrite(key, world.objects.contents[key][::-1])
            else:
                world.objects.contents[key] = world.objects.contents[key][:-1]
        with pytest.raises(LostObjects) as caught:
            await world.store.read([piece for each in stored for piece in pieces_of(each)], {})
        assert sorted(bad) == caught.value.keys


@in_virtual_time
async def test_lost_objects_are_reported_and_forgotten() -> None:
    """Their segments become gaps, those of other objects stay; one report tells."""
    async with World() as world:
        stored = [await world.store.put(made(fold(point, 600), nonce=point)) for point in "ab"]
        await world.store.commit(stored, now_ms=EPOCH_MS)
        lost = await world.store.lost({Place(stored[0].key)})
        assert [stored[0].key] == lost.keys
        assert [("lost objects", lost)] == world.reported
        assert ["b"] == [
            row["point"] for row in world.database.look("SELECT point FROM cache_segments")
        ]


@in_virtual_time
async def test_an_index_that_is_down_hides_no_lost_object() -> None:
    """Both are reported, and the reader hears of the object."""
    async with World() as world:
        world.database.failures.next("batch")
        assert ["k"] == (await world.store.lost([Place("k")])).keys
        assert 2 == len(world.reported)


@in_virtual_time
async def test_a_reader_that_ends_has_lost_objects_forgotten_all_the_same() -> None:
    """A client that leaves ends its stream wherever that is."""
    async with World() as world:
        stored = await world.store.put(made(fold("a", 600)))
        await world.store.commit([stored], now_ms=EPOCH_MS)
        world.objects.lose(stored.key)
        reading = asyncio.ensure_future(world.store.read(pieces_of(stored), {}))
        for _ in range(100):
            await asyncio.sleep(0)
            if world.reported:
                break
        reading.cancel()
        await world.settle()
        assert [] == world.database.look("SELECT * FROM cache_segments")


@in_virtual_time
async def test_a_bucket_that_is_down_is_not_a_lost_object() -> None:
    """A refused read is Unavailable, so that nothing is forgotten."""
    async with World() as world:
        stored = await world.store.put(made(fold("a", 600)))
        world.objects.failures.next("get")
        with pytest.raises(Unavailable):
            await world.store.read(pieces_of(stored), {})


@pytest.mark.parametrize("fault", Fault)
@in_virtual_time
async def test_rows_come_after_the_object_or_not_at_all(fault: Fault) -> None:
    """A failed put leaves no rows; a failed commit leaves all of them or none."""
    async with World() as world:
        world.objects.failures.next("put", fault=fault)
        with pytest.raises(Unavailable):
            await world.store.put(made(fold("a", 600)))
        assert [] == world.database.look("SELECT * FROM cache_segments")
        stored = await world.store.put(made(fold("a", 600), fold("b", 3)))
        world.database.failures.next("batch", fault=fault)
        with pytest.raises(Unavailable):
            await world.store.commit([stored], now_ms=EPOCH_MS)
        rows = world.database.look("SELECT * FROM cache_segments")
        assert (0 if fault is Fault.REFUSED else 2) == len(rows)
        assert len(rows) // 2 == len(world.database.look("SELECT * FROM cache_metadata"))


@in_virtual_time
async def test_a_commit_is_one_transaction_with_what_goes_along() -> None:
    """One call does it all, in order; when one part fails, nothing has happened."""
    async with World() as world:
        stored = await world.store.put(made(fold("a", 600)))
        bad = Statement("INSERT INTO no_such_table VALUES (1)")
        with pytest.raises(Unavailable):
            await world.store.commit([stored], now_ms=EPOCH_MS, after=[bad])
        assert [] == world.database.look("SELECT * FROM cache_segments")
        world.database.failures.calls.clear()
        await world.store.commit([stored], now_ms=EPOCH_MS)
        assert {"batch": 1} == world.database.failures.calls
        [row] = world.database.look("SELECT * FROM cache_metadata")
        assert (stored.key, 1, 600, len(stored.data)) == (
            row["object_key"],
            row["points"],
            row["samples"],
            row["stored_bytes"],
        )


@in_virtual_time
async def test_a_purge_before_the_commit_wins() -> None:
    """What was fetched before a purge is not made known after it."""
    async with World() as world:
        stored = await world.store.put(made(fold("a", 600)))
        await world.index.purge("site", None, KNOWN, now_ms=EPOCH_MS + 5)
        await world.store.commit([stored], now_ms=EPOCH_MS + 10)
        assert [] == await world.index.find("site", ["a"], KNOWN)
        assert [] == world.database.look("SELECT 1 FROM cache_segments")
