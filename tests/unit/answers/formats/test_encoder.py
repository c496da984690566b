"""The text of a piece, as every format reads it."""

from __future__ import annotations

from builders import samples, stored
from building_vitals.answers.formats.encoder import piece_text
from building_vitals.cache.segments import pieces
from building_vitals.ranges import Range

ALL = Range(0, 100)


def test_text_of_pieces() -> None:
    """A piece's text is that of its samples: of all for a run, of those inside for a cut."""
    held = stored("0-100", samples("10:1 20:2 30:3"), sizes=[2])
    [whole] = pieces(held.segment, ALL)
    [cut, run] = pieces(held.segment, Range(15, 99))

    assert (3, b"[10,1],[20,2],[30,3]") == piece_text(whole, held.bytes_of(whole))
    assert (1, b"[20,2]") == piece_text(cut, held.bytes_of(cut))
    assert (1, b"[30,3]") == piece_text(run, held.bytes_of(run))
