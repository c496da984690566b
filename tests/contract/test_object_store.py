"""What holds for every ObjectStore, in memory or real."""

from __future__ import annotations

import gzip
import time
from collections.abc import AsyncIterator

import pytest

from building_vitals.errors import Unavailable
from building_vitals.ports import ObjectInfo, ObjectStore

DATA = bytes(range(256)) * 40
CONTENT_TYPE = "application/octet-stream"


async def test_what_was_put_is_got(objects: ObjectStore, prefix: str) -> None:
    """Every byte comes back, and comes back again."""
    await objects.put(prefix + "a", DATA, content_type=CONTENT_TYPE)
    assert DATA == await objects.get(prefix + "a")
    assert DATA == await objects.get(prefix + "a")


async def test_nothing_is_got_from_a_key_nobody_put(objects: ObjectStore, prefix: str) -> None:
    """A missing object is None, whole or in part, and so is what is known of it."""
    assert None is await objects.get(prefix + "missing")
    assert None is await objects.get(prefix + "missing", offset=3, length=4)
    assert None is await objects.head(prefix + "missing")
    assert None is await objects.read(prefix + "missing")


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        pytest.param(0, 10, DATA[:10], id="from the start"),
        pytest.param(300, 17, DATA[300:317], id="inside"),
        pytest.param(300, None, DATA[300:], id="to the end"),
        pytest.param(len(DATA) - 5, 5, DATA[-5:], id="the last bytes"),
        pytest.param(0, len(DATA), DATA, id="all of it"),
        pytest.param(len(DATA) - 5, 6, None, id="one byte too many"),
        pytest.param(0, len(DATA) + 1, None, id="longer than all of it"),
        pytest.param(len(DATA), 1, None, id="behind the end"),
        pytest.param(len(DATA), None, None, id="from the end on"),
        pytest.param(len(DATA) + 9, None, None, id="from far behind the end on"),
    ],
)
async def test_a_part_is_got_when_it_lies_within(
    objects: ObjectStore, prefix: str, offset: int, length: int | None, expected: bytes | None
) -> None:
    """A part is exactly as long as asked, or nothing."""
    await objects.put(prefix + "a", DATA, content_type=CONTENT_TYPE)
    assert expected == await objects.get(prefix + "a", offset=offset, length=length)


async def test_an_object_may_be_empty(objects: ObjectStore, prefix: str) -> None:
    """Zero bytes are an object, not nothing."""
    info = await objects.put(prefix + "empty", b"", content_type=CONTENT_TYPE)
    assert 0 == info.size
    assert b"" == await objects.get(prefix + "empty")
    assert b"" == await objects.get(prefix + "empty", object_etag=info.object_etag)
    assert None is await objects.get(prefix + "empty", offset=0, length=1)


async def test_another_entity_tag_is_another_object(objects: ObjectStore, prefix: str) -> None:
    """What was overwritten is not got under its old tag; the new tag gets the new bytes."""
    old = await objects.put(prefix + "a", DATA, content_type=CONTENT_TYPE)
    assert DATA[5:9] == await objects.get(
        prefix + "a", offset=5, length=4, object_etag=old.object_etag
    )
    new = await objects.put(prefix + "a", DATA[::-1], content_type=CONTENT_TYPE)
    assert old.object_etag != new.object_etag
    assert None is await objects.get(prefix + "a", object_etag=old.object_etag)
    assert None is await objects.get(prefix + "a", offset=5, length=4, object_etag=old.object_etag)
    assert DATA[::-1][5:9] == await objects.get(
        prefix + "a", offset=5, length=4, object_etag=new.object_etag
    )


async def test_all_is_known_of_an_object(objects: ObjectStore, prefix: str) -> None:
    """Putting, looking up and listing tell the same: size, tag, time, types and metadata."""
    before_ms = int(time.time() * 1000) - 60_000
    metadata = {"points": "3", "note": "17.5 % at »Level 01« ☃", "empty": "", "originalSize": "9"}
    info = await objects.put(
        prefix + "a",
        gzip.compress(DATA),
        content_type="application/json",
        content_encoding="gzip",
        metadata=metadata,
    )
    assert prefix + "a" == info.key
    assert len(gzip.compress(DATA)) == info.size
    assert ("application/json", "gzip") == (info.content_type, info.content_encoding)
    assert metadata == info.metadata
    assert info == await objects.head(prefix + "a")
    assert (info, gzip.compress(DATA)) == await objects.read(prefix + "a")
    assert [info] == (await objects.list(prefix=prefix)).objects
    assert isinstance(info, ObjectInfo)
    assert info.object_etag
    if not hasattr(objects, "failures"):
        assert before_ms < info.uploaded_ms < before_ms + 600_000


