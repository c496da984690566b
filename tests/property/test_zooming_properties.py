"""What levels give of a point is what its samples would, however it was cut and stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import Samples, stored
from building_vitals.answers.body import ByteSource
from building_vitals.answers.formats.encoder import BodyOptions
from building_vitals.answers.formats.json_text import TextJson
from building_vitals.answers.pieces import PointPieces
from building_vitals.answers.zoom import ZoomPoint, choices
from building_vitals.cache import joining, level_joining, leveling, zooming
from building_vitals.cache.blobs import Blobs
from building_vitals.cache.need import WHOLE_SHARE
from building_vitals.cache.segments import Level, Piece, Segment
from building_vitals.cache.zooming import zoom_plan
from building_vitals.ranges import Range
from building_vitals.series import levels
from building_vitals.series.frames import frame_text
from fakes.brute_levels import HOUR_MS, MINUTE_MS, NAMES, Plain, finest, level

START_MS = 20_000 * 24 * HOUR_MS
NUMBERS = st.integers(-9, 9).map(json.dumps)
STATES = st.sampled_from(["null", "true", '"on"', '"],["', "[1]"])


class Kept(NamedTuple):
    """Parts of a point that are known, the bytes they lie in, and the samples that are in them."""

    parts: list[tuple[Segment, Range]]
    blobs: Blobs
    plain: list[Plain]


def leveled(segment: Segment, blob: bytes) -> tuple[bytes, Segment]:
    """Return a segment with levels whose frames are small."""
    with (
        patch.object(leveling, "LEVELED_BYTES_MIN", 0),
        patch.object(levels, "FRAME_SAMPLES_MIN", 5),
    ):
        data, [found] = asyncio.run(leveling.with_levels(blob, [segment]))
    return data, found


@st.composite
def points(draw: st.DrawFn) -> Kept:
    """Draw a point: parts of segments that may reach beyond them, with levels or without."""
    step_ms = draw(st.sampled_from([MINUTE_MS, MINUTE_MS, 2 * MINUTE_MS + 1, HOUR_MS]))
    values = draw(st.sampled_from([NUMBERS, NUMBERS, STATES, NUMBERS | STATES]))
    count = draw(st.sampled_from([1, 3, 200, 240, 277, 320]))
    rest = draw(st.lists(values, min_size=8, max_size=8))
    plain = [(START_MS + step_ms * n + (n * 37 % 11) * 1000, rest[n * n % 8]) for n in range(count)]
    end_ms = START_MS + step_ms * count + 20_000
    instants = st.integers(START_MS, end_ms) | st.integers(
        0, count * step_ms // (15 * MINUTE_MS)
    ).map(lambda n: START_MS + n * 15 * MINUTE_MS)
    edges = sorted({START_MS - 1, *draw(st.lists(instants, min_size=1, max_size=4)), end_ms})
    has_levels = draw(st.integers(0, 5))
    parts, blobs, seen = [], Blobs(), list[Plain]()
    for n, (begin, end) in enumerate(pairwise(edges)):
        if draw(st.integers(0, 5)) == 0:
            continue
        before, after = (
            draw(st.sampled_from([0, 0, 1, HOUR_MS])),
            draw(st.sampled_from([0, HOUR_MS])),
        )
        whole = Range(begin - before, end + after)
        held = stored(
            whole, Samples(plain), sizes=draw(st.sampled_from([[], [7] * 60])), key=f"k{n}"
        )
        segment, blob = held
        if segment.count and (has_levels or draw(st.booleans())):
            blob, segment = leveled(segment, blob)
        if draw(st.booleans()) and whole != Range(begin, end):
            # As a purge leaves it: its series reaches beyond its range.
            segment = msgspec.structs.replace(segment, start_ms=begin, end_ms=end, is_cut=True)
        blobs.add(segment.key, 0, blob)
        parts.append((segment, Range(begin, end)))
        seen += [each for each in plain if begin <= each[0] < end]
    return Kept(parts, blobs, seen)


class KeptStore:
    """Reads what is kept, and knows what was asked for."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self.reads: list[list[Piece]] = []

    async def read(self, pieces: Iterable[Piece], _fresh: object, *, is_verified: bool) -> Blobs:
        """Return all there is."""
        assert is_verified
        self.reads.append(list(pieces))
        return self._blobs


class Given(NamedTuple):
    """What an answer has of a point: its level and samples, how many were known, and its reads."""

    level: str
    samples: list[Plain]
    known: int
    reads: list[list[Piece]]


