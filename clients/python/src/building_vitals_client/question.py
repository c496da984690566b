"""A request for samples, as the API takes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from building_vitals_client.times import Time, api_time

Points = str | Iterable[str]
Aggregates = str | Sequence[str] | None
DEFAULT_AGGREGATE = "mean"


@dataclass(frozen=True)
class Question:
    """
    A request for samples.

    Attributes:
        body: The parameters, for a POST; without the format.
        aggregates: Those asked for; none for samples as they are.
        tz: For buckets, dates and DataFrames.
    """

    body: dict[str, Any]
    aggregates: tuple[str, ...] = ()
    tz: str = "UTC"

    def content(self, format: str) -> bytes:
        """Return the JSON to send."""
        return msgspec.json.encode(self.body | {"format": format})


def question_of(
    site: str,
    points: Points,
    start: Time,
    end: Time | None,
    *,
    max_points: int | None = None,
    interval: str | None = None,
    aggregate: Aggregates = None,
    tz: str | None = None,
    more: dict[str, Any] | None = None,
) -> Question:
    """
    Return a request.

    Args:
        site: Its name.
        points: A name, or names.
        start: See `times.api_time`.
        end: Likewise; None for the present.
        max_points: At most so many samples per point.
        interval: Width of buckets, such as `1h`.
        aggregate: One aggregate, or several; `mean` if only an interval is given.
        tz: IANA name.
        more: Further parameters of the API, by its names; None values are left out.

    Raises:
        ValueError, TypeError: a time is none.
    """
    body: dict[str, Any] = {
        "site": site,
        "points": [points] if isinstance(points, str) else list(points),
        "start_time": api_time(start, tz),
    }
    if end is not None:
        body["end_time"] = api_time(end, tz)
    if max_points is not None:
        body["max_points"] = max_points
    aggregates: tuple[str, ...] = ()
    if interval is not None:
        given = aggregate or DEFAULT_AGGREGATE
        listed = given.split(",") if isinstance(given, str) else given
        # As the Worker takes them: blanks and repetitions do not count.
        aggregates = tuple(dict.fromkeys(each.strip() for each in listed))
        body |= {"interval": interval, "aggregate": ",".join(aggregates)}
        if tz is not None:
            body["tz"] = tz
    elif aggregate is not None:
        raise ValueError("aggregate needs an interval, such as interval='1h'")
    body |= {name: value for name, value in (more or {}).items() if value is not None}
    return Question(body, aggregates, tz or "UTC")
