"""
Requests as the services take them, read from queries and bodies that may hold anything.

Separate because every problem is told at once: each reader here collects problems and raises them
together, and nothing but an AppError ever leaves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from building_vitals.answers.question import TimeseriesRequest
from building_vitals.api import admin_parameters as ap
from building_vitals.api import interval_parameters as ip
from building_vitals.api import parameters as p
from building_vitals.api.parameters import Parameter
from building_vitals.api.query_text import QueryText, decode_component, read_json_object
from building_vitals.api.readers import (
    IGNORED_PREFIX,
    BodyReader,
    ParameterReader,
    QueryReader,
)
from building_vitals.errors import InvalidRequest, Problem
from building_vitals.instants import (
    DAY_MS,
    HOUR_MS,
    INSTANT_MAX_MS,
    INSTANT_MIN_MS,
    MINUTE_MS,
    format_instant,
)
from building_vitals.ranges import Range

_UNITS_MS = {"s": 1000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


@dataclass(frozen=True, slots=True)
class CachePurgeQuery:
    """
    The part of the cache to be deleted.

    Attributes:
        points: Only these; None for all.
        time_range: Only this range; None for all time.
    """

    site: str
    points: tuple[str, ...] | None
    time_range: Range | None


@dataclass(frozen=True, slots=True)
class FollowRequest:
    """
    How a site is to be followed.

    Attributes:
        since_ms: From when on all is to be kept.
        every: Time between two rounds, as it was written.
        every_ms: The same in milliseconds.
    """

    site: str
    since_ms: int
    every: str
    every_ms: int


def parse_query(
    query: str,
    parameters: Iterable[Parameter],
    *,
    timeout_ms_max: int,
    now_ms: int | None = None,
) -> TimeseriesRequest:
    """
    Return the request that a query stands for.

    Args:
        query: Undecoded, without the question mark; names that begin with `_` are ignored.
        parameters: The endpoint's.
        timeout_ms_max: The longest allowed time-out, milliseconds.
        now_ms: The present, for times that count from it.

    Raises:
        NowNeededError: a time counts from the present, which is None: the query has another
            meaning each time.
        InvalidRequest: the query is wrong; every problem is listed.
        TooLarge: the query is longer than 1 MiB.
    """
    return _timeseries_request(QueryReader(query, parameters, now_ms), timeout_ms_max)


def parse_body(
    body: bytes,
    content_type: str | None,
    parameters: Iterable[Parameter],
    *,
    timeout_ms_max: int,
    now_ms: int,
    query: str = "",
) -> TimeseriesRequest:
    """
    Return the request that a JSON body stands for.

    Args:
        body: As received, decompressed; null stands for not given, names that begin with `_` are
            ignored.
        content_type: The `Content-Type` header; without one, JSON is assumed.
        parameters: The endpoint's.
        timeout_ms_max: The longest allowed time-out, milliseconds.
        now_ms: The present, for times that count from it.
        query: The request's query, undecoded, which may only hold what is ignored.

    Raises:
        InvalidRequest: the body is wrong; every problem is listed.
        TooLarge: the body is longer than 1 MiB.
    """
    source = _body_reader(body, content_type, parameters, now_ms=now_ms, query=query)
    return _timeseries_request(source, timeout_ms_max)


def check_query(query: str) -> None:
    """
    Return when a query holds nothing, or nothing but what is ignored.

    Raises:
        InvalidRequest: it names parameters, and the endpoint has none.
        TooLarge: it is longer than 1 MiB.
    """
    QueryReader(query, ()).raise_problems()


def parse_values(query: str, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """
    Return the values of single-valued parameters in a query, by their names.

    Args:
        query: Undecoded, without the question mark; names that begin with `_` are ignored.
        parameters: The endpoint's.

    Returns:
        A value for each parameter: the given one, else its default, else None.

    Raises:
        InvalidRequest: the query is wrong; every problem is listed.
        TooLarge: the query is longer than 1 MiB.
    """
    source = QueryReader(query, parameters)
    values = {parameter.name: source.read(parameter) for parameter in parameters}
    source.raise_problems()
    return values


def parse_cache_purge_query(
    query: str, parameters: Iterable[Parameter], now_ms: int
) -> CachePurgeQuery:
    """
    Return the part of the cache that a query of `DELETE /api/cache` names.

    An empty `points` is refused: it must not stand for all points.

    Args:
        query: Undecoded, without the question mark; names that begin with `_` are ignored.
        parameters: The endpoint's.
        now_ms: The present, for times that count from it.

    Raises:
        InvalidRequest: the query is wrong; every problem is listed.
        TooLarge: the query is longer than 1 MiB.
    """
    source = QueryReader(query, parameters, now_ms)
    site = source.read(p.SITE)
    points = source.read_points(is_required=False)
    start_ms, end_ms = source.read(ap.PURGE_START_TIME), source.read(ap.PURGE_END_TIME)
    time_range = None
    if start_ms is not None or end_ms is not None:
        time_range = source.check_range(
            INSTANT_MIN_MS if start_ms is None else start_ms,
            INSTANT_MAX_MS if end_ms is None else end_ms,
        )
    source.raise_problems()
    return CachePurgeQuery(cast(str, site), points, time_range)


def parse_follow(
    segment: str,
    body: bytes,
    content_type: str | None,
    parameters: Iterable[Parameter],
    *,
    now_ms: int,
    query: str = "",
) -> FollowRequest:
    """
    Return how a site is to be followed.

    Args:
        segment: The part of the path that names the site, percent-encoded.
        body: As received; null stands for not given, names that begin with `_` are ignored.
        content_type: The `Content-Type` header; without one, JSON is assumed.
        parameters: The endpoint's.
        now_ms: The present, for times that count from it.
        query: The request's query, undecoded, which may only hold what is ignored.

    Raises:
        InvalidRequest: something is wrong; every problem is listed.
        TooLarge: the body is longer than 1 MiB.
    """
    source = _body_reader(body, content_type, parameters, now_ms=now_ms, query=query)
    site = ""
    try:
        site = parse_site(segment)
    except InvalidRequest as error:
        source.problems += error.problems
    since_ms = source.read(ap.SINCE)
    if since_ms is not None and not now_ms - p.RANGE_MS_MAX <= since_ms <= now_ms:
        moment = format_instant(since_ms)
        source.refuse(ap.SINCE.name, f"not of the last 20 years: {moment}; {ap.SINCE.allowed}")
    every = source.read(ap.EVERY)
    every_ms = 0 if every is None else int(every[:-1]) * _UNITS_MS[every[-1]]
    source.raise_problems()
    return FollowRequest(site, since_ms, every, every_ms)


def require_plain_body(headers: Mapping[str, str]) -> None:
    """
    Return when a body is sent as it is.

    Raises:
        InvalidRequest: it is compressed; it is never inflated here, for a small body could stand
            for any amount of memory.
    """
    encoding = headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        message = f"not supported: {p.shown(encoding)}; send it uncompressed"
        raise InvalidRequest([Problem("Content-Encoding", message)])


def _body_reader(
    body: bytes,
    content_type: str | None,
    parameters: Iterable[Parameter],
    *,
    now_ms: int,
    query: str,
) -> BodyReader:
    """Return a reader of a body; a query may only hold what is ignored."""
    members, repeated = read_json_object(body, content_type)
    source = BodyReader(members, repeated, parameters, now_ms)
    if any(not name.startswith(IGNORED_PREFIX) for name in QueryText(query).names):
        source.refuse("query", "parameters are taken from the body: send no query")
    return source


def parse_site(segment: str) -> str:
    """
    Return the site that a path names.

    Args:
        segment: The part of the path, percent-encoded.

    Raises:
        InvalidRequest: the part is no name of a site.
    """
    try:
        return cast(str, p.SITE.read_text(decode_component(segment, plus_is_blank=False)))
    except ValueError as error:
        raise InvalidRequest([Problem(p.SITE.name, str(error))]) from None


def _timeseries_request(source: ParameterReader, timeout_ms_max: int) -> TimeseriesRequest:
    site = source.read(p.SITE)
    points = source.read_points()
    start_ms, end_ms = source.read(p.START_TIME), source.read(p.END_TIME)
    time_range = None
    if start_ms is not None and end_ms is not None:
        time_range = source.check_range(start_ms, end_ms, duration_ms_max=p.RANGE_MS_MAX)
    request = TimeseriesRequest(
        site=site,
        points=points or (),
        time_range=cast(Range, time_range),
        route=source.read(p.ROUTE),
        format=source.read(p.FORMAT),
        priority=source.read(p.PRIORITY),
        timeout_ms=source.read(p.timeout_parameter(timeout_ms_max)),
        max_points=source.read(p.MAX_POINTS),
        is_fresh=source.read(p.FRESH) is True,
        wait_s=source.read(p.WAIT),
        user_id=source.read(p.USER_ID),
        layout=source.read(p.LAYOUT),
        interval=source.read(ip.INTERVAL),
        aggregate=source.read(ip.AGGREGATE),
        tz=source.read(ip.TZ),
    )
    problem = layout_problem(request.format, request.layout)
    if problem is not None:
        source.refuse(p.LAYOUT.name, problem)
    for each in aggregation_problems(request, time_range):
        source.refuse(each.field, each.message)
    source.raise_problems()
    return request


def aggregation_problems(request: TimeseriesRequest, time_range: Range | None) -> Iterable[Problem]:
    """Return what is wrong with a wish for buckets; *time_range* may be unknown."""
    if request.interval is request.aggregate is request.tz is None:
        return ()
    # As app.py says: few requests have intervals.
    from building_vitals.api.intervals import interval_problems

    return interval_problems(request, time_range)


def layout_problem(format_asked: str | None, layout: str | None) -> str | None:
    """Return why a layout does not go with a format that was asked for; None where it does."""
    if layout != "wide" or format_asked in (None, "csv"):
        return None
    return f"wide is for CSV, not for {format_asked}; format=csv or no format is allowed"