async def test_types_and_metadata_may_be_missing(objects: ObjectStore, prefix: str) -> None:
    """Without an encoding and metadata there are none, not texts that say so."""
    await objects.put(prefix + "a", DATA, content_type=CONTENT_TYPE)
    info = await objects.head(prefix + "a")
    assert info is not None
    assert (CONTENT_TYPE, None, {}) == (info.content_type, info.content_encoding, info.metadata)


async def test_bytes_stay_as_they_are_whatever_their_encoding(
    objects: ObjectStore, prefix: str
) -> None:
    """Nobody decompresses what is stored compressed."""
    packed = gzip.compress(DATA)
    await objects.put(
        prefix + "a", packed, content_type="application/json", content_encoding="gzip"
    )
    assert packed == await objects.get(prefix + "a")
    assert packed[3:9] == await objects.get(prefix + "a", offset=3, length=6)


async def test_listing_goes_on_from_page_to_page(objects: ObjectStore, prefix: str) -> None:
    """25 objects come in three pages of at most 10, in order, each once; the last has no cursor."""
    keys = [f"{prefix}{n:02}" for n in range(25)]
    for key in reversed(keys):
        await objects.put(key, b"x", content_type=CONTENT_TYPE, metadata={"key": key})
    await objects.put(prefix[:-1], b"not below the prefix", content_type=CONTENT_TYPE)
    pages = [await objects.list(prefix=prefix, limit=10)]
    while (cursor := pages[-1].cursor) is not None:
        pages.append(await objects.list(prefix=prefix, cursor=cursor, limit=10))
    assert [10, 10, 5] == [len(page.objects) for page in pages]
    assert keys == [info.key for page in pages for info in page.objects]
    assert keys == [info.metadata["key"] for page in pages for info in page.objects]


async def test_a_full_last_page_is_the_last(objects: ObjectStore, prefix: str) -> None:
    """A page that ends with the last object has no cursor, or one that leads to nothing."""
    for n in range(4):
        await objects.put(f"{prefix}{n}", b"x", content_type=CONTENT_TYPE)
    page = await objects.list(prefix=prefix, limit=4)
    assert 4 == len(page.objects)
    if page.cursor is not None:
        assert ([], None) == tuple(await objects.list(prefix=prefix, cursor=page.cursor, limit=4))


async def test_a_listing_may_be_empty(objects: ObjectStore, prefix: str) -> None:
    """Nothing below a prefix is an empty page."""
    assert ([], None) == tuple(await objects.list(prefix=prefix))


async def test_keys_are_listed_by_their_bytes(objects: ObjectStore, prefix: str) -> None:
    """Order is that of UTF-8."""
    names = ["Z", "a", "a/b", "a0", "é", "☃", "😀"]
    for name in names[::-1]:
        await objects.put(prefix + name, b"x", content_type=CONTENT_TYPE)
    found = (await objects.list(prefix=prefix)).objects
    assert [prefix + name for name in sorted(names, key=str.encode)] == [each.key for each in found]


async def test_many_are_deleted_at_once(objects: ObjectStore, prefix: str) -> None:
    """Those named vanish, others stay, those that are not there do not matter."""
    for n in range(6):
        await objects.put(f"{prefix}{n}", b"x", content_type=CONTENT_TYPE)
    missing = [f"{prefix}missing-{n}" for n in range(1500)]
    await objects.delete([f"{prefix}1", *missing, f"{prefix}4"])
    left = (await objects.list(prefix=prefix)).objects
    assert [f"{prefix}{n}" for n in (0, 2, 3, 5)] == [info.key for info in left]
    await objects.delete([])
    await objects.delete([f"{prefix}1"])


@pytest.mark.parametrize(
    ("key", "metadata"),
    [
        pytest.param("k" * 1025, {}, id="key too long"),
        pytest.param("key", {"m": "x" * 8192}, id="metadata too large"),
    ],
)
async def test_what_is_too_large_is_unavailable(
    objects: ObjectStore, prefix: str, key: str, metadata: dict[str, str]
) -> None:
    """What the bucket refuses is Unavailable, and nothing is stored."""
    name = key if len(key) > 1024 else prefix + key
    with pytest.raises(Unavailable):
        await objects.put(name, b"x", content_type=CONTENT_TYPE, metadata=metadata)
    assert [] == (await objects.list(prefix=prefix)).objects


async def test_keys_and_metadata_reach_their_limits(objects: ObjectStore, prefix: str) -> None:
    """A key of 1,024 bytes and 8,192 bytes of metadata are taken."""
    key = prefix + "k" * (1024 - len(prefix))
    await objects.put(key, b"x", content_type=CONTENT_TYPE, metadata={"m": "x" * 8191})
    assert b"x" == await objects.get(key)


