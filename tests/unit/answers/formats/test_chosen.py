"""Some samples of each point instead of all."""

from __future__ import annotations

import gzip
import json

import pytest

from builders import samples, span, stored
from building_vitals.answers.formats.chosen import ChosenSamples, first_instant, known_among
from building_vitals.answers.formats.registry import Format, encoder_for
from building_vitals.cache.segments import pieces
from building_vitals.series.thinning import PointThinning
from fakes.brute_levels import MINUTE_MS

VALUES = [str(n * 7 % 101) for n in range(100)]


def run(begin: int, end: int) -> str:
    return " ".join(f"{MINUTE_MS * n}:{VALUES[n]}" for n in range(begin, end))


@pytest.mark.parametrize("format", ["json", "csv", "ndjson", "msgpack"])
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("max_points", [2, 10, 99, 100, 1000])
def test_samples_are_chosen(format: Format, max_points: int, *, compressed: bool) -> None:
    """A body is the one that the chosen samples alone would have made, with their level."""
    thinning = PointThinning(max_points)
    held = [
        stored(f"0-{50 * MINUTE_MS}", samples(run(0, 50))),
        stored(f"{50 * MINUTE_MS}-{100 * MINUTE_MS}", samples(run(50, 100))),
    ]
    plain = encoder_for(format, 1, gzip=compressed, is_leveled=True)
    inner = encoder_for(format, 1, gzip=compressed, is_leveled=True)
    chosen = ChosenSamples(inner, max_points)
    chosen.begin_point("p")
    for each in held:
        for piece in pieces(each.segment, each.segment.range):
            assert 0 == sum(chosen.add(piece, each.bytes_of(piece)))
    chosen.end_point()
    thinning.add(",".join(f"[{MINUTE_MS * n},{v}]" for n, v in enumerate(VALUES)).encode())
    plain.begin_point("p", thinning.choose())
    for count, text in thinning.texts():
        plain.add_text(count, text)
    plain.end_point(None, thinning.level)
    unpack = gzip.decompress if compressed else bytes
    assert unpack(plain.take() + plain.finish({})) == unpack(chosen.take() + chosen.finish({}))
    assert len(thinning.times) == chosen.samples == chosen.samples_from_cache <= max_points


def test_what_was_known_before() -> None:
    """Of the chosen samples those are counted that lie in no object made for the answer."""
    held = [
        stored(span(f"{at}-{at + 10}"), samples(f"{at}:1 {at + 5}:2"), key=key)
        for at, key in ((0, "old"), (10, "new"), (20, "old"), (30, "new"), (40, "new"))
    ]
    chosen = ChosenSamples(encoder_for("json", 1, gzip=False), 100, frozenset({"new"}))
    for _ in "ab":
        chosen.begin_point("p")
        for each in held:
            for piece in pieces(each.segment, each.segment.range):
                list(chosen.add(piece, each.bytes_of(piece)))
        chosen.end_point()
    assert (8, 20) == (chosen.samples_from_cache, chosen.samples)


def test_known_samples_are_counted_by_instants() -> None:
    """Turns say where what was known ends and begins again."""
    times = [0, 10, 20, 30, 40]
    assert [5, 2, 4, 0] == [known_among(times, turns) for turns in ([], [20], [20, 30], [-5, 50])]
    assert -12 == first_instant(b'[-12,"],["],[3,4]')


def test_point_without_samples() -> None:
    """It has all there are, and may say why there are none."""
    chosen = ChosenSamples(encoder_for("json", 1, gzip=False, is_leveled=True), 5)
    chosen.begin_point("p")
    chosen.end_point("unknown point")
    found = json.loads(chosen.take() + chosen.finish({}))["data"]["p"]
    assert {"samples": [], "count": 0, "error": "unknown point", "level": "raw"} == found
