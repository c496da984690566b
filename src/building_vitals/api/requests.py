"""
Requests as the services take them, read from queries and bodies that may hold anything.

Separate because all that is wrong is told at once: every reader here collects problems and raises
them together, and nothing but an AppError ever leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from building_vitals.answers.question import TimeseriesRequest
from building_vitals.api import parameters as p
from building_vitals.api.parameters import Parameter
from building_vitals.api.query_text import decode_component, read_json_object
from building_vitals.api.readers import BodyReader, ParameterReader, QueryReader
from building_vitals.errors import InvalidRequest, Problem
from building_vitals.instants import INSTANT_MAX_MS, INSTANT_MIN_MS
from building_vitals.ranges import Range

BODY_BYTES_MAX = p.BODY_BYTES_MAX


@dataclass(frozen=True, slots=True)
class CachePurgeQuery:
    """
    What of the cache is to be forgotten.

    Attributes:
        points: Only these; None for all.
        time_range: Only this range; None for all time.
    """

    site: str
    points: tuple[str, ...] | None
    time_range: Range | None


@dataclass(frozen=True, slots=True)
class CacheListQuery:
    """Which page of the bucket's objects is asked for."""

    prefix: str
    limit: int
    cursor: str | None


def parse_query(query: str, *, timeout_ms_max: int) -> TimeseriesRequest:
    """
    Return the request that a query stands for.

    Args:
        query: Undecoded, without the question mark. Parameters it does not know are ignored.
        timeout_ms_max: The longest time-out that may be asked for, milliseconds.

    Raises:
        InvalidRequest: something is wrong; all of it is listed.
        TooLarge: the query is longer than 1 MiB.
    """
    source = QueryReader(query)
    return _timeseries_request(source, timeout_ms_max)


def parse_body(body: bytes, content_type: str | None, *, timeout_ms_max: int) -> TimeseriesRequest:
    """
    Return the request that a JSON body stands for.

    Args:
        body: As received, decompressed. Members it does not know are ignored; null stands for
            not given.
        content_type: The `Content-Type` header; JSON is taken for granted without one.
        timeout_ms_max: The longest time-out that may be asked for, milliseconds.

    Raises:
        InvalidRequest: something is wrong; all of it is listed.
        TooLarge: the body is longer than 1 MiB.
    """
    members, repeated = read_json_object(body, content_type)
    return _timeseries_request(BodyReader(members, repeated), timeout_ms_max)


def parse_page_query(query: str, *parameters: Parameter) -> dict[str, Any]:
    """
    Return the values of the parameters in a query, by their names.

    Args:
        query: Undecoded, without the question mark. Parameters it does not know are ignored.
        parameters: The single-valued ones that may be given; definitions are in `parameters`.

    Returns:
        A value for each parameter: what is given, else its default, else None.

    Raises:
        InvalidRequest: something is wrong; all of it is listed.
        TooLarge: the query is longer than 1 MiB.
    """
    source = QueryReader(query)
    values = {parameter.name: source.read(parameter) for parameter in parameters}
    source.raise_problems()
    return values


def parse_cache_list_query(query: str) -> CacheListQuery:
    """
    Return which page of objects a query of `/api/cache/objects` asks for.

    Raises:
        InvalidRequest: something is wrong; all of it is listed.
        TooLarge: the query is longer than 1 MiB.
    """
    values = parse_page_query(query, p.PREFIX, p.LIMIT, p.CURSOR)
    return CacheListQuery(
        prefix=values["prefix"], limit=values["limit"], cursor=values["cursor"] or None
    )


def parse_cache_purge_query(query: str) -> CachePurgeQuery:
    """
    Return what a query of `DELETE /api/cache` wants forgotten.

    A `points` that is given but empty is refused: it must not stand for all points.

    Raises:
        InvalidRequest: something is wrong; all of it is listed.
        TooLarge: the query is longer than 1 MiB.
    """
    source = QueryReader(query)
    site = source.read(p.SITE)
    points = source.read_points(is_required=False)
    start_ms, end_ms = source.read(p.PURGE_START_TIME), source.read(p.PURGE_END_TIME)
    time_range = None
    if start_ms is not None or end_ms is not None:
        time_range = source.check_range(
            INSTANT_MIN_MS if start_ms is None else start_ms,
            INSTANT_MAX_MS if end_ms is None else end_ms,
        )
    source.raise_problems()
    return CachePurgeQuery(cast(str, site), points, time_range)


def parse_site(segment: str) -> str:
    """
    Return the site that a path names.

    Args:
        segment: The part of the path, percent-encoded.

    Raises:
        InvalidRequest: it names none.
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
        user_id=source.read(p.USER_ID),
    )
    source.raise_problems()
    return request
