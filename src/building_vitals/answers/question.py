"""
Questions: a valid request for samples, and the form that its answer is wanted in.

Separate because the handlers of charts and of jobs, the statistics and the service all speak of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Literal, get_args

import msgspec

from building_vitals.answers.formats.registry import Format
from building_vitals.ranges import Range

Layout = Literal["long", "wide"]
LAYOUTS: tuple[Layout, ...] = ("long", "wide")
Aggregate = Literal["mean", "min", "max", "sum", "count", "first", "last", "twa", "delta"]
AGGREGATES: tuple[Aggregate, ...] = get_args(Aggregate)
# What a job keeps of how its answer is wanted.
KEPT = ("format", "max_points", "layout", "interval", "aggregate", "tz")
DEFAULT_AGGREGATE: Aggregate = "mean"
DEFAULT_ZONE = "UTC"
Route = Literal["direct", "cached", "queued"]
ROUTES: tuple[Route, ...] = ("direct", "cached", "queued")
Priority = Literal["low", "normal", "high"]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """
    A request, and how its answer is wanted.

    Attributes:
        route: By which it is answered: `direct`, `cached` or `queued`.
        estimated: Samples, by the routing's rule of thumb.
        missing: Samples, estimated, that were not known when it was asked.
        request_id: For `_meta`.
        gzip: Whether the client takes gzip.
        started_ms: When the request came in.
        matches: Whether the client has an answer of this entity tag already.
    """

    request: TimeseriesRequest
    route: Route
    estimated: int
    missing: int = 0
    request_id: str
    format: Format
    gzip: bool
    started_ms: int
    matches: Callable[[str], bool] = lambda _: False

    @property
    def form(self) -> AnswerForm:
        """What tells its answer from others of the same points."""
        request = self.request
        return AnswerForm(
            site=request.site,
            time_range=request.time_range,
            max_points=request.max_points,
            format="wide" if self.is_wide else self.format,
            gzip=self.gzip,
            route=self.route,
            aggregation=request.aggregation,
        )

    @property
    def is_wide(self) -> bool:
        """Whether the points are wanted side by side: CSV knows how, the other formats do not."""
        return self.request.layout == "wide" and self.format == "csv"

    @property
    def look_up_key(self) -> Hashable:
        """What has the same answer as long as the same is known."""
        return self.request.points, self.form


class Aggregation(msgspec.Struct, frozen=True):
    """
    What is wanted instead of samples: a row for each bucket that has numbers.

    Attributes:
        interval: Of the buckets, as `series.buckets` reads it.
        aggregates: In the order of a row.
        zone_name: Of the zone whose calendar and clock the buckets follow.
    """

    interval: str
    aggregates: tuple[str, ...]
    zone_name: str


class AnswerForm(msgspec.Struct, frozen=True, kw_only=True):
    """
    What tells one answer from another that has the same samples.

    The order of its fields is part of every entity tag.
    """

    site: str
    time_range: Range
    max_points: int | None
    format: Format | Literal["wide"]
    gzip: bool
    route: str
    aggregation: Aggregation | None = None


@dataclass(frozen=True, slots=True)
class TimeseriesRequest:
    """
    A valid request for samples.

    Attributes:
        points: Unique, in the order of the request; 1 to 5,000.
        time_range: Range, 20 years at most.
        route: Route asked for; None leaves it to the routing.
        format: Format asked for; None leaves it to `Accept`.
        priority: Of the job it may become.
        timeout_ms: Time-out asked for; None for the configured one.
        max_points: Most samples per point; None for all.
        layout: Of CSV; None where it does not say.
        is_fresh: Whether, of a followed site, what is younger than its last round is wanted now.
        wait_s: Seconds to wait for the job that it may become; None where it does not say.
        user_id: A label.
        interval: Of buckets; None for samples as they are.
        aggregate: Names of aggregates, separated by commas; None where it does not say.
        tz: Zone of the buckets; None where it does not say.
    """

    site: str
    points: tuple[str, ...]
    time_range: Range
    route: Route | None = None
    format: Format | None = None
    priority: Priority = "normal"
    timeout_ms: int | None = None
    max_points: int | None = None
    layout: Layout | None = None
    is_fresh: bool = False
    wait_s: int | None = None
    user_id: str | None = None
    interval: str | None = None
    aggregate: str | None = None
    tz: str | None = None

    @property
    def aggregation(self) -> Aggregation | None:
        """What is wanted instead of samples, if anything is."""
        if self.interval is None:
            return None
        aggregates = (self.aggregate or DEFAULT_AGGREGATE).split(",")
        return Aggregation(self.interval, tuple(aggregates), self.tz or DEFAULT_ZONE)

    @property
    def kept(self) -> dict[str, str | int]:
        """How the answer is wanted, by the names in `KEPT`: what was asked for."""
        found = {name: getattr(self, name) for name in KEPT}
        return {name: value for name, value in found.items() if value is not None}
