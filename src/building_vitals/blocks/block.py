"""
The bytes of a block: all points of a site over a range, as one object.

    series levels ... | leaf ... | foot

The series lie one behind the other, ordered by a 64-bit hash of their point's name, then by the
name; a long one has its levels behind it. The leaves are the directory, in the same order: each is
the entries of neighbouring points, deflated, for names and times repeat themselves. The foot says
what range is known, and of each leaf the first hash, the place and the CRC-32; its own place and
CRC-32 stand in the block's row. So a point is found by bisection in the foot and one look into a
leaf, and a point without an entry is known to have no samples. Blocks are merged by reading them
from the beginning to the end.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Container, Sequence
from typing import NamedTuple

import msgspec

from building_vitals.ranges import Range
from building_vitals.series.frames import Frame, Series

VERSION = 1
# A leaf is closed when its entries have so many bytes, or are so many: of points with a sample each
# that is 4 KB, of a month of 5-minute data 16 points.
LEAF_BYTES = 16_384
LEAF_ENTRIES_MAX = 64
LEAF_COMPRESSION_LEVEL = 6
HASH_BYTES = 8


class LostBlock(Exception):
    """A block is gone, or not what was stored."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class StintLevel(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    One level of a stint's series, or its rollup, as `cache.segments.Level` has it.

    Attributes:
        width_ms: Of its buckets; below 0 of a rollup.
        stored_bytes: 0 of one that is not kept.
        count: Samples, of a rollup hours; of one that is not kept at least so many.
        frames: Its directory.
    """

    width_ms: int
    stored_bytes: int
    count: int
    frames: tuple[Frame, ...]


class LevelBytes(NamedTuple):
    """
    The levels of a series as they lie behind it.

    Attributes:
        levels: A rollup first, then the notes of those that are not kept, then those that are.
        data: The bytes of all of them, in that order.
    """

    levels: tuple[StintLevel, ...]
    data: bytes


class Stint(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    One range of one point that is known.

    Attributes:
        start_ms, end_ms: The range.
        offset, stored_bytes: The series' place in the block, bytes; 0 bytes of no samples.
        data_crc: CRC-32 of the series' bytes.
        frames: Directory of the series.
        fetched_ms: When it was fetched, where that matters; 0: when the block was.
        levels: Of the series, behind it in this order; None where none were made.
    """

    start_ms: int
    end_ms: int
    offset: int
    stored_bytes: int
    data_crc: int
    frames: tuple[Frame, ...]
    fetched_ms: int = 0
    levels: tuple[StintLevel, ...] | None = None

    @property
    def range(self) -> Range:
        """The range that is known."""
        return Range(self.start_ms, self.end_ms)


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """All that a block knows of one point: its stints, by time, disjoint."""

    point: str
    stints: tuple[Stint, ...]


class _LeafEntry(msgspec.Struct, frozen=True, array_like=True):
    """An entry whose stints are left as they came, as most of a leaf's are of no interest."""

    point: str
    stints: msgspec.Raw


