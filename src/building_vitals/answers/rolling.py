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
from building_vitals.answers.pieces import PointPieces, RolledOf, total_stored_bytes
from building_vitals.answers.question import Aggregation
from building_vitals.answers.stream_limit import WIDE_BYTES
from building_vitals.answers.zoom import PieceReader
from building_vitals.cache.coverage import Cover
from building_vitals.cache.rollup_plans import Hours, HoursOrSamples, pieces_of, rollup_plan
from building_vitals.ranges import Range
from building_vitals.series.bucket_sums import Bounds, BucketSums
from building_vitals.series.buckets import Buckets, parse_interval
from building_vitals.series.rollups import Rollup
from building_vitals.series.splicing import inflate

# Points that are read together at the most.
POINTS_MAX = 256

RowsOf = Callable[[ByteSource], AsyncGenerator[bytes]]


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
    for group in _groups(source):
        if group[0].plan is None:
            alone = source._replace(parts=group)
            async with aclosing(wish.of_samples(alone)) as chunks:
                async for chunk in chunks:
                    yield chunk
            continue
        reader = PieceReader(source.made.union(source.fresh))
        await reader.read([piece for part in group for piece in part.pieces], source)
        for part in group:
            sums = BucketSums(wish.bounds)
            await _add(sums, part.plan or (), reader, source)
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


def rolled_points(aggregation: Aggregation, time_range: Range) -> RolledOf:
    """Return what gives points with a plan for rows of rollups."""
    split = bounds_of(aggregation, time_range).split_ms

    def rolled_of(cover: Cover) -> PointPieces | None:
        plan = rollup_plan(cover.known, split)
        return None if plan is None else PointPieces(cover.point, list(pieces_of(plan)), plan=plan)

    return rolled_of


def bounds_of(aggregation: Aggregation, time_range: Range) -> Bounds:
    """Return the bounds of the buckets that are asked for."""
    interval = parse_interval(aggregation.interval)
    return Bounds(Buckets(interval, aggregation.zone_name, time_range), time_range)


def _groups(source: ByteSource) -> Iterator[list[PointPieces]]:
    """Yield the points in order, as many together as are read at once; one without a plan alone."""
    group: list[PointPieces] = []
    size = 0
    bytes_max = WHOLE_BYTES_MAX if source.window_bytes() >= WIDE_BYTES else source.window_bytes()
    for part in source.parts:
        cost = 0 if part.plan is None else total_stored_bytes([part])
        is_full = size + cost > bytes_max or len(group) == POINTS_MAX
        if group and (part.plan is None or is_full):
            yield group
            group, size = [], 0
        if part.plan is None:
            yield [part]
            continue
        group.append(part)
        size += cost
    if group:
        yield group