async def test_a_stream_is_stored_whole(objects: ObjectStore, prefix: str) -> None:
    """What came in chunks is one object, with all that is told of it."""
    data = DATA * 60
    metadata = {"samples": "17"}
    info = await objects.put_stream(
        prefix + "s",
        _chunks(data[:1], data[1:300_000], data[300_000:]),
        len(data),
        content_type="application/json",
        content_encoding="gzip",
        metadata=metadata,
    )
    assert (prefix + "s", len(data)) == (info.key, info.size)
    assert info == await objects.head(prefix + "s")
    assert ("application/json", "gzip", metadata) == (
        *(info.content_type, info.content_encoding, info.metadata),
    )
    assert data == await objects.get(prefix + "s")


async def test_a_stream_that_fails_stores_nothing(objects: ObjectStore, prefix: str) -> None:
    """What the chunks raise is raised, and there is no part of an object."""
    with pytest.raises(ValueError, match="no more"):
        await objects.put_stream(
            prefix + "s", _chunks(DATA, None), 2 * len(DATA), content_type=CONTENT_TYPE
        )
    assert None is await objects.head(prefix + "s")


@pytest.mark.parametrize("announced", [len(DATA) - 1, len(DATA) + 1])
async def test_a_stream_of_another_length_is_refused(
    objects: ObjectStore, prefix: str, announced: int
) -> None:
    """Neither more nor fewer bytes than were announced make an object."""
    with pytest.raises(Unavailable):
        await objects.put_stream(prefix + "s", _chunks(DATA), announced, content_type=CONTENT_TYPE)
    assert None is await objects.head(prefix + "s")


@pytest.mark.parametrize("size", [1, 1_000, 5_242_880, 5_242_881, 12_000_000])
async def test_parts_become_one_object(objects: ObjectStore, prefix: str, size: int) -> None:
    """However many there are, all bytes are there, in order, with what is told of them."""
    data = (DATA * (size // len(DATA) + 1))[:size]
    metadata = {"site": "hq"}
    info = await objects.put_parts(
        prefix + "p",
        _chunks(*(data[start : start + 1_500_000] for start in range(0, size, 1_500_000))),
        content_type="application/json",
        metadata=metadata,
    )
    assert (prefix + "p", size) == (info.key, info.size)
    assert info == await objects.head(prefix + "p")
    assert ("application/json", metadata) == (info.content_type, info.metadata)
    assert data == await objects.get(prefix + "p", object_etag=info.object_etag)
    assert data[size // 2 :] == await objects.get(
        prefix + "p", offset=size // 2, length=size - size // 2, object_etag=info.object_etag
    )


@pytest.mark.parametrize("before", [0, 4])
async def test_parts_that_fail_store_nothing(
    objects: ObjectStore, prefix: str, before: int
) -> None:
    """What the chunks raise is raised, before the first part has gone and after."""
    chunks = [DATA * 200] * before
    with pytest.raises(ValueError, match="no more"):
        await objects.put_parts(prefix + "p", _chunks(*chunks, None), content_type=CONTENT_TYPE)
    assert None is await objects.head(prefix + "p")


async def test_refused_parts_are_told(objects: ObjectStore, prefix: str) -> None:
    """A bucket that refuses the object ends the call."""
    with pytest.raises(Unavailable):
        await objects.put_parts(
            prefix + "k" * 1025, _chunks(*[DATA * 200] * 5), content_type=CONTENT_TYPE
        )


async def test_an_open_object_gives_all_its_bytes(objects: ObjectStore, prefix: str) -> None:
    """Only the object of that tag is opened."""
    info = await objects.put(prefix + "a", DATA, content_type=CONTENT_TYPE)
    found = await objects.open(prefix + "a", object_etag=info.object_etag)
    assert found is not None
    assert (len(DATA), DATA) == (found.size, found.body)
    assert None is await objects.open(prefix + "a", object_etag="0" * 32)
    assert None is await objects.open(prefix + "missing", object_etag=info.object_etag)


async def _chunks(*chunks: bytes | None) -> AsyncIterator[bytes]:
    for chunk in chunks:
        if chunk is None:
            raise ValueError("no more chunks")
        yield chunk


async def test_a_refused_stream_is_told(objects: ObjectStore, prefix: str) -> None:
    """A bucket that refuses the object ends the call, however much of it has not been taken."""
    with pytest.raises(Unavailable):
        await objects.put_stream(
            prefix + "k" * 1025,
            _chunks(DATA * 100, DATA * 100),
            len(DATA) * 200,
            content_type=CONTENT_TYPE,
        )
