"""The rows of blocks: replaced all at once, or not at all."""

from __future__ import annotations

import msgspec
import pytest

from building_vitals.blocks.blocks_table import Blocks, StoredBlock
from building_vitals.cache.block_rows import Mark
from building_vitals.ranges import Range
from fakes.database import FakeDatabase

NOW_MS = 150


def block(key: str, known: Range, fetched_ms: int = 100) -> StoredBlock:
    """Return a block that has been stored."""
    return StoredBlock(key, "etag", known, 0, fetched_ms, 5, 50, 500, 300, 400, 100, 7)


class Shelf:
    """A database with two blocks of a site."""

    def __init__(self, database: FakeDatabase) -> None:
        self.database = database
        self.blocks = Blocks(database)
        self.made = block("made", Range(0, 20))

    async def fill(self) -> None:
        """Make the blocks known."""
        await self.blocks.insert("hq", block("a", Range(0, 10), 90), now_ms=NOW_MS)
        await self.blocks.insert("hq", block("b", Range(10, 20)), now_ms=NOW_MS)
        await self.blocks.insert("other", block("c", Range(0, 10)), now_ms=NOW_MS)

    async def replace(self, marks: tuple[Mark, ...] = (), now_ms: int = 200) -> bool:
        """Put a block in the place of both."""
        parts = [each for each in await self.blocks.of_site("hq") if each.row.key in "ab"]
        return await self.blocks.replace("hq", self.made, parts, marks, now_ms=now_ms)

    async def keys(self) -> list[str]:
        """Return the keys of the blocks that are read."""
        return [each.row.key for each in await self.blocks.of_site("hq")]


async def test_blocks_give_way_to_the_one_they_became() -> None:
    """It is read, they no longer are, and a second time nothing happens."""
    with FakeDatabase() as database:
        shelf = Shelf(database)
        await shelf.fill()
        parts = await shelf.blocks.of_site("hq")
        assert ["a", "b"] == [each.row.key for each in parts]
        assert await shelf.replace()
        assert ["made"] == await shelf.keys()
        assert ["a", "b"] == sorted(await shelf.blocks.gone(before_ms=201, limit=10))
        assert [] == await shelf.blocks.gone(before_ms=200, limit=10)
        again = msgspec.structs.replace(shelf.made, key="again")
        assert not await shelf.blocks.replace("hq", again, parts, (), now_ms=300)
        assert ["made"] == await shelf.keys()
        assert [] == await shelf.blocks.gone(before_ms=200, limit=10)


@pytest.mark.parametrize(
    ("mark", "is_void"),
    [
        pytest.param(Mark("p", 5, 6, 90), True, id="since the oldest fetch"),
        pytest.param(Mark("", 5, 6, 400), True, id="of the site"),
        pytest.param(Mark("p", 5, 6, 89), False, id="before any fetch"),
        pytest.param(Mark("p", 20, 26, 400), False, id="beside it"),
    ],
)
async def test_a_purge_voids_what_was_made_without_it(mark: Mark, is_void: bool) -> None:
    """With the mark carried out it may be stored."""
    with FakeDatabase() as database:
        shelf = Shelf(database)
        await shelf.fill()
        database.look(
            "INSERT INTO cache_purges (site, point, start_ms, end_ms, purged_ms)"
            " VALUES ('hq', ?1, ?2, ?3, ?4)",
            *msgspec.structs.astuple(mark),
        )
        assert is_void is not await shelf.replace()
        if is_void:
            assert ["a", "b"] == await shelf.keys()
            found = await shelf.blocks.marks("hq", Range(0, 20), since_ms=90)
            assert [mark] == found
            assert await shelf.replace(tuple(found))
        assert ["made"] == await shelf.keys()


async def test_rows_that_are_read_are_not_deleted() -> None:
    """Whatever keys are named."""
    with FakeDatabase() as database:
        shelf = Shelf(database)
        await shelf.fill()
        await shelf.replace()
        await shelf.blocks.delete(["a", "made", "c"])
        assert {"b", "made", "c"} == await shelf.blocks.known(["a", "b", "made", "c", "nobody"])


async def test_sites_with_many_blocks_of_a_level_are_found() -> None:
    """Eight of one level; those that are gone, or were fetched later, do not count."""
    with FakeDatabase() as database:
        blocks = Blocks(database)
        for n in range(8):
            await blocks.insert("many", block(f"m{n}", Range(n, n + 1)), now_ms=NOW_MS)
            await blocks.insert("gone", block(f"g{n}", Range(n, n + 1)), now_ms=NOW_MS)
            level = msgspec.structs.replace(block(f"l{n}", Range(n, n + 1)), level=n % 2)
            await blocks.insert("levels", level, now_ms=NOW_MS)
            young = msgspec.structs.replace(block(f"y{n}", Range(n, n + 1)), fetched_ms=1000 + n)
            await blocks.insert("young", young, now_ms=NOW_MS)
        await blocks.drop("gone", now_ms=9)
        assert ["many"] == await blocks.sites_with_many(before_ms=1006)
        assert ["many", "young"] == sorted(await blocks.sites_with_many(before_ms=1007))
        assert 7 == len(await blocks.of_site("young", before_ms=1006))
        assert 8 == len(await blocks.of_site("young"))


async def test_a_block_that_covers_older_ones_takes_their_place() -> None:
    """Those that lie wholly within its range and were not fetched after it; of this site alone."""
    shelf = Shelf(FakeDatabase())
    await shelf.fill()
    await shelf.blocks.insert("hq", block("newer", Range(2, 4), 101), now_ms=NOW_MS)
    await shelf.blocks.insert("hq", block("wider", Range(5, 21), 60), now_ms=NOW_MS)
    await shelf.blocks.insert("hq", block("all", Range(0, 20), 100), now_ms=NOW_MS)
    assert {"newer", "wider", "all"} == set(await shelf.keys())
    [gone] = shelf.database.look(
        "SELECT group_concat(object_key) AS keys FROM site_blocks WHERE gone_ms = 150"
    )
    assert {"a", "b"} == set(gone["keys"].split(","))
    assert ["c"] == [each.row.key for each in await shelf.blocks.of_site("other")]


async def test_what_some_become_was_read_when_one_of_them_was() -> None:
    """The last access is carried over, and whether something was fetched once."""
    shelf = Shelf(FakeDatabase())
    await shelf.fill()
    shelf.database.connection.execute(
        "UPDATE site_blocks SET last_access_ms = 77, is_once = 1 WHERE object_key = 'b'"
    )
    places = await shelf.blocks.of_site("hq")
    assert {"a": False, "b": True} == {each.row.key: each.row.is_once for each in places}
    shelf.made = msgspec.structs.replace(shelf.made, is_once=True)
    assert await shelf.replace()
    [row] = shelf.database.look("SELECT * FROM site_blocks WHERE object_key = 'made'")
    assert (77, 1) == (row["last_access_ms"], row["is_once"])
