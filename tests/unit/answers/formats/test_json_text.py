"""JSON as text."""

from __future__ import annotations

import gzip

import pytest

from builders import samples, stored
from building_vitals.answers.formats.encoder import BodyOptions
from building_vitals.answers.formats.json_text import JSON, TextJson
from building_vitals.answers.formats.spliced_json import SplicedJson
from building_vitals.cache.segments import pieces


@pytest.mark.parametrize(
    ("is_gzip", "expected"),
    [
        pytest.param(True, SplicedJson, id="compressed"),
        pytest.param(False, TextJson, id="plain"),
    ],
)
def test_only_compressed_answers_are_spliced(expected: type, *, is_gzip: bool) -> None:
    """Stored frames are of use as they are only to clients that take gzip."""
    assert expected is type(JSON.encoder(BodyOptions(1, is_gzip)))


@pytest.mark.parametrize("is_gzip", [True, False], ids=["compressed", "plain"])
def test_points_and_pieces_are_parted_by_commas(*, is_gzip: bool) -> None:
    """Between two points, and between two pieces with samples, there is one, and no other."""
    encoder = TextJson(BodyOptions(2, is_gzip))
    for point in ("a", 'b"'):
        encoder.begin_point(point)
        for held in (stored("0-50", samples("10:1")), stored("50-90", samples("60:2"))):
            for piece in pieces(held.segment, held.segment.range):
                assert 1 == sum(encoder.add(piece, held.bytes_of(piece)))
        encoder.end_point()
    body = encoder.take() + encoder.finish({"site": "hq"})
    of_point = b':{"samples":[[10,1],[60,2]],"count":2,"error":null}'
    assert b'{"data":{"a"' + of_point + b',"b\\""' + of_point + b'},"_meta":{"site":"hq"}}' == (
        gzip.decompress(body) if is_gzip else body
    )
