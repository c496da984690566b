"""Answers out of segments against slices of the plain list, format by format."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from builders import VALUES, Samples, Stored, count_of, stored
from building_vitals.answers.formats.csv_rows import CSV_HEADER, csv_rows
from building_vitals.answers.formats.encoder import Encoder
from building_vitals.answers.formats.ndjson_rows import ndjson_rows
from building_vitals.answers.formats.registry import Format, encoder_for
from building_vitals.answers.formats.spliced_json import SplicedJson
from building_vitals.cache.coverage import cover
from building_vitals.cache.segments import Piece, cut_piece_text, pieces
from building_vitals.ranges import Range

WORLD = Range(0, 60)
META = {"site": "s", "cache": {"fetched": [[0, 1]]}}
POINTS = ("p", 'point "q", \u00e4', "empty")
RANGES = (
    st.tuples(st.integers(0, 60), st.integers(0, 60))
    .filter(lambda ends: ends[0] != ends[1])
    .map(lambda ends: Range(min(ends), max(ends)))
)
SIZES = st.lists(st.integers(1, 6), max_size=12)


@st.composite
def truths(draw: st.DrawFn) -> Samples:
    """Draw all samples of a point in the world."""
    times = draw(st.lists(st.integers(0, 59), unique=True, max_size=40).map(sorted))
    kinds = draw(st.sampled_from([("1", "2.50", "-3e5"), ("1", "null", '"on"'), VALUES]))
    return Samples((t, draw(st.sampled_from(kinds))) for t in times)


@st.composite
def known_points(draw: st.DrawFn) -> tuple[Samples, list[Stored]]:
    """Draw a point's samples and segments: any number, overlapping, empty ones too."""
    truth = draw(truths())
    ranges = draw(st.lists(RANGES, max_size=5))
    held = [
        stored(each, truth, sizes=draw(SIZES), key=f"k{i}", padding=draw(st.integers(0, 9)))
        for i, each in enumerate(ranges)
    ]
    return truth, held


def read_pieces(
    held: list[Stored], time_range: Range
) -> tuple[list[Range], list[tuple[Piece, bytes]]]:
    """Return what is known of a range, and its pieces with their bytes."""
    objects = {each.segment.key: each for each in held}
    covered = cover("p", [each.segment for each in held], time_range)
    return [part for _, part in covered.known], [
        (piece, objects[piece.key].bytes_of(piece))
        for segment, part in covered.known
        for piece in pieces(segment, part)
    ]


def answer(encoder: Encoder, points: dict[str, list[tuple[Piece, bytes]]]) -> bytes:
    """Return the whole body."""
    body = b""
    for point, read in points.items():
        encoder.begin_point(point, sum(count_of(*each) for each in read))
        for piece, data in read:
            # In two windows where it may be divided.
            middle = 0 if piece.frame is not None else len(data) // 2
            for start, stop in ((0, middle), (middle, len(data))) if middle else ((0, len(data)),):
                window, is_last = memoryview(data)[start:stop], stop == len(data)
                for _ in encoder.add(piece, window, is_last=is_last):
                    body += encoder.take()
        encoder.end_point()
    return body + encoder.finish(META)


def json_answer(points: dict[str, Samples]) -> bytes:
    """Return the JSON the API promises."""
    rows = [
        b'%b:{"samples":[%b],"count":%d,"error":null}'
        % (msgspec.json.encode(point), of_point.text, len(of_point))
        for point, of_point in points.items()
    ]
    return b'{"data":{' + b",".join(rows) + b'},"_meta":' + msgspec.json.encode(META) + b"}"


