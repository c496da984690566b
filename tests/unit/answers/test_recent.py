"""Answers that are given again out of the isolate's memory."""

from __future__ import annotations

import gzip
import json
from typing import Any

from building_vitals.answers.formats.spliced_json import (
    SEALED_ROOM_BYTES,
    SealedBody,
    SealedJson,
    SplicedJson,
)
from building_vitals.answers.pieces import PointPieces, object_keys
from building_vitals.answers.recent import RecentAnswers
from building_vitals.cache.look_ups import LookUps
from building_vitals.cache.segments import Piece
from building_vitals.instants import DAY_MS
from building_vitals.ranges import Range
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World, read_body, read_json

DAY = Range(EPOCH_MS - 9 * DAY_MS, EPOCH_MS - 8 * DAY_MS)


def sealed(text: bytes = b'{"data":{}') -> SealedJson:
    """Return an answer without points, sealed."""
    encoder = SplicedJson()
    encoder._glue = text
    encoder._flush()
    return encoder.seal(encoder.take())


def ended(kept: SealedJson, meta: dict[str, Any]) -> SealedBody:
    """Return the answer with an end."""
    encoder = SplicedJson.resumed(kept)
    encoder._glue = b""
    return SealedBody(kept, encoder.finish(meta))


def test_answers_that_share_bytes_have_their_own_ends() -> None:
    """Whichever is looked at, and however often, has its own `_meta` and length."""
    kept = sealed(b'{"data":{')
    bodies = [ended(kept, {"requestId": "x" * n}) for n in (3, 40, 1)]
    for _ in range(2):
        for n, body in zip((3, 40, 1), bodies, strict=True):
            whole = bytes(body.view())
            assert len(whole) == len(body) == len(bytes(body))
            assert "x" * n == json.loads(gzip.decompress(whole))["_meta"]["requestId"]


def test_an_end_that_has_no_room_is_put_behind_a_copy() -> None:
    """A long end must neither be cut nor make the kept bytes grow."""
    kept = sealed(b'{"data":{')
    size = len(kept.data)
    body = ended(kept, {"requestId": "x" * 2 * SEALED_ROOM_BYTES})
    assert 2 * SEALED_ROOM_BYTES == len(
        json.loads(gzip.decompress(bytes(body)))["_meta"]["requestId"]
    )
    assert len(bytes(body)) == len(body)
    assert size == len(kept.data)


def test_the_answer_used_least_recently_goes_first() -> None:
    """What is kept stays within its bytes."""
    recent = RecentAnswers(LookUps(), bytes_max=3 * len(sealed().data))
    for name in "abcd":
        recent.keep(name, sealed())
    assert ["b", "c", "d"] == list(recent._sealed)
    assert 3 * len(sealed().data) == recent._bytes


def test_touched_objects_are_bounded() -> None:
    """Each object counts once, and of very many the first hundred."""
    fields: dict[str, Any] = dict.fromkeys(Piece.__struct_fields__, 0)
    pieces = [Piece(**{**fields, "key": f"k{n // 2}", "sliver": None}) for n in range(600)]
    assert tuple(f"k{n}" for n in range(100)) == object_keys([PointPieces("a", pieces)])


@in_virtual_time
async def test_a_recent_answer_needs_no_binding() -> None:
    """Within a second, the same answer comes from memory; after that, it is looked up."""
    async with World() as world:
        asked = world.question(["a", "b"], DAY)
        recent = world.recent
        await world.ask(["a", "b"], DAY)
        await world.settle()
        assert recent.answer(asked, world.clock.now_ms()) is None
        hit = await world.ask(["a", "b"], DAY)
        answer = recent.answer(asked, world.clock.now_ms())
        assert answer is not None
        got = read_json(answer, await read_body(answer), is_gzip=True)
        assert (hit.samples, hit.answer_etag, "hit") == (
            got.samples,
            got.answer_etag,
            got.report.status,
        )
        assert got.report.samples_from_cache == sum(map(len, got.samples.values()))
        matching = world.question(
            ["a", "b"], DAY, matches=lambda answer_etag: answer_etag == hit.answer_etag
        )
        not_modified = recent.answer(matching, world.clock.now_ms())
        assert not_modified is not None
        assert b"" == not_modified.first
        await world.clock.sleep(1001)
        assert recent.answer(asked, world.clock.now_ms()) is None
