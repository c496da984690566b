"""Ranged reads and what is kept of them: the pieces, and little else."""

from __future__ import annotations

import pytest

from building_vitals.cache.blobs import (
    READ_BYTES_MAX,
    READ_GAP_BYTES_MAX,
    Blobs,
    ObjectRead,
    ranged_reads,
)
from building_vitals.cache.segments import Piece

DATA = bytes(range(256)) * 16


def part(offset: int, length: int, key: str = "k") -> Piece:
    """Return a piece by its place alone."""
    return Piece(key, "", offset, length, 0, 0, 0, 0)


def test_each_piece_lies_within_one_read() -> None:
    """Scattered over two objects, in any order, one in another, and too long for one read."""
    asked = [
        *(part(offset, 500, key) for key in "ab" for offset in range(0, 3_000_000, 60_000)),
        *(part(10_000, 10), part(10_000, 100), part(10_050, 20), part(10_000, 10)),
        part(5_000_000, READ_BYTES_MAX + 1),
    ]
    reads = ranged_reads(reversed(asked))
    for each in asked:
        [within] = [
            read
            for read in reads
            if read.key == each.key and (each.offset, each.stored_bytes) in read.places
        ]
        assert within.start <= each.offset
        assert each.offset + each.stored_bytes <= within.stop
    lengths = [read.stop - read.start for read in reads]
    assert READ_BYTES_MAX + 1 == max(lengths)
    assert all(each <= READ_BYTES_MAX for each in lengths if each != max(lengths))
    # Of each object 3 MB, and what is longer than a read.
    assert len(reads) == 2 + 2 + 1 + 1
    assert [] == ranged_reads([])


def test_what_lies_far_apart_is_read_apart() -> None:
    """A gap of as many bytes as are read along belongs to a read; a longer one does not."""
    near, far = part(10 + READ_GAP_BYTES_MAX, 5), part(16 + 2 * READ_GAP_BYTES_MAX, 5)
    [first, second] = ranged_reads([part(0, 10), near, far])
    assert (0, near.offset + 5) == (first.start, first.stop)
    assert (far.offset, far.offset + 5) == (second.start, second.stop)


@pytest.mark.parametrize(("length", "is_kept"), [(10, False), (80, True)])
def test_what_lies_between_pieces_is_kept_where_it_is_little(length: int, is_kept: bool) -> None:
    """Of a read for a few scattered pieces there are the pieces only."""
    asked = [part(1_000 + 100 * n, length) for n in range(5)]
    [read] = ranged_reads(asked)
    blobs = Blobs()
    blobs.keep(read, DATA[read.start : read.stop])
    for each in asked:
        own = DATA[each.offset : each.offset + length]
        assert own == blobs.piece(each)
        assert own[3:9] == blobs.slice("k", each.offset + 3, 6)
    if is_kept:
        assert DATA[1_085:1_095] == blobs.slice("k", 1_085, 10)
    else:
        with pytest.raises(LookupError, match="1085"):
            blobs.slice("k", 1_085, 10)


def test_parts_of_parts_are_found() -> None:
    """Where one part lies in another, and where they come from other blobs."""
    blobs, others = Blobs(), Blobs()
    blobs.keep(ObjectRead("k", "", 0, 1_000, [(0, 1_000)]), DATA[:1_000])
    others.add("k", 500, DATA[500:510])
    others.add("l", 7, b"other")
    blobs.take(others)
    assert DATA[505:900] == blobs.slice("k", 505, 395)
    assert DATA[502:507] == blobs.slice("k", 502, 5)
    assert b"the" == bytes(blobs.slice("l", 8, 3))
    for missing in (("k", 999, 2), ("k", -1, 2), ("m", 0, 1)):
        with pytest.raises(LookupError):
            blobs.slice(*missing)
