"""`/api/timeseries`: from a request's parameters to the service and back to a reply."""

from __future__ import annotations

from functools import lru_cache

from building_vitals.access.caller import Caller
from building_vitals.answers.answer import TimeseriesAnswer
from building_vitals.answers.formats.registry import CONTENT_TYPES
from building_vitals.answers.question import Asked, TimeseriesRequest
from building_vitals.answers.routing import RoutingOptions, choose_route
from building_vitals.api.context import Context
from building_vitals.api.messages import HttpRequest, Reply
from building_vitals.api.negotiation import VARY, accepts_gzip, choose_format, etag_matches
from building_vitals.api.parameters import BODY_BYTES_MAX, shown
from building_vitals.api.requests import parse_body, parse_query
from building_vitals.api.submission import queue_request
from building_vitals.cache.estimates import estimated_samples
from building_vitals.errors import InvalidRequest, Problem


async def read_timeseries(request: HttpRequest, context: Context, caller: Caller) -> Reply:
    """Answer a question for samples by whichever route suits it."""
    wanted = await _parse(request, context)
    caller.require_site(wanted.site)
    route, estimated = _route(wanted, context.routing)
    asked = asked_of(request, wanted, route=route, estimated=estimated)
    request.notes.update(about(asked))
    if route != "direct":
        recent = context.recent.answer(asked, context.clock.now_ms())
        if recent is not None:
            return timeseries_reply(recent, asked, context)
    if route == "queued":
        known = await context.timeseries.answer_known(asked)
        if known is None:
            return await queue_request(wanted, estimated, context, caller)
        return timeseries_reply(known, asked, context)
    return timeseries_reply(await context.timeseries.fetch_timeseries(asked), asked, context)


def _route(wanted: TimeseriesRequest, options: RoutingOptions) -> tuple[str, int]:
    """Return the route of a request and its estimated samples."""
    estimate = estimated_samples(len(wanted.points), wanted.wanted)
    thresholds = (options.small_threshold, options.large_threshold)
    return choose_route(estimate, wanted.route, *thresholds), estimate


async def _parse(request: HttpRequest, context: Context) -> TimeseriesRequest:
    timeout_ms_max = context.routing.direct_timeout
    if request.method != "POST":
        return _parse_query(request.query, timeout_ms_max=timeout_ms_max)
    if request.query:
        raise InvalidRequest(
            [Problem("query", "a POST takes its parameters from the body: send no query")]
        )
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        # Never inflated here: a small body could stand for any amount of memory.
        raise InvalidRequest(
            [Problem("Content-Encoding", f"not understood: {shown(encoding)}; send it as it is")]
        )
    body = await request.read_body(BODY_BYTES_MAX)
    return parse_body(body, request.headers.get("content-type"), timeout_ms_max=timeout_ms_max)


# A chart asks the same again and again, and what a query or a header means never changes.
_parse_query = lru_cache(maxsize=64)(parse_query)
_choose_format = lru_cache(maxsize=64)(choose_format)
_accepts_gzip = lru_cache(maxsize=64)(accepts_gzip)


def asked_of(
    request: HttpRequest, wanted: TimeseriesRequest, *, route: str, estimated: int
) -> Asked:
    """Return how the client wants its answer."""
    headers = request.headers
    known = headers.get("if-none-match")
    return Asked(
        request=wanted,
        route=route,
        estimated=estimated,
        request_id=request.request_id,
        output=_choose_format(wanted.format, headers.get("accept")),
        gzip=_accepts_gzip(headers.get("accept-encoding")),
        started_ms=request.started_ms,
        matches=lambda etag: known is not None and etag_matches(known, etag),
    )


def timeseries_reply(answer: TimeseriesAnswer, asked: Asked, context: Context) -> Reply:
    """Return an answer with the headers that tell how it came about."""
    duration_ms = context.clock.now_ms() - asked.started_ms
    report = answer.report
    headers = [
        ("X-Route-Type", asked.route),
        ("X-Cache-Hit", "true" if report.is_hit else "false"),
        ("X-Cache-Status", report.status),
        ("X-Request-Duration", str(duration_ms)),
        ("Server-Timing", f'total;dur={duration_ms}, cache;desc="{report.status}"'),
        ("Vary", VARY),
    ]
    log: dict[str, object] = {
        "cache": report.status,
        "samples": answer.samples,
        "upstreamRequests": report.upstream_requests,
    }
    if answer.etag is None:
        headers.append(("Cache-Control", "no-store"))
    else:
        headers += [("ETag", answer.etag), ("Cache-Control", "private, no-cache")]
        if asked.matches(answer.etag):
            return Reply(status=304, headers=headers, log=log, answer=answer)
    headers.append(("Content-Type", CONTENT_TYPES[asked.output]))
    if asked.gzip:
        headers.append(("Content-Encoding", "gzip"))
    body, answer.first = answer.first, b""
    return Reply(
        status=200,
        headers=headers,
        body=body,
        rest=answer.rest,
        stored=answer.stored,
        is_encoded=asked.gzip,
        log=log,
        answer=answer,
    )


def about(asked: Asked) -> dict[str, object]:
    """Return what the log and the statistics say of a request, however it ends."""
    return {
        "route": asked.route,
        "site": asked.request.site,
        "points": len(asked.request.points),
        "format": asked.output,
        "estimated": asked.estimated,
    }
