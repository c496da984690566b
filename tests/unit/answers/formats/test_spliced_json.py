"""JSON from copied and from cut frames."""

from __future__ import annotations

import gzip
import json

import pytest

from builders import samples, stored
from building_vitals.answers.formats.registry import encoder_for
from building_vitals.cache.segments import pieces
from building_vitals.ranges import Range

HELD = stored("0-100", samples('10:1.50 20:"on" 30:null'), sizes=[1, 1])
ALL = Range(0, 100)


@pytest.mark.parametrize("compressed", [True, False])
def test_cuts_that_leave_nothing(*, compressed: bool) -> None:
    """Cut frames that leave nothing leave no comma either, at the front, between and at the end."""
    first = stored("0-50", samples("10:1 40:2"))
    last = stored("50-100", samples("60:3 90:4"))
    encoder = encoder_for("json", 1, gzip=compressed)
    encoder.begin_point("p")
    added = 0
    for held, time_range in (
        (first, Range(15, 35)),
        (first, Range(35, 50)),
        (last, Range(65, 70)),
        (last, Range(50, 70)),
        (last, Range(70, 80)),
    ):
        [piece] = pieces(held.segment, time_range)
        added += sum(encoder.add(piece, held.bytes_of(piece)))
    encoder.end_point()
    body = encoder.take() + encoder.finish({})

    assert 2 == added
    read = json.loads(gzip.decompress(body) if compressed else body)
    assert {"samples": [[40, 2], [60, 3]], "count": 2, "error": None} == read["data"]["p"]


@pytest.mark.parametrize("compressed", [True, False])
def test_other_bytes_never_reach_an_answer(*, compressed: bool) -> None:
    """Another object's bytes under the same key are refused, whole or cut."""
    other = stored("0-100", samples('10:1.51 20:"on" 30:null'), sizes=[1, 1])
    for time_range in (ALL, Range(5, 31), Range(10, 20)):
        encoder = encoder_for("json", 1, gzip=compressed)
        encoder.begin_point("p")
        [piece] = pieces(HELD.segment, time_range)
        with pytest.raises(ValueError):
            list(encoder.add(piece, other.bytes_of(piece)))
