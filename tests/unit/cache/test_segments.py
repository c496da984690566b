"""Tests of what a range takes of a segment, and of bytes that are not those stored."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from builders import every, samples, span, stored
from building_vitals.cache.segments import (
    DirectoryMissing,
    Level,
    Segment,
    cut_fragment,
    cut_piece_text,
    pieces,
    verify,
)
from building_vitals.ranges import Range
from building_vitals.series.frames import COMMA
from building_vitals.series.splicing import inflate

# Frames of two: 10 20 | 30 40 | 50 60 | 70
HELD = samples("10:1 20:2.50 30:3 40:4 50:5 60:6 70:7")
ALL = Range(0, 100)


@pytest.mark.parametrize(
    ("time_range", "expected"),
    [
        pytest.param("0-100", ["run 7"], id="all of it"),
        pytest.param("0-999", ["run 7"], id="more than it"),
        pytest.param("5-71", ["run 7"], id="all samples, not all of the range"),
        pytest.param("30-70", ["run 4"], id="whole frames"),
        pytest.param("15-70", ["cut 20", "run 4"], id="first frame cut"),
        pytest.param("30-60", ["run 2", "cut 50"], id="last frame cut"),
        pytest.param("20-60", ["cut 20", "run 2", "cut 50"], id="both ends cut"),
        pytest.param("20-40", ["cut 20", "cut 30"], id="two cuts and nothing between"),
        pytest.param("12-18", ["cut "], id="between two samples of a frame"),
        pytest.param("41-50", [], id="between two frames"),
        pytest.param("0-10", [], id="before the first sample"),
        pytest.param("71-100", [], id="behind the last sample"),
        pytest.param("200-300", [], id="elsewhere"),
    ],
)
def test_pieces(time_range: str, expected: list[str]) -> None:
    """A range takes a cut frame, a run of whole frames and a cut frame at most."""
    held = stored("0-100", HELD, sizes=[2, 2, 2])
    found = []
    for piece in pieces(held.segment, span(time_range)):
        data = held.bytes_of(piece)
        verify(piece, data)
        if piece.frame is not None:
            count, text = cut_piece_text(piece, data)
            assert count == text.count(b"[")
            left = [each.split(",")[0] for each in text.decode()[1:].split("],[") if each]
            found.append(f"cut {','.join(left)}")
        else:
            assert piece.count == inflate(data, piece.text_bytes).count(b"[")
            found.append(f"run {piece.count}")

    assert expected == found


def test_an_empty_segment_takes_nothing() -> None:
    """A range known to be empty has no object and no pieces, with or without its directory."""
    segment = stored("0-100").segment

    assert ("", 0, 0) == (segment.key, segment.stored_bytes, segment.count)
    assert [] == pieces(segment, ALL) == pieces(segment, Range(5, 7))


def test_directory_is_needed_for_cuts_only() -> None:
    """A segment taken whole needs no directory; one that must be cut says that it does."""
    segment = msgspec.structs.replace(stored("0-100", HELD).segment, frames=None)

    assert [7] == [piece.count for piece in pieces(segment, ALL)]
    with pytest.raises(DirectoryMissing, match="p"):
        pieces(segment, Range(15, 100))


def test_a_segment_survives_the_index() -> None:
    """What the index stores as JSON comes back equal."""
    segment = stored("0-100", HELD, sizes=[3]).segment

    assert segment == msgspec.json.decode(msgspec.json.encode(segment), type=Segment)


def test_a_run_is_no_cut() -> None:
    """To cut a piece that says nothing about cutting is a mistake of the caller."""
    held = stored("0-100", HELD)
    [piece] = pieces(held.segment, ALL)

    with pytest.raises(ValueError, match="not a cut frame"):
        cut_piece_text(piece, held.bytes_of(piece))


def test_what_a_cut_leaves_is_a_fragment() -> None:
    """The text of a cut frame is deflated again."""
    text = every(60_000, Range(0, 600 * 60_000)).text

    assert text == inflate(cut_fragment(text), len(text))


@pytest.mark.parametrize("time_range", ["0-100", "30-70", "5-71"])
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda data: b"", id="nothing"),
        pytest.param(lambda data: data[:-1], id="cut short"),
        pytest.param(lambda data: bytes(len(data)), id="zeros"),
        pytest.param(lambda data: data[1:] + data[:1], id="moved by one"),
        pytest.param(lambda data: data.replace(COMMA, COMMA[:-1] + b";"), id="another divider"),
    ],
)
def test_other_bytes_are_noticed(time_range: str, spoil: Callable[[bytes], bytes]) -> None:
    """Whole frames are told from other bytes before they are passed on."""
    held = stored("0-100", HELD, sizes=[2, 2, 2])
    [piece] = pieces(held.segment, span(time_range))

    with pytest.raises(ValueError):
        verify(piece, spoil(held.bytes_of(piece)))


def test_levels_are_compared_by_what_they_say() -> None:
    """As JSON from a look-up or made of frames, and a segment that has some can be a key."""
    held = stored("0-100", HELD).segment
    level = Level.of(900_000, 7, 30, 4, held.frames)
    text = msgspec.json.encode(level)
    found = msgspec.json.decode(text.replace(b",[[", b", [["), type=Level)
    assert (held.frames, held.frames) == (level.frames, found.frames)
    assert level == msgspec.json.decode(text, type=Level)
    leveled = msgspec.structs.replace(held, levels=(level,))
    assert {leveled: 1} == {msgspec.structs.replace(held, levels=(level,)): 1}
    assert Level.of(900_000, 7, 30, 4, None).frames is None
