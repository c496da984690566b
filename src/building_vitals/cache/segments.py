"""
Segments as the index knows them, and the pieces of objects that answer a range.

A segment's samples lie in one object as a series (`frames`), or in its row of the index where they
are few: it is a sliver then. What a range takes of it is at most three pieces: a cut frame, a run
of whole frames, a cut frame.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple, Self

import msgspec

from building_vitals.cache.object_keys import ROWS
from building_vitals.ranges import Range
from building_vitals.series.frames import (
    COMMA,
    NO_COUNT,
    NO_CRC,
    Frame,
    Series,
    cut_text,
    frame_text,
)
from building_vitals.series.splicing import fragment, growth

# Cut frames are deflated again for each answer: speed matters more than the last bytes.
CUT_COMPRESSION_LEVEL = 1
# A segment of no more stored bytes is thinned from its samples each time.
LEVELED_BYTES_MIN = 2_048

# Directories that are decoded at once: of a point, each is looked at some times.
DIRECTORIES_MAX = 64

_FIRST_MS, _LAST_MS = attrgetter("first_ms"), attrgetter("last_ms")
_COUNT = attrgetter("count")
_FRAMES: msgspec.json.Decoder[tuple[Frame, ...] | None] = msgspec.json.Decoder(
    tuple[Frame, ...] | None
)


@lru_cache(maxsize=DIRECTORIES_MAX)
def _frames_of(directory: bytes) -> tuple[Frame, ...] | None:
    return _FRAMES.decode(directory)


class Place(NamedTuple):
    """
    Where stored bytes lie that may turn out to be lost.

    Attributes:
        key: The object, or what was stored in rows at once.
        point: Whose row it is; empty for an object.
    """

    key: str
    point: str = ""


class Level(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    One level of a segment's samples, as a series of its own, or their rollup.

    Of one that is not kept, because it would hardly have fewer samples, the least count is noted.

    Attributes:
        width_ms: Of its buckets, which begin at multiples of it; those at the segment's ends hold
            what of them lies in its series. Below 0 of a rollup.
        offset, stored_bytes: The level's place in the object, bytes; 0 bytes of one not kept.
        count: Samples, of a rollup hours; of one not kept at least so many, and of each part their
            share.
        directory: As JSON, null where the index left it out because it has too many samples: a
            look-up brings those of many levels, and an answer reads few of them.
    """

    width_ms: int
    offset: int
    stored_bytes: int
    count: int
    directory: msgspec.Raw

    @classmethod
    def of(
        cls,
        width_ms: int,
        offset: int = 0,
        stored_bytes: int = 0,
        count: int = 0,
        frames: tuple[Frame, ...] | None = (),
    ) -> Self:
        """Return a level with its directory as frames."""
        directory = msgspec.Raw(msgspec.json.encode(frames))
        return cls(width_ms, offset, stored_bytes, count, directory)

    def __hash__(self) -> int:
        return hash((self.width_ms, self.offset, self.stored_bytes, self.count))

    @property
    def frames(self) -> tuple[Frame, ...] | None:
        """Its directory; None where it was left out."""
        return _frames_of(bytes(self.directory))

    @property
    def is_kept(self) -> bool:
        """Whether there is a series of it."""
        return self.stored_bytes > 0


