"""Datasets in a bucket: stored small, given for a while, counted and cleaned up page by page."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from typing import Any

import cramjam
import pytest

from building_vitals.datasets.cache import R2CacheService
from building_vitals.datasets.dataset import DatasetKey
from building_vitals.errors import Unavailable
from building_vitals.platform.compression import Brotli
from building_vitals.ports import ObjectPage
from building_vitals.ranges import Range
from fakes.object_store import FakeObjectStore
from fakes.virtual_time import EPOCH_MS, LoopClock, in_virtual_time

KEY = DatasetKey("site", ("a", "b"), Range(EPOCH_MS - 86_400_000, EPOCH_MS))
ANSWER = {"data": {"a": [[n, 20.5 + n % 7] for n in range(3000)]}, "unit": "°F ☃"}
NOISE = random.Random(1).randbytes(4000)


class Shelf:
    """A bucket, a clock, and the service on both."""

    def __init__(self, **options: Any) -> None:
        self.clock = LoopClock()
        self.objects = FakeObjectStore(self.clock.now_ms)
        options.setdefault("compressor", Brotli())
        self.service = R2CacheService(self.objects, self.clock, **options)

    @property
    def stored(self) -> bytes:
        """The bytes of the only object."""
        [content] = self.objects.contents.values()
        return content


@in_virtual_time
async def test_what_was_put_is_given_back() -> None:
    """JSON comes back as it was, gzipped in between, with all that is known of it."""
    shelf = Shelf()
    info = await shelf.service.put(KEY, ANSWER, samples=3000)
    found = await shelf.service.get(KEY)
    assert found is not None
    assert ANSWER == found.json() == json.loads(gzip.decompress(shelf.stored))
    assert ("application/json", "gzip", 3000) == (
        found.content_type,
        found.content_encoding,
        found.samples,
    )
    size = len(found.content)
    assert {
        "points": "2",
        "samples": "3000",
        "originalSize": str(size),
        "compressedSize": str(len(shelf.stored)),
        "compressionRatio": f"{size / len(shelf.stored):.3f}",
        "generatedAt": "2026-01-01T00:00:00.000Z",
        "expiresAt": "2026-01-01T01:00:00.000Z",
    } == {name: text for name, text in info.metadata.items() if name != "crc32"}
    assert ("application/json", "gzip") == (info.content_type, info.content_encoding)
    assert info.key == KEY.object_key


@in_virtual_time
async def test_bytes_are_taken_as_they_are() -> None:
    """Bytes come back as bytes, with the type they were given or that of their format."""
    shelf = Shelf()
    key = DatasetKey("site", ("a",), KEY.time_range, "csv")
    await shelf.service.put(key, b"time,point,value\r\n" * 50)
    found = await shelf.service.get(key)
    assert found is not None
    assert b"time,point,value\r\n" * 50 == found.content
    assert "text/csv; charset=utf-8" == found.content_type
    await shelf.service.put(key, b"", content_type="text/plain")
    found = await shelf.service.get(key)
    assert found is not None
    assert (b"", "text/plain", None) == (
        found.content,
        found.content_type,
        found.content_encoding,
    )


@in_virtual_time
async def test_only_the_very_same_question_finds_it() -> None:
    """Other points, ranges, formats and sites are other datasets."""
    shelf = Shelf()
    await shelf.service.put(KEY, ANSWER)
    assert await shelf.service.exists(DatasetKey("site", ("b", "a"), KEY.time_range))
    start_ms, end_ms = KEY.time_range
    for other in (
        DatasetKey("site", ("a",), KEY.time_range),
        DatasetKey("site", ("a,b",), KEY.time_range),
        DatasetKey("site", ("a", "b"), Range(start_ms + 1, end_ms)),
        DatasetKey("site", ("a", "b"), Range(start_ms, end_ms - 43_200_000)),
        DatasetKey("site", ("a", "b"), KEY.time_range, "csv"),
        DatasetKey("site2", ("a", "b"), KEY.time_range),
    ):
        assert not await shelf.service.exists(other)
        assert await shelf.service.get(other) is None


@pytest.mark.parametrize(
    ("content", "options", "encoding", "expected"),
    [
        pytest.param(ANSWER, {}, "gzip", "gzip", id="gzip is the default"),
        pytest.param(ANSWER, {}, "br", "br", id="brotli saves more"),
        pytest.param(NOISE, {}, "br", None, id="noise is not compressed"),
        pytest.param(NOISE, {}, "gzip", None, id="noise by gzip neither"),
        pytest.param(ANSWER, {"compression": False}, "br", None, id="switched off"),
        pytest.param(ANSWER, {"compressor": None}, "br", "gzip", id="brotli is not there"),
    ],
)
@in_virtual_time
async def test_the_smallest_is_kept(
    content: Any, options: dict[str, Any], encoding: str, expected: str | None
) -> None:
    """Compression is kept where it saves space, brotli where it saves more than gzip."""
    shelf = Shelf(**options)
    info = await shelf.service.put(KEY, content, encoding=encoding)
    found = await shelf.service.get(KEY)
    assert found is not None
    assert expected == info.content_encoding == found.content_encoding
    assert content == (found.content if isinstance(content, bytes) else found.json())
    assert len(shelf.stored) == found.stored_bytes
    if expected == "br":
        assert found.content == bytes(cramjam.brotli.decompress(shelf.stored))
        assert len(shelf.stored) < len(gzip.compress(found.content, 6))


@in_virtual_time
async def test_brotli_is_dropped_where_gzip_is_smaller() -> None:
    """What was asked for is not kept for its own sake."""

    class Puffed:
        encoding = "br"

        def compress(self, data: bytes) -> bytes:
            return data + b"puff"

        def decompress(self, data: bytes, size: int) -> bytes:
            return data[:size]

    shelf = Shelf(compressor=Puffed())
    assert "gzip" == (await shelf.service.put(KEY, ANSWER, encoding="br")).content_encoding


@in_virtual_time
async def test_what_has_expired_is_not_given() -> None:
    """A dataset is given until its time is over, to the millisecond, and kept longer."""
    shelf = Shelf(default_ttl=10, max_cache_age=60)
    await shelf.service.put(KEY, ANSWER)
    await asyncio.sleep(9.999)
    assert await shelf.service.exists(KEY)
    assert await shelf.service.get(KEY) is not None
    await asyncio.sleep(0.001)
    assert not await shelf.service.exists(KEY)
    assert await shelf.service.get(KEY) is None
    assert 1 == len(shelf.objects.infos)
    await shelf.service.put(KEY, ANSWER, ttl=30)
    await asyncio.sleep(29)
    assert await shelf.service.exists(KEY)
    await shelf.service.put(KEY, ANSWER, ttl=3600)
    await asyncio.sleep(60)
    assert not await shelf.service.exists(KEY)


@in_virtual_time
async def test_another_configuration_takes_effect_at_once() -> None:
    """What was put under a long time to live expires under today's short one."""
    shelf = Shelf(default_ttl=3600)
    await shelf.service.put(KEY, ANSWER)
    await asyncio.sleep(11)
    assert await shelf.service.exists(KEY)
    shorter = R2CacheService(shelf.objects, shelf.clock, default_ttl=10)
    assert not await shorter.exists(KEY)


