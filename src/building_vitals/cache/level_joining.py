"""
Makes the levels of segments that become one, from their own.

Frames are copied; only buckets in which two segments meet, or that a cut goes through, are put
together. Separate from `joining`, and imported late, because few answers are compacted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from building_vitals.cache.joining import BARE_SAMPLES_MAX, Joiner, RunSamples
from building_vitals.cache.rollup_plans import Hours, rollup_of, stretches
from building_vitals.cache.segments import (
    Piece,
    Segment,
    cut_piece_text,
    level_piece,
    of_level,
    pieces,
)
from building_vitals.cache.zooming import Parts, Seam, level_plan
from building_vitals.instants import HOUR_MS
from building_vitals.ranges import Range
from building_vitals.series.frames import COMMA, Frame, Series, frame_text
from building_vitals.series.levels import (
    WIDTHS_MS,
    Columns,
    Levels,
    LevelSeries,
    columns_of,
    is_vain,
    is_worth_keeping,
    thin,
)
from building_vitals.series.rollups import Places, Rollup, RollupBuilder
from building_vitals.series.splicing import inflate

# Where two parts share a bucket, it keeps two samples in place of four. In parts of so many samples
# that is hardly anything of what is noted to be the least count.
NOTED_SAMPLES_MIN = 500
NOTED_SHARE = 0.97

ReadPiece = Callable[[Piece], bytes | memoryview]


def level_pieces(segment: Segment) -> list[Piece]:
    """Return the levels of a segment, those that are kept, and its rollup."""
    found = [
        piece
        for level in segment.levels or ()
        if level.is_kept and level.width_ms > 0
        for piece in pieces(of_level(segment, level), segment.range)
    ]
    rollup = rollup_of(segment)
    if rollup is not None and rollup.frames:
        found.append(level_piece(segment, rollup, range(len(rollup.frames))))
    return found


def join_levels(parts: Parts, joined: Series, read: ReadPiece) -> Levels | None:
    """
    Return the levels of segments that have been joined.

    Args:
        parts: What each of them gives, by time, disjoint.
        joined: What they have become.
        read: Gives the bytes of a piece.

    Returns:
        None where they are to be made of the samples.

    Raises:
        ValueError: the bytes are not that piece.
        DirectoryMissing: a part's directory was left out.
    """
    filled = [(segment, part) for segment, part in parts if segment.count]
    bare = sum(segment.count for segment, _ in filled if segment.levels is None)
    if (
        not joined.count
        or bare > BARE_SAMPLES_MAX
        or not any(level_pieces(segment) for segment, _ in filled)
    ):
        return None
    span_ms = joined.frames[-1].last_ms - joined.frames[0].first_ms
    kept, finer = list[LevelSeries](), joined.count
    for width_ms in WIDTHS_MS:
        if is_vain(width_ms, joined.count, span_ms):
            continue
        series = _level(filled, width_ms, read)
        if is_worth_keeping(series.count, finer):
            kept.append(LevelSeries(width_ms, series))
            finer = series.count
    widths = {each.width_ms for each in kept}
    least = {
        width_ms: int(NOTED_SHARE * share * joined.count)
        for width_ms in WIDTHS_MS
        if width_ms not in widths and (share := _noted_share(filled, width_ms))
    }
    return Levels(tuple(kept), least, _rollup(filled, read))


def _rollup(parts: Parts, read: ReadPiece) -> Series | None:
    """Return the rollup of all parts together; None where one has none, and many samples."""
    bare = sum(segment.count for segment, _ in parts if rollup_of(segment) is None)
    if bare > BARE_SAMPLES_MAX:
        return None
    builder = RollupBuilder()
    for segment, part in parts:
        for each in stretches(segment, part):
            if isinstance(each, Hours):
                rollup = Rollup(frame_text(each.frame, read(each.piece)))
                first, end = ((ms - each.frame.first_ms) // HOUR_MS for ms in each.span)
                builder.add_hours(each.span.start_ms, rollup.sums(Places.of(range(first, end + 1))))
            elif text := _text(each, read):
                builder.add(columns_of(text))
    return builder.build()


def _text(piece: Piece, read: ReadPiece) -> bytes:
    """Return the text of what a piece leaves of samples."""
    if piece.frame is None:
        return inflate(read(piece), piece.text_bytes)
    return cut_piece_text(piece, read(piece))[1]


def _noted_share(parts: Parts, width_ms: int) -> float:
    """Return which share of the samples a level has at least; 0 where that is not noted of all."""
    shares = [
        next(
            (
                each.count / sum(frame.count for frame in segment.frames or ())
                for each in segment.levels or ()
                if each.width_ms == width_ms
                and not each.is_kept
                and segment.count >= NOTED_SAMPLES_MIN
            ),
            0.0,
        )
        for segment, _ in parts
    ]
    return min(shares, default=0.0)


def _level(parts: Parts, width_ms: int, read: ReadPiece) -> Series:
    """Return the level of a width of all parts together."""
    frames = {
        (segment.key, level.offset + frame.offset): frame
        for segment, _ in parts
        for level in segment.levels or ()
        if level.width_ms == width_ms
        for frame in level.frames or ()
    }
    joiner = Joiner(())
    for each in level_plan(parts, width_ms).stretches:
        if isinstance(each, Seam):
            joiner.add_samples(_put_together(each, width_ms, read))
        elif each.frame is not None and each.time_range is not None:
            joiner.add(each.frame, each.time_range, partial(read, each))
        else:
            for frame, data in _frames_of(each, frames, memoryview(read(each))):
                known = Range(frame.first_ms, frame.last_ms + 1)
                joiner.add(frame, known, partial(bytes, data))
    return joiner.build()


def _frames_of(
    piece: Piece, frames: dict[tuple[str, int], Frame], data: memoryview
) -> Iterator[tuple[Frame, memoryview]]:
    """Yield the frames of a run with their bytes."""
    start = 0
    while start < len(data):
        frame = frames[piece.key, piece.offset + start]
        yield frame, data[start : start + frame.stored_bytes]
        start += frame.stored_bytes + len(COMMA)


def _put_together(seam: Seam, width_ms: int, read: ReadPiece) -> RunSamples:
    columns = Columns([], [], [])
    for piece in seam.pieces:
        if text := _text(piece, read):
            columns.extend(columns_of(text))
    kept = columns.picked(thin(columns.times, columns.values, width_ms))
    if not kept.times:
        return RunSamples(0, 0, 0, b"")
    return RunSamples(kept.times[0], kept.times[-1], len(kept.times), kept.text())
