"""Bodies made of stored pieces, some at a time."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest

from builders import every, span, stored
from building_vitals.answers.answer import CacheReport
from building_vitals.answers.body import AnswerCut, ByteSource, batches, body, encoded
from building_vitals.answers.formats.encoder import Encoder
from building_vitals.answers.formats.registry import Format, encoder_for
from building_vitals.answers.pieces import PointPieces, resolve
from building_vitals.answers.stream_limit import WIDE_BYTES, WIDE_MAX, StreamLimit
from building_vitals.cache.coverage import Cover, cover
from building_vitals.cache.segments import Piece
from building_vitals.cache.store import LostObjects
from building_vitals.ranges import Range
from building_vitals.upkeep import STREAM_MS_MAX
from fakes.virtual_time import in_virtual_time
from fakes.world import World

WIDE = WIDE_BYTES


def piece(stored_bytes: int) -> Piece:
    """Return a piece of so many bytes, of an object of its own."""
    return Piece(f"k{stored_bytes}", "", 0, stored_bytes, 0, 0, 0, 0)


def drawn(parts: list[PointPieces]) -> list[str]:
    """Return each batch as text: `(` where a point begins, bytes of windows, `)` where it ends."""
    return [
        " ".join(
            ("(" if each.begins else "")
            + (str(each.window.stored_bytes) if each.window else "")
            + ("" if each.is_last else "..")
            + (")" if each.ends else "")
            for each in batch
        )
        for batch in batches(parts)
    ]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param([], [""], id="no points"),
        pytest.param([[]], ["()"], id="a point without data"),
        pytest.param([[1, 2], [3]], ["(1 2) (3)"], id="all at once"),
        pytest.param([[2 * WIDE]], [f"({2 * WIDE})"], id="a whole answer is one read"),
        pytest.param([[WIDE, WIDE, 1]], [f"({WIDE}", f"{WIDE}", "1)"], id="within a point"),
        pytest.param([[WIDE], [WIDE], [1]], [f"({WIDE})", f"({WIDE})", "(1)"], id="between points"),
        pytest.param([[5, WIDE, WIDE], []], ["(5", f"{WIDE}", f"{WIDE}) ()"], id="before a point"),
        pytest.param(
            [[1, 2 * WIDE + 7, 2]],
            ["(1", f"{WIDE}..", f"{WIDE}..", "7 2)"],
            id="a piece larger than that",
        ),
    ],
)
def test_batches(sizes: list[list[int]], expected: list[str]) -> None:
    """Pieces in order, as many as go into a batch; large ones in windows; every point once."""
    parts = [PointPieces(str(n), list(map(piece, each))) for n, each in enumerate(sizes)]
    assert expected == drawn(parts)


def test_windows_are_as_small_as_the_isolate_is_busy() -> None:
    """What is read at a time is asked for anew: others may have come in the middle of a piece."""
    sizes = iter([2, 2, 2, 7, 7, 7])
    found = batches([PointPieces("p", [piece(5), piece(9)])], lambda: next(sizes, 7))
    windows = [each.window for batch in found for each in batch if each.window]
    assert 14 == sum(each.stored_bytes for each in windows)
    assert 2 == windows[0].stored_bytes
    assert 7 == windows[-2].stored_bytes + windows[-1].stored_bytes - 2


@in_virtual_time
async def test_nothing_is_read_ahead_where_many_answers_are_under_way() -> None:
    """What waits for a slow reader is small then."""
    held = stored("0-50", every(5, Range(0, 50)), key="k")
    reads: list[int] = []
    async with World() as world:
        info = await world.objects.put("k", held.blob, content_type="t")
        segment = msgspec.structs.replace(held.segment, object_etag=info.object_etag)
        [part] = resolve([cover("p", [segment], span("0-50"))])
        limit = StreamLimit()
        places = [limit.enter(world.clock.now_ms()) for _ in range(WIDE_MAX + 1)]
        for place in places[-2:]:
            parts = [PointPieces(str(n), part.pieces) for n in range(3 * WIDE // len(held.blob))]
            source = ByteSource(parts, {}, world.store, place)
            before = world.objects.failures.calls["get"]
            chunks = body(
                source, *made(source, encoder_for("csv", 1, gzip=False)), _meta, world.clock
            )
            assert await anext(chunks)
            await world.clock.sleep(1)
            reads.append(world.objects.failures.calls["get"] - before)
            assert isinstance(chunks, AsyncGenerator)
            await chunks.aclose()
        assert [1, 2] == reads
        assert limit.is_busy is False


@pytest.mark.parametrize("format", ["json", "msgpack"])
@in_virtual_time
async def test_what_was_stored_before_is_counted(format: Format) -> None:
    """Samples of objects at hand came with this answer, those of the bucket from the cache."""
    known, fresh = every(5, Range(0, 50)), every(5, Range(50, 90))
    one, other = stored("0-50", known, key="known"), stored("50-90", fresh, key="fresh")
    async with World() as world:
        info = await world.objects.put("known", one.blob, content_type="t")
        read = msgspec.structs.replace(one.segment, object_etag=info.object_etag)
        found = cover("p", [read, other.segment], span("7-90"))
        parts = resolve([found, Cover("q", [], [])])
        source = ByteSource(parts, {"fresh": other.blob}, world.store)
        report = CacheReport("partial")
        encoder = encoder_for(format, 2, gzip=True)
        data = b"".join(
            [
                each
                async for each in body(source, *made(source, encoder, report), _meta, world.clock)
            ]
        )
        assert (len(known) - 2, len(known) + len(fresh) - 2) == (
            report.samples_from_cache,
            encoder.samples,
        )
        if format == "json":
            document = json.loads(gzip.decompress(data))
            assert [16, 0] == [each["count"] for each in document["data"].values()]
            assert {"samples": 16} == document["_meta"]


def made(
    source: ByteSource, encoder: Encoder, report: CacheReport | None = None
) -> tuple[Encoder, AsyncGenerator[bytes]]:
    """Return an encoder, and what comes out of it."""
    return encoder, encoded(source, encoder, report or CacheReport("hit"))


def _meta(count: int) -> dict[str, Any]:
    return {"samples": count}


@in_virtual_time
async def test_a_lost_object_is_named_and_nothing_is_left_running() -> None:
    """The answer can be planned again, without that object."""
    async with World() as world:
        held = stored("0-50", every(5, Range(0, 50)), key="gone")
        source = ByteSource(resolve([cover("p", [held.segment], span("0-50"))]), {}, world.store)
        encoder = encoder_for("json", 1, gzip=True)
        with pytest.raises(LostObjects) as caught:
            [each async for each in body(source, *made(source, encoder), _meta, world.clock)]
        assert ["gone"] == list(caught.value.keys)
        await world.settle()
        assert {asyncio.current_task()} == asyncio.all_tasks()


@in_virtual_time
async def test_a_client_that_reads_too_slowly_is_cut_off() -> None:
    """Objects are kept for those who read from them, but not for ever."""
    async with World() as world:
        held = stored("0-50", every(5, Range(0, 50)), key="k")
        parts = resolve([cover("p", [held.segment], span("0-50"))])
        source = ByteSource(parts, {"k": held.blob}, world.store)
        encoder = encoder_for("csv", 1, gzip=False)
        stream = body(source, *made(source, encoder), _meta, world.clock)
        await anext(stream)
        await world.clock.sleep(STREAM_MS_MAX)
        with pytest.raises(AnswerCut):
            await anext(stream)