class Segment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    One point over one range that is known.

    Attributes:
        point: Its name.
        start_ms, end_ms: The range.
        fetched_ms: When the fetch began that it is known from; of several, the first.
        key: The object its series lies in; empty when there are no samples. Of a sliver, the name
            of all that was stored in rows with it.
        object_etag: The object's entity tag, so that another object under the key is noticed; empty
            where there is no object.
        offset, stored_bytes: The series' place in the object, bytes; for a sliver, as if there were
            one.
        text_bytes: Bytes of the series' text.
        count: Samples; of a cut one about so many, 0 only where there are none.
        crc, crc_growth: CRC-32 and growth of the series' text.
        data_crc: CRC-32 of the series' bytes.
        frames: Directory; None where the index left it out because the segment is taken whole. Of
            a long one it may leave out frames far from any cut: `pieces` notices.
        is_by_point: Whether it came of calls by point, else of pages, which are raw samples.
        is_cut: Whether its series reaches beyond its range: the rest of it was purged.
        levels: Of its series: a rollup, the notes of those that are not kept, those that are, the
            finest first; None where none were made, or the index left them out.
        data: Of a sliver, its series' bytes; None where the index left them out because there are
            too many.
    """

    point: str
    start_ms: int
    end_ms: int
    fetched_ms: int
    key: str
    object_etag: str
    offset: int
    stored_bytes: int
    text_bytes: int
    count: int
    crc: int
    crc_growth: int
    data_crc: int
    frames: tuple[Frame, ...] | None = None
    is_by_point: bool = False
    is_cut: bool = False
    levels: tuple[Level, ...] | None = None
    data: bytes | None = None

    @property
    def range(self) -> Range:
        """The range that is known."""
        return Range(self.start_ms, self.end_ms)

    @property
    def is_sliver(self) -> bool:
        """Whether its series lies in its row."""
        # As `is_row_key` says; asked some times of each segment of an answer.
        return self.key.startswith(ROWS)

    @property
    def is_block(self) -> bool:
        """Whether it lies in a block, with those of all points of the site, and has no row."""
        return False

    @property
    def lacks_levels(self) -> bool:
        """Whether levels are worth making; of one that was looked up with those that it has."""
        is_long = self.stored_bytes > LEVELED_BYTES_MIN
        return self.levels is None and is_long and not self.is_sliver

    @property
    def has_directory(self) -> bool:
        """Whether all frames of its directory are at hand."""
        frames = self.frames
        return frames is not None and not any(
            _is_hole(frames, n, self.stored_bytes) for n in range(len(frames) + 1)
        )

    @property
    def is_left_out(self) -> bool:
        """Whether it is a sliver whose bytes are not at hand."""
        return self.data is None and self.is_sliver

    @property
    def place(self) -> Place:
        """Where its series lies."""
        return Place(self.key, self.point if self.is_sliver else "")


class BlockSegment(Segment, frozen=True, array_like=True, gc=False):
    """
    A segment of a block: no row of the index is its own.

    Attributes:
        is_once: Whether it was fetched for a request, and not by a follow.
    """

    is_once: bool = False

    @property
    def is_block(self) -> bool:
        """It is."""
        return True


def segment_of(
    point: str,
    known: Range,
    series: Series,
    *,
    fetched_ms: int,
    key: str,
    offset: int,
    is_by_point: bool = False,
) -> Segment:
    """Return the segment a series makes, placed at *offset* of the object *key*."""
    frames = series.frames
    last = frames[-1] if frames else None
    return Segment(
        point=point,
        start_ms=known.start_ms,
        end_ms=known.end_ms,
        fetched_ms=fetched_ms,
        key=key if frames else "",
        object_etag="",
        offset=offset,
        stored_bytes=len(series.data),
        text_bytes=last.raw_end if last else 0,
        count=series.count,
        crc=last.crc if last else 0,
        crc_growth=last.crc_growth if last else growth(0),
        data_crc=zlib.crc32(series.data),
        frames=frames,
        is_by_point=is_by_point,
    )


class Sliver(NamedTuple):
    """
    The bytes of a sliver: its point, the series' place, and the series.

    *offset* is that of the segment.
    """

    point: str
    offset: int
    data: bytes


class Check(NamedTuple):
    """
    What some bytes of a piece should be.

    Attributes:
        length: How many they are.
        crc: The CRC-32 they should have, counted on from *seed*.
        seed: CRC-32 of what the series has before them; 0 where that is not counted in.
    """

    length: int
    crc: int
    seed: int = 0


class Piece(msgspec.Struct, frozen=True, gc=False):
    """
    Neighbouring bytes of an object that an answer needs, or of a sliver.

    Attributes:
        key, object_etag: The object.
        offset, stored_bytes: Bytes of it.
        text_bytes: Bytes of their text.
        count: Samples of their text.
        crc: CRC-32 of the series up to the piece's end.
        crc_growth: Growth of the series up to the piece's end.
        before: Of a run that does not begin the series: CRC-32 of what comes before it, and the
            growth of minus its length.
        checks: What each part of the bytes should be; between two parts lies a comma.
        frame: Set for a frame that must be cut.
        time_range: What to cut it to.
        sliver: Set where they lie in no object.
    """

    key: str
    object_etag: str
    offset: int
    stored_bytes: int
    text_bytes: int
    count: int
    crc: int
    crc_growth: int
    before: tuple[int, int] | None = None
    checks: tuple[Check, ...] = ()
    frame: Frame | None = None
    time_range: Range | None = None
    sliver: Sliver | None = None

    @property
    def place(self) -> Place:
        """Where the bytes lie."""
        return Place(self.key, self.sliver.point if self.sliver else "")

    def sliver_bytes(self) -> memoryview | None:
        """Return the bytes, if they lie in a sliver; too few, if it is spoilt."""
        if self.sliver is None:
            return None
        start = self.offset - self.sliver.offset
        return memoryview(self.sliver.data)[start : start + self.stored_bytes]


def pieces(segment: Segment, time_range: Range) -> list[Piece]:
    """
    Return what *time_range* takes of a segment, in order of time.

    Raises:
        DirectoryMissing: the segment must be cut and its directory was left out, or the part of it
            that tells where.
        SliverMissing: it is a sliver whose bytes were left out.
    """
    shared = segment.range.clip(time_range)
    if not segment.count or shared is None:
        return []
    if segment.is_left_out:
        raise SliverMissing(segment.point)
    if shared == segment.range and not segment.is_cut:
        return [_whole_piece(segment)]
    if segment.frames is None:
        raise DirectoryMissing(segment.point)
    return _cut_pieces(segment, segment.frames, shared)


def _cut_pieces(segment: Segment, frames: Sequence[Frame], shared: Range) -> list[Piece]:
    begin, end = places_within(frames, shared)
    is_begun = begin < end and frames[begin].first_ms < shared.start_ms
    is_cut_off = begin < end and frames[end - 1].last_ms >= shared.end_ms
    for n in {begin, begin + is_begun, end - is_cut_off, end}:
        if _is_hole(frames, n, segment.stored_bytes):
            raise DirectoryMissing(segment.point)
    if begin == end:
        return []
    if end - begin == 1 and (is_begun or is_cut_off):
        return [_cut_piece(segment, frames[begin], shared)]
    found = [_cut_piece(segment, frames[begin], shared)] if is_begun else []
    run = range(begin + is_begun, end - is_cut_off)
    if run:
        found.append(_run_piece(segment, frames, run))
    if is_cut_off:
        found.append(_cut_piece(segment, frames[end - 1], shared))
    return found


def of_level(segment: Segment, level: Level) -> Segment:
    """Return the segment as if its samples were those of one of its levels."""
    return msgspec.structs.replace(
        segment,
        offset=level.offset,
        stored_bytes=level.stored_bytes,
        count=level.count,
        frames=level.frames,
        # Always taken by its directory.
        is_cut=True,
        levels=None,
    )


def level_piece(segment: Segment, level: Level, run: range) -> Piece:
    """Return neighbouring frames of a level, or of a rollup, as one piece."""
    return _run_piece(of_level(segment, level), level.frames or (), run)


def places_within(frames: Sequence[Frame], time_range: Range) -> tuple[int, int]:
    """Return the first and, one further, the last place of frames that may lie in a range."""
    begin = bisect_left(frames, time_range.start_ms, key=_LAST_MS)
    return begin, bisect_left(frames, time_range.end_ms, begin, key=_FIRST_MS)


def _is_hole(frames: Sequence[Frame], n: int, stored_bytes: int) -> bool:
    """Return whether frames were left out before the *n*-th of those at hand."""
    before = frames[n - 1].offset + frames[n - 1].stored_bytes + len(COMMA) if n else 0
    return before != (frames[n].offset if n < len(frames) else stored_bytes + len(COMMA))


class DirectoryMissing(LookupError):
    """A segment has to be cut, but its frame directory was not loaded."""


class SliverMissing(LookupError):
    """A sliver is needed whose bytes were not loaded."""


def _sliver(segment: Segment) -> Sliver | None:
    if segment.data is None:
        return None
    return Sliver(segment.point, segment.offset, segment.data)


def _whole_piece(segment: Segment) -> Piece:
    return Piece(
        key=segment.key,
        object_etag=segment.object_etag,
        offset=segment.offset,
        stored_bytes=segment.stored_bytes,
        text_bytes=segment.text_bytes,
        count=segment.count,
        crc=segment.crc,
        crc_growth=segment.crc_growth,
        checks=(Check(segment.stored_bytes, segment.data_crc),),
        sliver=_sliver(segment),
    )


def _run_piece(segment: Segment, frames: Sequence[Frame], run: range) -> Piece:
    first, last = frames[run[0]], frames[run[-1]]
    stored_bytes = last.offset + last.stored_bytes - first.offset
    return Piece(
        key=segment.key,
        object_etag=segment.object_etag,
        offset=segment.offset + first.offset,
        stored_bytes=stored_bytes,
        text_bytes=last.raw_end - first.text_offset,
        count=samples_of(frames, run),
        crc=last.crc,
        crc_growth=last.crc_growth,
        before=(first.crc_before, first.crc_shrink) if first.text_offset else None,
        checks=(
            tuple(Check(each.stored_bytes, each.data_crc) for each in frames[run[0] : run.stop])
            if last.series_crc == NO_CRC
            else (Check(stored_bytes, last.series_crc, _crc_before(frames, run[0])),)
        ),
        sliver=_sliver(segment),
    )


def samples_of(frames: Sequence[Frame], run: range) -> int:
    """Return the samples of neighbouring frames; those between may have been left out."""
    first, last = frames[run[0]], frames[run[-1]]
    if first.samples_before == NO_COUNT:
        return sum(map(_COUNT, frames[run[0] : run.stop]))
    return last.samples_before + last.count - first.samples_before


def _crc_before(frames: Sequence[Frame], n: int) -> int:
    """Return the CRC-32 of a series' bytes before its *n*-th frame."""
    return zlib.crc32(COMMA, frames[n - 1].series_crc) if n else 0


