"""
Rows of buckets from stored sums of hours, beside those that are made of all samples.

Imported late, with the rows that it makes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from building_vitals.answers.answer import CacheReport
from building_vitals.answers.body import WHOLE_BYTES_MAX, ByteSource
from building_vitals.answers.formats.encoder import Encoder
from building_vitals.answers.pieces import PointPieces, total_text_bytes
from building_vitals.answers.stream_limit import WIDE_BYTES
from building_vitals.answers.zoom import PieceReader
from building_vitals.cache.rollup_plans import Hours, HoursOrSamples, rollup_plan
from building_vitals.cache.segments import DirectoryMissing, Piece
from building_vitals.series.bucket_sums import Bounds, BucketSums
from building_vitals.series.rollups import Rollup
from building_vitals.series.splicing import inflate

# Points that are read together at the most.
POINTS_MAX = 256

RowsOf = Callable[[ByteSource], AsyncGenerator[bytes]]


class RolledPoint(NamedTuple):
    """A point with what is to be read of it; None where all of its samples are."""

    part: PointPieces
    plan: list[HoursOrSamples] | None


class Rolling(NamedTuple):
    """
    How sums are turned into rows.

    Attributes:
        aggregates: In the order of a row.
        bounds: Of the buckets.
        report: Told how many rows had been known.
        of_samples: Yields the rows of points whose samples are gone through, and tells the report.
    """

    aggregates: Sequence[str]
    bounds: Bounds
    report: CacheReport
    of_samples: RowsOf


async def rolled(source: ByteSource, encoder: Encoder, wish: Rolling) -> AsyncGenerator[bytes]:
    """
    Yield the body of an answer but for its end.

    Raises:
        LostObjects: an object is gone or not what the index says, and the index has forgotten it.
    """
    for group in _groups(source, wish.bounds):
        if group[0].plan is None:
            alone = source._replace(parts=[group[0].part])
            async with aclosing(wish.of_samples(alone)) as chunks:
                async for chunk in chunks:
                    yield chunk
            continue
        reader = PieceReader(source.made.union(source.fresh))
        await reader.read(_pieces(each for point in group for each in point.plan or ()), source)
        for part, plan in group:
            sums = BucketSums(wish.bounds)
            await _add(sums, plan or (), reader, source)
            rows, before = list(sums.rows(wish.aggregates)), encoder.samples
            encoder.begin_point(part.point, sum(count for count, _ in rows))
            for count, text in rows:
                encoder.add_text(count, text)
            encoder.end_point(part.error)
            known = sums.known_rows()
            wish.report.samples_from_cache += known
            wish.report.samples_fetched += encoder.samples - before - known
            if encoder.pending >= source.window_bytes() // 2:
                yield encoder.take()
        yield encoder.take()


async def _add(
    sums: BucketSums, plan: Sequence[HoursOrSamples], reader: PieceReader, source: ByteSource
) -> None:
    """
    Add up what has been read of a point.

    Raises:
        LostObjects: some of it is not what the index says.
    """
    for each in plan:
        piece = each.piece if isinstance(each, Hours) else each
        is_known = reader.is_known(piece)
        try:
            if isinstance(each, Hours):
                # The bytes have been compared with what was stored.
                rollup = Rollup(inflate(reader.blobs.piece(piece), each.frame.text_bytes))
                sums.add_hours(rollup, each.span, each.frame.first_ms, is_known=is_known)
            elif text := reader.text(piece):
                sums.add_samples(text, is_known=is_known)
        except ValueError as error:
            raise await source.store.lost([piece.place]) from error


def _pieces(plan: Iterator[HoursOrSamples]) -> Iterator[Piece]:
    for each in plan:
        yield each.piece if isinstance(each, Hours) else each


def _plan(part: PointPieces, bounds: Bounds) -> list[HoursOrSamples] | None:
    """Return what is to be read of a point; None where all of its samples are."""
    try:
        return rollup_plan(part.known, bounds.bounds_ms[1:-1])
    except DirectoryMissing:
        # What would have to be cut was looked up as a whole.
        return None


def rolled_bytes(parts: Sequence[PointPieces], bounds: Bounds) -> int:
    """Return about how many bytes of text have to be gone through for rows."""
    size = 0
    for part in parts:
        plan = _plan(part, bounds)
        size += (
            total_text_bytes([part])
            if plan is None
            else sum(piece.text_bytes for piece in _pieces(iter(plan)))
        )
    return size


def _groups(source: ByteSource, bounds: Bounds) -> Iterator[list[RolledPoint]]:
    """Yield the points in order, as many together as are read at once."""
    group: list[RolledPoint] = []
    size = 0
    bytes_max = WHOLE_BYTES_MAX if source.window_bytes() >= WIDE_BYTES else source.window_bytes()
    for part in source.parts:
        plan = _plan(part, bounds)
        cost = sum(piece.stored_bytes for piece in _pieces(iter(plan or ())))
        is_full = size + cost > bytes_max or len(group) == POINTS_MAX
        if group and (plan is None or is_full):
            yield group
            group, size = [], 0
        if plan is None:
            yield [RolledPoint(part, None)]
            continue
        group.append(RolledPoint(part, plan))
        size += cost
    if group:
        yield group
