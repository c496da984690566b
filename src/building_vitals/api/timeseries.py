"""`/api/timeseries`: from a request's parameters to the service and back to a reply."""

from __future__ import annotations

from functools import lru_cache

from building_vitals.access.caller import Caller
from building_vitals.answers.answer import TimeseriesAnswer
from building_vitals.answers.formats.registry import CONTENT_TYPES
from building_vitals.answers.question import Question, TimeseriesRequest
from building_vitals.answers.routing import RoutingOptions, choose_route
from building_vitals.api.messages import HttpRequest, Reply
from building_vitals.api.negotiation import VARY, accepts_gzip, choose_format, etag_matches
from building_vitals.api.parameters import BODY_BYTES_MAX, shown
from building_vitals.api.requests import parse_body, parse_query
from building_vitals.api.submission import queue_request
from building_vitals.app import App
from building_vitals.cache.estimates import estimated_samples
from building_vitals.errors import InvalidRequest, Problem


async def read_timeseries(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """Answer a question for samples by whichever route suits it."""
    samples_request = await _parse(request, app)
    caller.require_site(samples_request.site)
    route, estimated = _route(samples_request, app.settings.routing)
    question = question_of(request, samples_request, route=route, estimated=estimated)
    request.notes.update(about(question))
    if route != "direct":
        recent = app.recent.answer(question, app.clock.now_ms())
        if recent is not None:
            return timeseries_reply(recent, question, app)
    if route == "queued":
        known = await app.timeseries.answer_known(question)
        if known is None:
            return await queue_request(samples_request, estimated, app, caller)
        return timeseries_reply(known, question, app)
    return timeseries_reply(await app.timeseries.fetch_timeseries(question), question, app)


def _route(samples_request: TimeseriesRequest, options: RoutingOptions) -> tuple[str, int]:
    """Return the route of a request and its estimated samples."""
    estimate = estimated_samples(len(samples_request.points), samples_request.time_range)
    thresholds = (options.small_threshold, options.large_threshold)
    return choose_route(estimate, samples_request.route, *thresholds), estimate


async def _parse(request: HttpRequest, app: App) -> TimeseriesRequest:
    timeout_ms_max = app.settings.routing.direct_timeout
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


def question_of(
    request: HttpRequest, samples_request: TimeseriesRequest, *, route: str, estimated: int
) -> Question:
    """Return how the client wants its answer."""
    headers = request.headers
    known = headers.get("if-none-match")
    return Question(
        request=samples_request,
        route=route,
        estimated=estimated,
        request_id=request.request_id,
        format=_choose_format(samples_request.format, headers.get("accept")),
        gzip=_accepts_gzip(headers.get("accept-encoding")),
        started_ms=request.started_ms,
        matches=lambda answer_etag: known is not None and etag_matches(known, answer_etag),
    )


def timeseries_reply(answer: TimeseriesAnswer, question: Question, app: App) -> Reply:
    """Return an answer with the headers that tell how it came about."""
    duration_ms = app.clock.now_ms() - question.started_ms
    report = answer.report
    headers = [
        ("X-Route-Type", question.route),
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
    if answer.answer_etag is None:
        headers.append(("Cache-Control", "no-store"))
    else:
        headers += [("ETag", answer.answer_etag), ("Cache-Control", "private, no-cache")]
        if question.matches(answer.answer_etag):
            return Reply(status=304, headers=headers, log=log, answer=answer)
    headers.append(("Content-Type", CONTENT_TYPES[question.format]))
    if question.gzip:
        headers.append(("Content-Encoding", "gzip"))
    body, answer.first = answer.first, b""
    return Reply(
        status=200,
        headers=headers,
        body=body,
        rest=answer.rest,
        stored=answer.stored,
        is_encoded=question.gzip,
        log=log,
        answer=answer,
    )


def about(question: Question) -> dict[str, object]:
    """Return what the log and the statistics say of a request, however it ends."""
    return {
        "route": question.route,
        "site": question.request.site,
        "points": len(question.request.points),
        "format": question.format,
        "estimated": question.estimated,
    }