@pytest.mark.parametrize("encoding", ["gzip", "br"])
@in_virtual_time
async def test_what_is_not_what_was_put_is_not_given(encoding: str) -> None:
    """Spoilt, cut, foreign and endless bytes are as good as none."""
    shelf = Shelf()
    await shelf.service.put(KEY, ANSWER, encoding=encoding)
    good = shelf.stored
    bomb = b"0" * 50_000_000
    packed = gzip.compress(bomb) if encoding == "gzip" else bytes(cramjam.brotli.compress(bomb, 1))
    for bad in (good[:-200], good[: len(good) // 2], b"", b"{}", NOISE, packed):
        shelf.objects.contents[KEY.object_key] = bad
        assert await shelf.service.get(KEY) is None
    for position in range(0, len(good), 97):
        shelf.objects.contents[KEY.object_key] = good
        shelf.objects.spoil(KEY.object_key, position)
        found = await shelf.service.get(KEY)
        assert found is None or ANSWER == found.json()
    shelf.objects.contents[KEY.object_key] = good
    assert await shelf.service.get(KEY) is not None


@in_virtual_time
async def test_an_object_without_its_metadata_is_not_given() -> None:
    """Somebody else's object under the key is not taken for a dataset."""
    shelf = Shelf()
    for metadata in ({}, {"generatedAt": "soon", "originalSize": "1", "crc32": "1"}):
        await shelf.objects.put(
            KEY.object_key, b"{}", content_type="application/json", metadata=metadata
        )
        assert await shelf.service.get(KEY) is None
        assert not await shelf.service.exists(KEY)


@in_virtual_time
async def test_a_dataset_replaced_while_it_is_read_is_given_whole() -> None:
    """What is known of it and its bytes are of one dataset, the old one or the new one."""
    shelf = Shelf()
    await shelf.service.put(KEY, ANSWER)

    async def replace(operation: str) -> None:
        if operation == "get":
            shelf.objects.failures.before = None
            await shelf.service.put(KEY, {"new": True}, samples=1)

    shelf.objects.failures.before = replace
    found = await shelf.service.get(KEY)
    assert found is not None
    assert ({"new": True}, 1) == (found.json(), found.samples)


@in_virtual_time
async def test_what_is_deleted_is_gone() -> None:
    """Deleting twice is as good as once."""
    shelf = Shelf()
    await shelf.service.put(KEY, ANSWER)
    await shelf.service.delete(KEY)
    await shelf.service.delete(KEY)
    assert await shelf.service.get(KEY) is None
    assert {} == shelf.objects.infos


@in_virtual_time
async def test_a_bucket_that_is_down_is_unavailable() -> None:
    """No method hides that it could not ask."""
    shelf = Shelf()
    shelf.objects.failures.always("*")
    for operation in (
        shelf.service.put(KEY, ANSWER),
        shelf.service.get(KEY),
        shelf.service.exists(KEY),
        shelf.service.delete(KEY),
        shelf.service.cleanup(),
        shelf.service.get_stats(),
    ):
        with pytest.raises(Unavailable):
            await operation


async def fill(shelf: Shelf, count: int) -> None:
    """Put datasets, one a second."""
    for number in range(count):
        key = DatasetKey("site", (f"p{number}",), KEY.time_range)
        await shelf.service.put(key, b"x" * 100)
        await asyncio.sleep(1)


@pytest.mark.parametrize("page", [1000, 333], ids=["full pages", "pages cut short"])
@in_virtual_time
async def test_2500_objects_are_counted(page: int) -> None:
    """Statistics see every object, whatever the size of pages, and no other prefix."""
    shelf = Shelf()
    shelf.objects.page_objects_max = page
    await fill(shelf, 2500)
    await shelf.objects.put("timeseries/site/x.seg", b"segment", content_type="x/y")
    shelf.objects.failures.calls.clear()
    stats = await shelf.service.get_stats()
    size = sum(
        info.size for key, info in shelf.objects.infos.items() if key.startswith("datasets/")
    )
    assert (2500, size) == (stats.total_objects, stats.total_size)
    assert "2026-01-01T00:00:00.000Z" == stats.oldest_entry
    assert "2026-01-01T00:41:39.000Z" == stats.newest_entry
    assert round(250_000 / size, 3) == stats.compression_ratio
    assert -(-2500 // page) == shelf.objects.failures.calls["list"]


@in_virtual_time
async def test_nothing_is_counted_too() -> None:
    """An empty bucket has no oldest entry and no ratio."""
    stats = await Shelf().service.get_stats()
    assert (0, 0, None, None, None) == (
        stats.total_objects,
        stats.total_size,
        stats.oldest_entry,
        stats.newest_entry,
        stats.compression_ratio,
    )


@pytest.mark.parametrize("page", [1000, 333], ids=["full pages", "pages cut short"])
@pytest.mark.parametrize(
    ("max_age", "left"), [(1000, 1000), (0, 0), (100, 100), (None, 2500), (2500, 2500)]
)
@in_virtual_time
async def test_2500_objects_are_cleaned_up(page: int, max_age: int | None, left: int) -> None:
    """What is older goes, by thousands; what is younger stays, and so do other prefixes."""
    shelf = Shelf()
    shelf.objects.page_objects_max = page
    await shelf.objects.put("timeseries/site/x.seg", b"segment", content_type="x/y")
    await fill(shelf, 2500)
    shelf.objects.failures.calls.clear()
    assert 2500 - left == await shelf.service.cleanup(max_age)
    now_ms = shelf.clock.now_ms()
    kept = [key for key in shelf.objects.infos if key.startswith("datasets/")]
    assert left == len(kept)
    assert all(
        now_ms - shelf.objects.infos[key].uploaded_ms <= (max_age or 86_400) * 1000 for key in kept
    )
    assert "timeseries/site/x.seg" in shelf.objects.infos
    assert -(-(2500 - left) // 1000) == shelf.objects.failures.calls["delete"]
    assert 0 == await shelf.service.cleanup(max_age)


@in_virtual_time
async def test_a_listing_without_end_is_a_failure() -> None:
    """A cursor that leads to itself does not hang the clean-up."""

    class Endless(FakeObjectStore):
        async def list(
            self, *, prefix: str = "", cursor: str | None = None, limit: int = 1000
        ) -> ObjectPage:
            return ObjectPage([], "again")

    service = R2CacheService(Endless(), LoopClock())
    with pytest.raises(Unavailable, match="without end"):
        await service.cleanup()