@settings(deadline=None, max_examples=250)
@given(st.tuples(known_points(), known_points(), known_points()), RANGES)
def test_every_format_equals_the_slice(
    drawn: tuple[tuple[Samples, list[Stored]], ...], time_range: Range
) -> None:
    """Of any segments and any range, each format holds the samples of the range that are known."""
    read: dict[str, list[tuple[Piece, bytes]]] = {}
    expected: dict[str, Samples] = {}
    for point, (truth, held) in zip(POINTS, drawn, strict=True):
        known, read[point] = read_pieces(held, time_range)
        inside = [
            t for t in range(*WORLD) if any(part.start_ms <= t < part.end_ms for part in known)
        ]
        expected[point] = Samples(each for each in truth if each[0] in inside)
    count = sum(map(len, expected.values()))
    as_json = json_answer(expected)

    def body(format: Format, *, gzip: bool) -> bytes:
        encoder = encoder_for(format, len(POINTS), gzip=gzip)
        made = answer(encoder, read)
        assert count == encoder.samples
        return made

    spliced = body("json", gzip=True)
    assert as_json == gzip.decompress(spliced) == zlib.decompress(spliced, 31)
    assert as_json == body("json", gzip=False)
    rows = [csv_rows(point, each.text) for point, each in expected.items()]
    as_csv = CSV_HEADER + b"".join(rows)
    assert as_csv == body("csv", gzip=False) == gzip.decompress(body("csv", gzip=True))
    as_ndjson = b"".join(ndjson_rows(point, each.text) for point, each in expected.items())
    assert as_ndjson == body("ndjson", gzip=False) == gzip.decompress(body("ndjson", gzip=True))
    packed = body("msgpack", gzip=False)
    assert well_formed(json.loads(as_json)) == msgpack.unpackb(packed, strict_map_key=False)
    assert packed == gzip.decompress(body("msgpack", gzip=True))


def well_formed(read: Any) -> Any:
    """Return what was read from JSON without halves of surrogate pairs."""
    return json.loads(json.dumps(read).replace('"\\ud800"', '"\ufffd"'))


@settings(deadline=None)
@given(truths(), SIZES, RANGES, RANGES)
def test_counts_are_exact(
    truth: Samples, sizes: list[int], known: Range, time_range: Range
) -> None:
    """What an encoder says a piece gave is what it gave, and a run's own count is right."""
    held = stored(known, truth, sizes=sizes)
    shared = known.clip(time_range)
    encoders = (SplicedJson(), encoder_for("json", 1, gzip=False))
    for encoder in encoders:
        encoder.begin_point("p")
    total = 0
    for piece in pieces(held.segment, shared) if shared else []:
        data = held.bytes_of(piece)
        count = count_of(piece, data)
        total += count
        assert {count} == {sum(encoder.add(piece, data)) for encoder in encoders}
        assert piece.frame is not None or count == piece.count
    for encoder in encoders:
        encoder.end_point()

    assert total == len(truth.within(shared) if shared else ())
    assert [total, total] == [encoder.samples for encoder in encoders]


@settings(deadline=None, max_examples=300)
@given(truths(), SIZES, RANGES, st.integers(0), st.integers(1, 255))
def test_a_changed_byte_is_noticed(
    truth: Samples, sizes: list[int], time_range: Range, place: int, change: int
) -> None:
    """
    A changed byte makes a piece unreadable by ValueError, or makes no difference to its text.

    No difference is what a byte makes that says where a block ends, when the text was whole before.
    """
    held = stored(WORLD, truth, sizes=sizes)
    found = pieces(held.segment, time_range)
    assume(found)
    piece = found[place % len(found)]
    data = bytearray(held.bytes_of(piece))
    data[place % len(data)] ^= change
    for encoder in (SplicedJson(), encoder_for("json", 1, gzip=False)):
        encoder.begin_point("p")
        try:
            list(encoder.add(piece, bytes(data)))
        except ValueError:
            continue
        assert piece.frame is not None
        assert cut_piece_text(piece, held.bytes_of(piece)) == cut_piece_text(piece, bytes(data))


@settings(deadline=None, max_examples=200)
@given(truths(), SIZES, RANGES, st.binary(max_size=80))
def test_foreign_bytes_are_refused(
    truth: Samples, sizes: list[int], time_range: Range, data: bytes
) -> None:
    """Any other bytes in place of a piece are refused by ValueError."""
    held = stored(WORLD, truth, sizes=sizes)
    for piece in pieces(held.segment, time_range):
        if data == held.bytes_of(piece):
            continue
        for encoder in (SplicedJson(), encoder_for("csv", 1, gzip=False)):
            encoder.begin_point("p")
            with pytest.raises(ValueError):
                list(encoder.add(piece, data))