def looked_up(segment: Segment, part: Range, max_points: int) -> Segment:
    """Return a segment as the index gives it: of one taken whole, few directories."""
    if part != segment.range or segment.is_cut:
        return segment
    most = zooming.level_samples(max_points) * WHOLE_SHARE
    widest = max((each.width_ms for each in segment.levels or () if each.is_kept), default=0)
    found = [
        each
        if each.count <= most or each.width_ms == widest
        else Level.of(each.width_ms, each.offset, each.stored_bytes, each.count, None)
        for each in segment.levels or ()
    ]
    return msgspec.structs.replace(
        segment, frames=None, levels=None if segment.levels is None else tuple(found)
    )


def answer_of(kept: Kept, max_points: int, made: frozenset[str]) -> Given:
    """Return what an answer has of a point."""
    parts = [(looked_up(segment, part, max_points), part) for segment, part in kept.parts]
    plan, part = zoom_plan(parts, max_points), PointPieces("p", [], known=parts)
    assert plan is not None
    store: Any = KeptStore(kept.blobs)
    source = ByteSource([part], {}, store, made=made)
    [choice] = asyncio.run(choices([ZoomPoint(part, plan)], source, max_points))
    encoder = TextJson(BodyOptions(1, gzip=False))
    known = choice.put(encoder, part)
    found = msgspec.json.decode(encoder.take() + encoder.finish({}))["data"]["p"]
    raws = msgspec.json.decode(
        msgspec.json.encode(found["samples"]), type=list[tuple[int, msgspec.Raw]]
    )
    samples = [(ms, bytes(raw).decode()) for ms, raw in raws]
    return Given(found["level"], samples, known, store.reads)


WIDTHS = {"raw": 0, **{name: width for width, name in NAMES.items()}}


@given(
    points(), st.integers(2, 60), st.sampled_from([0, 20, 256]), st.sampled_from([0, 8, 40, 512])
)
@settings(deadline=None)
def test_it_is_the_level_of_all_samples(kept: Kept, max_points: int, few: int, edge: int) -> None:
    """
    Whatever has been parted, the level is what it would have been of all samples at once.

    With few samples at an edge, the parts of cut buckets come from all of the finer levels.
    """
    with patch.object(zooming, "FEW_SAMPLES", few), patch.object(zooming, "EDGE_SAMPLES", edge):
        name, found, known, reads = answer_of(kept, max_points, frozenset())
    places = [(each.key, each.offset, each.stored_bytes) for read in reads for each in read]
    assert len(places) == len(set(places))
    assert len(found) <= max_points
    assert len(found) == known
    expected = finest(kept.plain, max_points)
    if expected is not None and name in WIDTHS:
        assert level(kept.plain, WIDTHS[name]) == found
        assert WIDTHS[name] == WIDTHS[expected[0]]
    if max_points >= 4 and kept.plain:
        assert (kept.plain[0], kept.plain[-1]) == (found[0], found[-1])


@given(points())
@settings(deadline=None)
def test_joined_levels_are_those_of_all_samples(kept: Kept) -> None:
    """Whatever has been parted, and however it was cut, the levels of the whole are right."""
    joined = Samples(kept.plain).series([7] * 60)
    with patch.object(joining, "FRAME_SAMPLES_MIN", 5):
        made = level_joining.join_levels(kept.parts, joined, kept.blobs.piece)
    if made is None:
        assert (
            not joined.count
            or not any(segment.levels for segment, _ in kept.parts)
            or not any(level_joining.level_pieces(segment) for segment, _ in kept.parts)
        )
        return
    finer = joined.count
    for width_ms, series in made.kept:
        texts = [
            frame_text(each, series.data[each.offset : each.offset + each.stored_bytes])
            for each in series.frames
        ]
        expected = level(kept.plain, width_ms)
        assert Samples(expected).text == b",".join(texts)
        assert len(expected) <= finer / 2
        finer = len(expected)
    span_ms = joined.frames[-1].last_ms - joined.frames[0].first_ms
    sizes = [len(level(kept.plain, width_ms)) for width_ms in levels.WIDTHS_MS]
    best = [
        width_ms
        for width_ms, size in zip(levels.WIDTHS_MS, sizes, strict=True)
        if size
        <= min(
            [
                joined.count,
                *(len(level(kept.plain, each)) for each, _ in made.kept if each < width_ms),
            ]
        )
        / 2
        and not levels.is_vain(width_ms, joined.count, span_ms)
    ]
    assert best == [width_ms for width_ms, _ in made.kept]


@given(points(), st.integers(2, 60), st.integers(0, 3))
@settings(deadline=None)
def test_what_was_known_before_is_counted(kept: Kept, max_points: int, fresh: int) -> None:
    """Each sample counts that lies in no object made for the answer."""
    made = frozenset({f"k{fresh}"})
    ranges = [part for segment, part in kept.parts if segment.key in made]
    _, found, known, _ = answer_of(kept, max_points, made)
    inside = sum(any(start <= ms < end for start, end in ranges) for ms, _ in found)
    assert len(found) - inside == known
