"""Pieces as runs of samples of bounded size."""

from __future__ import annotations

import json
import random
import zlib
from itertools import pairwise

import msgspec
import pytest

from builders import VALUES, Samples, samples, stored
from building_vitals.answers.formats.runs import (
    RUN_TEXT_MAX,
    PieceCheck,
    RunReader,
    last_boundary,
)
from building_vitals.cache.segments import Check, Piece, pieces, verify
from building_vitals.ranges import Range
from building_vitals.series.frames import NO_CRC
from building_vitals.series.splicing import fragment


@pytest.mark.parametrize("value", VALUES)
def test_samples_part_where_brackets_and_strings_are_closed(value: str) -> None:
    """Wherever a text is cut off, the boundary found is the last one that there is."""
    parts = [f"[1,{value}]", f"[2,{value}]", "[3,0]"]
    text = ",".join(parts).encode()
    commas = [len(",".join(parts[:n]).encode()) for n in (1, 2)]
    for stop in range(len(text) + 1):
        # A boundary shows once the next sample has begun.
        expected = max([each for each in commas if each + 2 <= stop], default=-1)
        assert expected == last_boundary(text[:stop]), text[:stop]


def test_boundaries_take_linear_time() -> None:
    """Values that are full of brackets and commas don't hold the isolate up."""
    nested = "[" + ",".join(["[1]"] * 50_000) + "]"
    quoted = json.dumps("],[" * 50_000)
    for value in (nested, quoted):
        text = f"[1,{value}],[2,{value}".encode()
        assert len(f"[1,{value}]") == last_boundary(text)


def read(piece: Piece, data: bytes, cuts: list[int]) -> list[bytes]:
    """Return the runs of a piece whose bytes come in windows."""
    reader = RunReader(piece)
    bounds = [0, *sorted(cuts), len(data)]
    found = [run for start, stop in pairwise(bounds) for run in reader.read(data[start:stop])]
    return [*found, reader.end()]


@pytest.mark.parametrize("seed", range(20))
def test_runs_are_the_text_in_parts(seed: int) -> None:
    """Whatever the values, the frames and the windows: joined by commas they are the whole text."""
    rng = random.Random(seed)
    pad = "x" * rng.choice((0, 3_000))
    many = Samples((n, rng.choice([*VALUES, json.dumps(pad)])) for n in range(rng.choice((1, 900))))
    held = stored("0-1000", many, sizes=[rng.randrange(1, 300) for _ in range(5)])
    [piece] = pieces(held.segment, held.segment.range)
    data = held.bytes_of(piece)
    cuts = [rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 1, 9)))]
    runs = read(piece, data, cuts)
    assert many.text == b",".join(runs)
    assert len(many) == sum(len(json.loads(b"[%b]" % run)) for run in runs)
    assert all(len(run) <= 2 * RUN_TEXT_MAX for run in runs)


def test_text_that_compresses_well_comes_in_runs_too() -> None:
    """A window of few bytes may hold much text."""
    many = Samples((n, "0") for n in range(200_000))
    held = stored(Range(0, 200_000), many)
    [piece] = pieces(held.segment, held.segment.range)
    runs = read(piece, held.bytes_of(piece), [])
    assert many.text == b",".join(runs)
    assert max(map(len, runs)) <= 2 * RUN_TEXT_MAX


@pytest.mark.parametrize(("start_ms", "first"), [(5, 10), (15, 20)])
@pytest.mark.parametrize(("is_old", "checks"), [(False, 1), (True, None)])
def test_the_bytes_of_several_frames(
    start_ms: int, first: int, is_old: bool, checks: int | None
) -> None:
    """They are told from others, wherever they are divided: at once, or in old directories each."""
    held = stored("0-100", samples("10:1 20:2 30:3 40:4 50:5"), sizes=[1, 1, 1, 1])
    segment = held.segment
    if is_old:
        of_old = [msgspec.structs.replace(each, series_crc=NO_CRC) for each in segment.frames or ()]
        segment = msgspec.structs.replace(segment, frames=tuple(of_old))
    [piece] = pieces(segment, Range(start_ms, 45))
    times = range(first, 50, 10)
    assert (checks or len(times)) == len(piece.checks)
    data = held.bytes_of(piece)
    verify(piece, data)
    expected = b",".join(b"[%d,%d]" % (each, each // 10) for each in times)
    for cut in range(len(data) + 1):
        assert expected == b",".join(filter(None, read(piece, data, [cut])))
    for at in range(len(data)):
        spoilt = data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]
        with pytest.raises(ValueError):
            read(piece, spoilt, [])
        with pytest.raises(ValueError):
            verify(piece, spoilt)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda data: data[:-1], id="shorter"),
        pytest.param(lambda data: data + b"\x00", id="longer"),
        pytest.param(lambda data: data[:9] + bytes([data[9] ^ 1]) + data[10:], id="changed"),
        pytest.param(lambda _: b"", id="nothing"),
    ],
)
def test_other_bytes_are_refused(spoil: object) -> None:
    """Bytes that are not those that were stored are no piece."""
    held = stored("0-100", samples("10:1 20:2 30:3 40:4"))
    [piece] = pieces(held.segment, held.segment.range)
    data = spoil(held.bytes_of(piece))  # type: ignore[operator]
    with pytest.raises(ValueError):
        read(piece, data, [])


@pytest.mark.parametrize("change", [-1, 1])
def test_another_length_of_text_is_refused(change: int) -> None:
    """The index knows the length; bytes that inflate to more or less are not what it promises."""
    data = fragment(b"[10,1],[20,2]")
    piece = Piece(
        *("k", "", 0, len(data), 13 + change, 2, 0, 0), checks=(Check(len(data), zlib.crc32(data)),)
    )
    with pytest.raises(ValueError):
        read(piece, data, [])


def test_a_check_without_bytes() -> None:
    """Nothing stored is nothing to look at."""
    check = PieceCheck(Piece("k", "", 0, 0, 0, 0, 0, 0))
    check.add(memoryview(b""))
    check.end()
    with pytest.raises(ValueError):
        check.add(memoryview(b"x"))
