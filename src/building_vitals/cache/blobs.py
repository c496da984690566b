"""
Which parts of objects are read to have some pieces, and the pieces within what was read.

Pure: the store reads what is named here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from building_vitals.cache.segments import Piece

# Bytes between two wanted parts of an object that are read along rather than asked for twice.
READ_GAP_BYTES_MAX = 65_536
# Bytes of one ranged read: with some under way, what is held of a block whose points lie scattered.
READ_BYTES_MAX = 2_097_152
# Where what is wanted is a smaller share of what is read, the rest is not kept.
KEPT_SHARE = 0.75


class ObjectRead(NamedTuple):
    """
    Bytes [start, stop) of an object.

    Attributes:
        key, object_etag: The object, and its entity tag.
        places: Where the pieces lie in it, and their bytes; in order.
        is_sparse: Whether many of the bytes lie between them.
    """

    key: str
    object_etag: str
    start: int
    stop: int
    places: list[tuple[int, int]]

    @property
    def is_sparse(self) -> bool:
        """Whether many of the bytes lie between the pieces."""
        size = sum(length for _, length in self.places)
        return size < KEPT_SHARE * (self.stop - self.start)


def ranged_reads(pieces: Iterable[Piece]) -> list[ObjectRead]:
    """Return what to read so that every piece lies within one read."""
    by_object: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for piece in pieces:
        of_object = by_object.setdefault((piece.key, piece.object_etag), set())
        of_object.add((piece.offset, piece.stored_bytes))
    found: list[ObjectRead] = []
    for (key, object_etag), of_object in by_object.items():
        start = stop = 0
        places: list[tuple[int, int]] = []
        for offset, length in sorted(of_object):
            end = offset + length
            is_near = offset <= stop + READ_GAP_BYTES_MAX and end - start <= READ_BYTES_MAX
            if places and not is_near:
                found.append(ObjectRead(key, object_etag, start, stop, places))
                places = []
            if not places:
                start = stop = offset
            places.append((offset, length))
            stop = max(stop, end)
        found.append(ObjectRead(key, object_etag, start, stop, places))
    return found


class Blobs:
    """Parts of objects that have been read, and the pieces within them."""

    def __init__(self) -> None:
        # Of each object where its parts begin, in order, and the parts.
        self._parts: dict[str, tuple[list[int], list[memoryview]]] = {}

    def add(self, key: str, offset: int, data: bytes | memoryview) -> None:
        """Keep the bytes of an object from *offset* on."""
        offsets, parts = self._parts.setdefault(key, ([], []))
        n = bisect_right(offsets, offset)
        offsets.insert(n, offset)
        parts.insert(n, memoryview(data))

    def keep(self, read: ObjectRead, data: bytes) -> None:
        """Keep what was read, or only what is wanted where that is little of it."""
        if not read.is_sparse:
            self.add(read.key, read.start, data)
            return
        for offset, length in read.places:
            begin = offset - read.start
            self.add(read.key, offset, data[begin : begin + length])

    def take(self, others: Blobs) -> None:
        """Keep what others have, too."""
        for key, parts in others._parts.items():
            for offset, data in zip(*parts, strict=True):
                self.add(key, offset, data)

    def piece(self, piece: Piece) -> memoryview:
        """
        Return the bytes of a piece.

        Raises:
            LookupError: it has not been read.
        """
        data = piece.sliver_bytes()
        return self.slice(piece.key, piece.offset, piece.stored_bytes) if data is None else data

    def slice(self, key: str, offset: int, length: int) -> memoryview:
        """
        Return bytes of an object.

        Raises:
            LookupError: they have not been read.
        """
        offsets, parts = self._parts.get(key, ([], []))
        # Nearly always the last that begins no later; one that lies in another may come between.
        for n in range(bisect_right(offsets, offset) - 1, -1, -1):
            start = offset - offsets[n]
            if start + length <= len(parts[n]):
                return parts[n][start : start + length]
        raise LookupError(f"not read: {key} at {offset}")
