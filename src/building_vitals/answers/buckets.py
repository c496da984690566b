"""
Bodies of answers with aggregates of buckets instead of samples.

Imported late: few answers have intervals.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from building_vitals.answers.answer import CacheReport
from building_vitals.answers.body import ByteSource, encoded
from building_vitals.answers.formats.aggregated import AggregatedSamples
from building_vitals.answers.formats.encoder import Encoder
from building_vitals.answers.formats.registry import encoder_for
from building_vitals.answers.formats.wide_rows import WideCsv
from building_vitals.answers.pieces import PointPieces, total_text_bytes
from building_vitals.answers.question import Aggregation, Question
from building_vitals.answers.rolling import Rolling, bounds_of, rolled
from building_vitals.answers.wide import PointTexts
from building_vitals.errors import TooLarge
from building_vitals.series.bucket_sums import Bounds
from building_vitals.series.buckets import Buckets, expected_buckets, parse_interval

# Cells that are put side by side: some 25 bytes each, all of them held until the first row.
WIDE_CELLS_MAX = 400_000


class BucketRows:
    """
    The rows of one answer.

    Attributes:
        encoder: What they are put into.
        size: About how many bytes of text are looked at for them.
    """

    encoder: Encoder

    def __init__(
        self,
        question: Question,
        aggregation: Aggregation,
        parts: Sequence[PointPieces],
        report: CacheReport,
    ) -> None:
        """
        Args:
            question: What is asked.
            aggregation: What is wanted instead of samples.
            parts: What the answer is made of.
            report: Told how many rows had been known.

        Raises:
            TooLarge: they are wanted side by side, and would take more memory than there is.
        """
        interval, time_range = parse_interval(aggregation.interval), question.request.time_range
        self._aggregation = aggregation
        self._buckets = Buckets(interval, aggregation.zone_name, time_range)
        self._report = report
        self._bounds: Bounds | None = None
        if any(part.plan is not None for part in parts):
            self._bounds = bounds_of(aggregation, time_range)
        self.size = total_text_bytes(parts)
        columns = aggregation.aggregates
        if question.is_wide:
            cells = expected_buckets(interval, time_range) * len(parts) * len(columns)
            if cells > WIDE_CELLS_MAX:
                raise TooLarge(
                    f"layout=wide puts at most {WIDE_CELLS_MAX:,} aggregates side by side; these "
                    f"are up to {cells:,}: ask for fewer points or a longer interval, or leave "
                    "out layout="
                )
            self._table: WideCsv | None = WideCsv(
                [part.point for part in parts], gzip=question.gzip, columns=columns
            )
            self._rows: Encoder = PointTexts(len(parts))
            self.encoder = self._table
        else:
            self._table = None
            self._rows = encoder_for(
                question.format, len(parts), gzip=question.gzip, columns=columns
            )
            self.encoder = self._rows

    async def chunks(self, source: ByteSource) -> AsyncGenerator[bytes]:
        """
        Yield the body of the answer but for its end.

        Raises:
            LostObjects: as `body.encoded` does.
        """
        rows = (
            self._of_samples(source)
            if self._bounds is None
            else rolled(source, self._rows, self._rolling(self._bounds))
        )
        async with aclosing(rows) as found:
            async for chunk in found:
                yield chunk
        if self._table is not None and isinstance(self._rows, PointTexts):
            for _ in self._table.put(self._rows.texts):
                yield self._table.take()

    def _rolling(self, bounds: Bounds) -> Rolling:
        return Rolling(self._aggregation.aggregates, bounds, self._report, self._of_samples)

    async def _of_samples(self, source: ByteSource) -> AsyncGenerator[bytes]:
        """Yield rows that are made of all samples."""
        made, report = source.made.union(source.fresh), self._report
        rows = AggregatedSamples(self._rows, self._aggregation, self._buckets, made)
        known, fetched, before = report.samples_from_cache, report.samples_fetched, rows.samples
        async with aclosing(encoded(source, rows, report)) as found:
            async for chunk in found:
                of_cache = rows.rows_from_cache
                report.samples_from_cache = known + of_cache
                report.samples_fetched = fetched + rows.samples - before - of_cache
                yield chunk
