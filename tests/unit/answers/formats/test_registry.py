"""Every format's whole bodies, and which encoder makes them."""

from __future__ import annotations

import gzip
import json

import msgpack
import pytest

from builders import Stored, count_of, samples, stored
from building_vitals.answers.formats.csv_rows import Csv
from building_vitals.answers.formats.encoder import Encoder
from building_vitals.answers.formats.json_text import TextJson
from building_vitals.answers.formats.msgpack_rows import MessagePack
from building_vitals.answers.formats.ndjson_rows import Ndjson
from building_vitals.answers.formats.registry import Format, encoder_for
from building_vitals.answers.formats.spliced_json import SplicedJson
from building_vitals.cache.segments import pieces
from building_vitals.ranges import Range
from building_vitals.series.splicing import inflate

HELD = stored("0-100", samples('10:1.50 20:"on" 30:null'), sizes=[1, 1])
ALL = Range(0, 100)
EMPTY = {
    "json": b'{"data":{},"_meta":{}}',
    "csv": b"time,point,value\r\n",
    "ndjson": b"",
    "msgpack": msgpack.packb({"data": {}, "_meta": {}}),
}
ONE = {
    "json": b'{"data":{"p":{"samples":[[10,1.50],[20,"on"],[30,null]],"count":3,"error":null}},'
    b'"_meta":{}}',
    "csv": b"time,point,value\r\n1970-01-01T00:00:00.010Z,p,1.50\r\n"
    b"1970-01-01T00:00:00.020Z,p,on\r\n1970-01-01T00:00:00.030Z,p,\r\n",
    "ndjson": b'{"point":"p","time":"1970-01-01T00:00:00.010Z","value":1.50}\n'
    b'{"point":"p","time":"1970-01-01T00:00:00.020Z","value":"on"}\n'
    b'{"point":"p","time":"1970-01-01T00:00:00.030Z","value":null}\n',
    "msgpack": msgpack.packb(
        {
            "data": {
                "p": {"count": 3, "samples": [[10, 1.5], [20, "on"], [30, None]], "error": None}
            },
            "_meta": {},
        }
    ),
}


def fill(encoder: Encoder, held: Stored, time_range: Range, point: str = "p") -> None:
    """Put a range of a segment in as a point."""
    read = [(piece, held.bytes_of(piece)) for piece in pieces(held.segment, time_range)]
    encoder.begin_point(point, sum(count_of(*each) for each in read))
    for each in read:
        assert count_of(*each) == sum(encoder.add(*each))
    encoder.end_point()


@pytest.mark.parametrize("format", ["json", "csv", "ndjson", "msgpack"])
@pytest.mark.parametrize("compressed", [True, False])
def test_bodies(format: Format, compressed: bool) -> None:
    """No points and one point look as the API says, gzipped or not."""
    unpack = gzip.decompress if compressed else bytes
    nothing = encoder_for(format, 0, gzip=compressed)
    one = encoder_for(format, 1, gzip=compressed)
    fill(one, HELD, ALL)

    assert EMPTY[format] == unpack(nothing.finish({}))
    assert ONE[format] == unpack(one.take() + one.finish({}))
    assert (0, 3) == (nothing.samples, one.samples)


@pytest.mark.parametrize(
    ("format", "compressed", "expected"),
    [
        pytest.param("json", True, SplicedJson, id="JSON for gzip is spliced"),
        pytest.param("json", False, TextJson, id="JSON for others is text"),
        pytest.param("csv", True, Csv, id="CSV"),
        pytest.param("ndjson", False, Ndjson, id="NDJSON"),
        pytest.param("msgpack", True, MessagePack, id="MessagePack"),
    ],
)
def test_choice(*, format: Format, compressed: bool, expected: type[Encoder]) -> None:
    """Frames are copied where that is possible; everything else goes through their text."""
    assert expected is type(encoder_for(format, 1, gzip=compressed))


@pytest.mark.parametrize(
    "point", ['say "hi"', "back\\slash", "caf\u00e9 \U0001f525", "__proto__", "],["]
)
@pytest.mark.parametrize("compressed", [True, False])
def test_names_of_points(point: str, *, compressed: bool) -> None:
    """Any name is a key of the answer, and points without samples are there too."""
    encoder = encoder_for("json", 2, gzip=compressed)
    fill(encoder, HELD, ALL, point)
    fill(encoder, stored("0-100"), ALL, "empty")
    body = encoder.take() + encoder.finish({"site": "s"})

    read = json.loads(gzip.decompress(body) if compressed else body)
    assert [(point, 3), ("empty", 0)] == [(name, of["count"]) for name, of in read["data"].items()]
    assert {"site": "s"} == read["_meta"]


@pytest.mark.parametrize("format", ["json", "csv", "ndjson", "msgpack"])
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("level", [None, "raw", "4h"])
def test_point_without_samples_says_why(
    format: Format, *, compressed: bool, level: str | None
) -> None:
    """Formats with a place for it tell the error of a point, and its level; others have no row."""
    encoder = encoder_for(format, 2, gzip=compressed, is_leveled=level is not None)
    for point, error in (("p", 'unknown "point"'), ("q", None)):
        encoder.begin_point(point)
        encoder.end_point(error, level)
    body = (gzip.decompress if compressed else bytes)(encoder.take() + encoder.finish({}))
    said = {} if level is None else {"level": level}
    points = {
        "p": {"samples": [], "count": 0, "error": 'unknown "point"', **said},
        "q": {"samples": [], "count": 0, "error": None, **said},
    }

    if format == "json":
        assert {"data": points, "_meta": {}} == json.loads(body)
    elif format == "msgpack":
        assert {"data": points, "_meta": {}} == msgpack.unpackb(body)
    else:
        assert EMPTY[format] == body
    assert 0 == encoder.samples


@pytest.mark.parametrize("format", ["json", "csv", "ndjson", "msgpack"])
@pytest.mark.parametrize("compressed", [True, False])
def test_samples_as_text(format: Format, *, compressed: bool) -> None:
    """A body of samples that are given as text is the one that their frames would have made."""
    unpack = gzip.decompress if compressed else bytes
    whole = encoder_for(format, 1, gzip=compressed)
    fill(whole, HELD, ALL)
    parts = encoder_for(format, 1, gzip=compressed)
    [piece] = pieces(HELD.segment, ALL)
    text = inflate(HELD.bytes_of(piece), piece.text_bytes)
    comma = text.index(b"],[") + 1
    parts.begin_point("p", 3)
    parts.add_text(1, text[:comma])
    parts.add_text(2, text[comma + 1 :])
    parts.end_point()
    assert unpack(whole.take() + whole.finish({})) == unpack(parts.take() + parts.finish({}))
    assert 3 == parts.samples
