"""An answer with samples, and what can be made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from building_vitals_client.documents import PointAnswer, TimeseriesDocument
from building_vitals_client.errors import BrokenDownload, PointErrors
from building_vitals_client.samples import Sample, read_rows
from building_vitals_client.times import moment

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

Layout = Literal["long", "wide"]
_decoder = msgspec.json.Decoder(TimeseriesDocument)


class Timeseries:
    """
    Samples of points over a range.

    The samples stay JSON text until they are asked for, some 24 bytes each, and the text is exact:
    whole numbers of any size, text and booleans are what the upstream sent.

    Attributes:
        meta: The answer's `_meta`.
        points: What the answer says of each point, in the order asked for.
        columns: Names of the values of a sample: `value`, or the aggregates in the order asked for.
        tz: The zone that DataFrames show times in, unless they are asked for another.
    """

    def __init__(
        self,
        meta: dict[str, Any],
        points: Mapping[str, PointAnswer],
        *,
        columns: Sequence[str] = ("value",),
        tz: str = "UTC",
    ) -> None:
        self.meta = meta
        self.points = dict(points)
        self.columns = list(columns)
        self.tz = tz

    def __repr__(self) -> str:
        return (
            f"<Timeseries {self.meta.get('site', '')}: {len(self.points)} points, "
            f"{len(self)} samples, {self.status}>"
        )

    def __len__(self) -> int:
        """Return the number of samples of all points."""
        return sum(point.count for point in self.points.values())

    @cached_property
    def samples(self) -> dict[str, list[Sample]]:
        """
        The samples by point, as tuples of epoch milliseconds and value, ascending.

        A number beyond floats is a `decimal.Decimal`. Of an aggregated answer a tuple has one value
        for each of `columns`.
        """
        return {name: read_rows(bytes(point.samples)) for name, point in self.points.items()}

    @property
    def errors(self) -> dict[str, str]:
        """Why points have nothing, by point; those without a reason are left out."""
        return {name: point.error for name, point in self.points.items() if point.error is not None}

    def raise_for_points(self) -> Timeseries:
        """
        Return this, if every point could be answered.

        Raises:
            PointErrors: some could not, such as points that the site does not have.
        """
        if self.errors:
            raise PointErrors(self.errors)
        return self

    @property
    def status(self) -> str:
        """How the cache answered: `hit`, `partial`, `miss`, `bypass` or `stale`."""
        return str(self.meta.get("cache", {}).get("status", ""))

    @property
    def is_stale(self) -> bool:
        """Whether the upstream failed, so that samples may be missing."""
        return self.status == "stale"

    @property
    def missing(self) -> list[tuple[datetime, datetime]]:
        """The ranges that a stale answer could not get, in UTC, each without its end."""
        ranges = self.meta.get("cache", {}).get("missing", [])
        return [(moment(start_ms), moment(end_ms)) for start_ms, end_ms in ranges]

    @property
    def known_until(self) -> datetime | None:
        """Up to when a followed site has been read, in UTC; None where nobody follows the site."""
        until_ms = self.meta.get("cache", {}).get("knownUntil")
        return None if until_ms is None else moment(until_ms)

    def to_pandas(self, layout: Layout = "long", tz: str | None = None) -> pd.DataFrame:
        """
        Return a pandas DataFrame; needs the extra `pandas`.

        Numbers are float64, or int64 (Int64 with nulls) where all are whole. Values of several
        kinds, or whole numbers that neither holds exactly, are Python objects.

        Args:
            layout: `long`: columns `time`, `point` and the values, a row per sample. `wide`: a
                column per point (and aggregate), with the time as index.
            tz: IANA name of the zone of the times; by default the one of the request.
        """
        from building_vitals_client import dataframes, tables  # noqa: PLC0415 - needs numpy

        zone = tz or self.tz
        if layout == "wide":
            return dataframes.wide_pandas(tables.wide_table(self._texts(), self.columns), zone)
        return dataframes.long_pandas(tables.long_table(self._texts(), self.columns), zone)

    def to_polars(self, layout: Layout = "long", tz: str | None = None) -> pl.DataFrame:
        """
        Return a polars DataFrame; needs the extra `polars`.

        As `to_pandas`, with `time` as a column. Where pandas has objects, polars has text.
        """
        from building_vitals_client import dataframes, tables  # noqa: PLC0415 - needs numpy

        zone = tz or self.tz
        if layout == "wide":
            return dataframes.wide_polars(tables.wide_table(self._texts(), self.columns), zone)
        return dataframes.long_polars(tables.long_table(self._texts(), self.columns), zone)

    def to_arrow(self, layout: Layout = "long", tz: str | None = None) -> pa.Table:
        """Return an Arrow table; needs the extra `arrow`. As `to_polars`."""
        from building_vitals_client import dataframes, tables  # noqa: PLC0415 - needs numpy

        zone = tz or self.tz
        if layout == "wide":
            return dataframes.wide_arrow(tables.wide_table(self._texts(), self.columns), zone)
        return dataframes.long_arrow(tables.long_table(self._texts(), self.columns), zone)

    def _texts(self) -> dict[str, bytes]:
        return {name: bytes(point.samples) for name, point in self.points.items()}


def read_timeseries(content: bytes, *, aggregates: Sequence[str], tz: str) -> Timeseries:
    """
    Return the result that an answer holds.

    Args:
        content: The whole body, JSON.
        aggregates: Those asked for; none for samples as they are. The answer's own word for them
            goes before, so that the result of any job can be read.
        tz: For DataFrames.

    Raises:
        BrokenDownload: it is not whole.
    """
    try:
        document = _decoder.decode(content)
    except msgspec.MsgspecError as error:
        raise BrokenDownload(f"the answer cannot be read: {error}") from None
    columns = document.meta.get("columns") or aggregates or ("value",)
    return Timeseries(document.meta, document.data, columns=columns, tz=tz)
