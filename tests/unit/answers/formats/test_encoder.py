"""What the formats share that are made of text: any number of samples, few of them in memory."""

from __future__ import annotations

import json

import pytest

from builders import Samples, samples, stored
from building_vitals.answers.formats.chosen import ChosenSamples
from building_vitals.answers.formats.encoder import BodyOptions, Encoder
from building_vitals.answers.formats.json_text import TextJson
from building_vitals.answers.formats.registry import Format, encoder_for
from building_vitals.answers.formats.runs import RUN_TEXT_MAX
from building_vitals.cache.segments import pieces
from building_vitals.ranges import Range

ALL = Range(0, 100)


def test_text_of_pieces() -> None:
    """A piece's text is that of its samples: of all for a run, of those inside for a cut."""
    held = stored("0-100", samples("10:1 20:2 30:3"), sizes=[2])
    [whole] = pieces(held.segment, ALL)
    [cut, run] = pieces(held.segment, Range(15, 99))
    for parts, text in (([whole], "[10,1],[20,2],[30,3]"), ([cut, run], "[20,2],[30,3]")):
        encoder = TextJson(BodyOptions(1, gzip=False))
        encoder.begin_point("p")
        added = [sum(encoder.add(piece, held.bytes_of(piece))) for piece in parts]
        encoder.end_point()
        body = json.loads(encoder.finish({}))
        assert json.loads(f"[{text}]") == body["data"]["p"]["samples"]
        assert sum(added) == body["data"]["p"]["count"] == encoder.samples


@pytest.mark.parametrize("format", ["json", "csv", "ndjson", "msgpack"])
@pytest.mark.parametrize("max_points", [None, 9_000])
@pytest.mark.parametrize("windows", [1, 5])
def test_what_is_pending_is_a_few_runs(
    format: Format, max_points: int | None, windows: int
) -> None:
    """However many samples a piece has, and a point, they come out some thousands at a time."""
    many = Samples((60_000 * n, f"{n % 97}.25") for n in range(100_000))
    held = stored(Range(0, 60_000 * 100_000), many)
    [piece] = pieces(held.segment, held.segment.range)
    data = held.bytes_of(piece)

    def new() -> Encoder:
        encoder = encoder_for(format, 1, gzip=False, is_leveled=max_points is not None)
        return encoder if max_points is None else ChosenSamples(encoder, max_points)

    encoder = new()
    largest, whole = 0, b""
    encoder.begin_point("p", 100_000)
    for n in range(windows):
        window = data[len(data) * n // windows : len(data) * (n + 1) // windows]
        for _ in encoder.add(piece, window, is_last=n == windows - 1):
            largest, whole = max(largest, encoder.pending), whole + encoder.take()
    for _ in encoder.choose():
        largest, whole = max(largest, encoder.pending), whole + encoder.take()
    encoder.end_point()
    whole += encoder.finish({})
    plain = new()
    plain.begin_point("p", 100_000)
    assert (100_000 if max_points is None else 0) == sum(plain.add(piece, data))
    plain.end_point()
    assert plain.finish({}) == whole
    assert 0 < largest <= 5 * RUN_TEXT_MAX
    assert (100_000 if max_points is None else 9_000) >= encoder.samples > 4_500