def _cut_piece(segment: Segment, frame: Frame, time_range: Range) -> Piece:
    return Piece(
        key=segment.key,
        object_etag=segment.object_etag,
        offset=segment.offset + frame.offset,
        stored_bytes=frame.stored_bytes,
        text_bytes=frame.text_bytes,
        count=frame.count,
        crc=0,
        crc_growth=0,
        frame=frame,
        time_range=time_range,
        sliver=_sliver(segment),
    )


def verify(piece: Piece, data: bytes | memoryview) -> None:
    """
    Return when the bytes are those that were stored.

    Raises:
        ValueError: they are not.
    """
    if piece.frame is not None and zlib.crc32(data) != piece.frame.data_crc:
        raise ValueError("bytes are not those that were stored")
    offset = 0
    for length, crc, seed in piece.checks:
        if offset:
            if data[offset : offset + len(COMMA)] != COMMA:
                raise ValueError("frames are not divided by a comma")
            offset += len(COMMA)
        if zlib.crc32(data[offset : offset + length], seed) != crc:
            raise ValueError("bytes are not those that were stored")
        offset += length


def cut_piece_text(piece: Piece, data: bytes | memoryview) -> tuple[int, bytes]:
    """
    Return the count and the text of what a cut frame leaves.

    Raises:
        ValueError: the bytes are not that frame.
    """
    if piece.frame is None or piece.time_range is None:
        raise ValueError("piece is not a cut frame")
    return cut_text(frame_text(piece.frame, data), piece.time_range)


def cut_fragment(text: bytes) -> bytes:
    """Return the text of a cut frame as a fragment."""
    return fragment(text, CUT_COMPRESSION_LEVEL)