class Leaf(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    Where neighbouring entries lie.

    Attributes:
        first_hash: Of the first of them.
        offset, stored_bytes: Their place in the block, bytes.
        text_bytes: Bytes of them inflated.
        crc: CRC-32 of the stored bytes.
        entries: How many they are.
    """

    first_hash: int
    offset: int
    stored_bytes: int
    text_bytes: int
    crc: int
    entries: int


class Foot(msgspec.Struct, frozen=True, array_like=True):
    """
    The end of a block.

    Attributes:
        version: Of this form.
        ranges: What is known of points without an entry: that they have no samples; by time,
            disjoint.
        leaves: The directory, in the order of hashes.
        oldest_ms: Of stints that were fetched before the block, the earliest instant; 0: of none.
        fetched_ms: Of each range, when it was fetched, where that matters; 0, or left out: when the
            block was.
    """

    version: int
    ranges: tuple[Range, ...]
    leaves: tuple[Leaf, ...]
    oldest_ms: int = 0
    fetched_ms: tuple[int, ...] = ()

    def empty_stints(self) -> list[Stint]:
        """Return what is known of points without an entry."""
        instants = self.fetched_ms or (0,) * len(self.ranges)
        pairs = zip(self.ranges, instants, strict=True)
        return [Stint(*known, 0, 0, 0, (), fetched_ms) for known, fetched_ms in pairs]


class DirectoryPlace(msgspec.Struct, frozen=True, gc=False):
    """
    Where a directory lies in its block, bytes.

    Attributes:
        offset: Of its first leaf.
        foot_offset, foot_bytes, foot_crc: The foot, with which it ends, and the CRC-32.
    """

    offset: int
    foot_offset: int
    foot_bytes: int
    foot_crc: int


class Known(NamedTuple):
    """
    A range of a point that is known.

    Attributes:
        range: The range.
        series: The samples there.
        fetched_ms: When it was fetched, where that is not when its block was, else 0.
        levels: Of the series, where some were made.
    """

    range: Range
    series: Series
    fetched_ms: int = 0
    levels: LevelBytes | None = None


_FOOT = msgspec.msgpack.Decoder(Foot)
_ENTRIES = msgspec.msgpack.Decoder(list[Entry])
_LEAF_ENTRIES = msgspec.msgpack.Decoder(list[_LeafEntry])
_STINTS = msgspec.msgpack.Decoder(tuple[Stint, ...])


def name_hash(point: str) -> int:
    """Return the 64-bit hash that a block orders its points by."""
    return int.from_bytes(hashlib.sha256(point.encode()).digest()[:HASH_BYTES], "big")


def place_in_order(point: str) -> tuple[int, str]:
    """Return what a block orders its points by, equal hashes included."""
    return name_hash(point), point


class BlockBuilder:
    """
    Makes a block, point after point; no more is held than the directory and what nobody has taken.

    Attributes:
        points, samples: How many points with samples have been added, and their samples.
        stored_bytes: Bytes of the block so far.
    """

    def __init__(self, ranges: Sequence[Range], fetched_ms: Sequence[int] = ()) -> None:
        """
        Args:
            ranges: What is known of points without an entry; by time, disjoint.
            fetched_ms: When each was fetched, as `Foot` has it.
        """
        self._fetched_ms = tuple(fetched_ms) or (0,) * len(ranges)
        self.points = self.samples = self.stored_bytes = 0
        self._ranges = tuple(ranges)
        self._oldest_ms = min(filter(None, self._fetched_ms), default=0)
        self._made: list[bytes] = []
        self._last: tuple[int, str] = (-1, "")
        self._open: list[bytes] = []
        self._open_hash = 0
        self._open_bytes = 0
        self._leaves: list[tuple[Leaf, bytes]] = []

    def add(self, point: str, known: Sequence[Known]) -> Entry | None:
        """
        Add all that is known of a point, and return its entry; without samples in just the block's
        ranges it has none.

        Args:
            point: Its name; behind the one before in the order of `place_in_order`.
            known: Its ranges with their series; by time, disjoint.

        Raises:
            ValueError: the point is out of order.
        """
        place = place_in_order(point)
        if place <= self._last:
            raise ValueError(f"points out of order: {point!r}")
        self._last = place
        samples = sum(each.series.count for each in known)
        if not samples and list(zip(self._ranges, self._fetched_ms, strict=True)) == [
            (each.range, each.fetched_ms) for each in known
        ]:
            return None
        self.points += samples > 0
        self.samples += samples
        stints = []
        for time_range, series, fetched_ms, of_levels in known:
            offset = self.stored_bytes if series.frames else 0
            crc = zlib.crc32(series.data)
            if fetched_ms:
                self._oldest_ms = min(self._oldest_ms or fetched_ms, fetched_ms)
            size = len(series.data)
            levels, level_data = of_levels or (None, b"")
            stints.append(Stint(*time_range, offset, size, crc, series.frames, fetched_ms, levels))
            self._append(series.data)
            self._append(level_data)
        entry = Entry(point, tuple(stints))
        text = msgspec.msgpack.encode(entry)
        if not self._open:
            self._open_hash = place[0]
        self._open.append(text)
        self._open_bytes += len(text)
        if self._open_bytes >= LEAF_BYTES or len(self._open) == LEAF_ENTRIES_MAX:
            self._close()
        return entry

    def _append(self, data: bytes) -> None:
        if data:
            self._made.append(data)
            self.stored_bytes += len(data)

    def _close(self) -> None:
        """Close the open leaf: entries behind each other, as one array."""
        # An array32 of MessagePack: its entries have been encoded one at a time.
        text = b"".join([b"\xdd", len(self._open).to_bytes(4, "big"), *self._open])
        data = zlib.compress(text, LEAF_COMPRESSION_LEVEL)
        leaf = Leaf(self._open_hash, 0, len(data), len(text), zlib.crc32(data), len(self._open))
        self._leaves.append((leaf, data))
        self._open, self._open_bytes = [], 0

    def take(self) -> bytes:
        """Return the bytes that have been made since the last call."""
        made, self._made = self._made, []
        return b"".join(made)

    @property
    def untaken_bytes(self) -> int:
        """How many bytes `take` would return."""
        return sum(map(len, self._made))

    def end(self) -> DirectoryPlace:
        """Append the directory; all points have been added, and `take` returns the rest."""
        if self._open:
            self._close()
        begin = self.stored_bytes
        leaves: list[Leaf] = []
        for leaf, data in self._leaves:
            leaves.append(msgspec.structs.replace(leaf, offset=self.stored_bytes))
            self._append(data)
        instants = self._fetched_ms if any(self._fetched_ms) else ()
        foot = msgspec.msgpack.encode(
            Foot(VERSION, self._ranges, tuple(leaves), self._oldest_ms, instants)
        )
        place = DirectoryPlace(begin, self.stored_bytes, len(foot), zlib.crc32(foot))
        self._append(foot)
        return place


def foot_of(data: bytes, crc: int) -> Foot:
    """
    Return the foot that some bytes are.

    Raises:
        ValueError: they are not the bytes that were stored, or of another form.
    """
    if zlib.crc32(data) != crc:
        raise ValueError("not the foot that was stored")
    foot = _FOOT.decode(data)
    if foot.version != VERSION:
        raise ValueError(f"version of a block: {foot.version}; {VERSION} is known")
    return foot


def entries_of(
    leaf: Leaf, data: bytes | memoryview, points: Container[str] | None = None
) -> list[Entry]:
    """
    Return the entries of a leaf.

    Args:
        leaf: The leaf.
        data: Its bytes.
        points: Whose entries are wanted; left out, all.

    Raises:
        ValueError: the bytes are not those that were stored.
    """
    if zlib.crc32(data) != leaf.crc:
        raise ValueError("not the leaf that was stored")
    try:
        text = zlib.decompressobj().decompress(data, leaf.text_bytes + 1)
    except zlib.error as error:
        raise ValueError(f"not a leaf: {error}") from error
    if len(text) != leaf.text_bytes:
        raise ValueError(f"leaf holds {len(text)} bytes or more, expected {leaf.text_bytes}")
    if points is None:
        return _ENTRIES.decode(text)
    return [
        Entry(each.point, _STINTS.decode(each.stints))
        for each in _LEAF_ENTRIES.decode(text)
        if each.point in points
    ]
