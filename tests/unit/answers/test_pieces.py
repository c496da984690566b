"""The pieces that an answer is made of: their sums, and the objects they lie in."""

from __future__ import annotations

import msgspec
import pytest

from builders import Stored, samples, span, stored
from building_vitals.answers.pieces import (
    OBJECT_KEYS_MAX,
    PointPieces,
    most_samples,
    object_keys,
    resolve,
    total_stored_bytes,
    total_text_bytes,
)
from building_vitals.cache.coverage import Cover, cover
from building_vitals.cache.segments import DirectoryMissing

FIRST = stored("0-50", samples("10:1 20:2 40:3"), sizes=[2], key="first")
LAST = stored("50-100", samples("60:4"), key="last")


def covered(*held: Stored, text: str = "0-100") -> Cover:
    """Return a point's cover of a range."""
    return cover("p", [each.segment for each in held], span(text))


def test_pieces_follow_the_order_of_time() -> None:
    """Each point has the pieces of its segments, cut to the range; one without any is there too."""
    [found, empty] = resolve([covered(LAST, FIRST), Cover("q", [], [])])
    assert ("p", ["first", "last"]) == (found.point, [piece.key for piece in found.pieces])
    assert PointPieces("q", []) == empty
    [cut] = resolve([covered(FIRST, LAST, text="15-55")])
    assert ["first", "first"] == [piece.key for piece in cut.pieces][:2]
    assert {"first"} == {piece.key for piece in cut.pieces}


def test_a_cut_needs_the_directory_of_frames() -> None:
    """A segment that was looked up without it can be given whole, and not cut."""
    bare = msgspec.structs.replace(FIRST.segment, frames=None)
    held = [Stored(bare, FIRST.blob)]
    assert 3 == most_samples(resolve([covered(*held, text="0-50")]))
    with pytest.raises(DirectoryMissing):
        resolve([covered(*held, text="0-15")])


def test_sums_are_those_of_all_pieces() -> None:
    """Bytes add up over all points; samples count by point."""
    parts = resolve([covered(FIRST, LAST), covered(LAST, text="50-100")])
    assert (4, 0) == (most_samples(parts), most_samples([]))
    text = len("[10,1],[20,2],[40,3]") + 2 * len("[60,4]")
    assert text == total_text_bytes(parts)
    stored_bytes = FIRST.segment.stored_bytes + 2 * LAST.segment.stored_bytes
    assert stored_bytes == total_stored_bytes(parts)


def test_objects_are_named_once_and_at_most_a_hundred() -> None:
    """In the order of their first use; what is more is left out."""
    parts = resolve([covered(FIRST, LAST), covered(FIRST, text="0-50")])
    assert ("first", "last") == object_keys(parts)
    many = [stored(f"{n}-{n + 1}", samples(f"{n}:1"), key=f"k{n:03}") for n in range(150)]
    found = object_keys(resolve([covered(*many, text="0-150")]))
    assert tuple(f"k{n:03}" for n in range(OBJECT_KEYS_MAX)) == found
