"""`/api/timeseries`: from a request's parameters to the service and back to a reply."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from building_vitals.answers.answer import TimeseriesAnswer
from building_vitals.answers.formats.registry import CONTENT_TYPES, Format
from building_vitals.answers.question import Question, Route, TimeseriesRequest
from building_vitals.answers.routing import LargeGaps, choose_route
from building_vitals.api.messages import NO_STORE, Call, Reply
from building_vitals.api.negotiation import (
    VARY,
    accepts_gzip,
    choose_format,
    etag_matches,
)
from building_vitals.api.parameters import BODY_BYTES_MAX
from building_vitals.api.requests import parse_body, parse_query, require_plain_body
from building_vitals.cache.estimates import estimated_samples
from building_vitals.instants import NowNeededError, elapsed_ms, format_instant


async def read_timeseries(call: Call) -> Reply:
    """Answer a request for samples by the route that suits its size and what of it is known."""
    app = call.app
    samples_request = await _parse(call)
    call.caller.require_site(samples_request.site)
    estimated = estimated_samples(len(samples_request.points), samples_request.time_range)
    small_threshold = app.settings.routing.small_threshold
    route = choose_route(estimated, samples_request.route, small_threshold)
    question = question_of(call, samples_request, route=route, estimated=estimated)
    if route != "direct":
        recent = app.recent.answer(question, app.clock.now_ms())
        if recent is not None:
            return timeseries_reply(call, recent, question)
    try:
        answer = await app.timeseries.fetch_timeseries(question)
    except LargeGaps as needed:
        call.facts.route, call.facts.missing = "queued", needed.missing
        question = msgspec.structs.replace(question, route="queued", missing=needed.missing)
        # As app.py says: few requests become jobs.
        from building_vitals.api.waits import queue

        return await queue(call, question)
    return timeseries_reply(call, answer, question)


async def _parse(call: Call) -> TimeseriesRequest:
    request, timeout_ms_max = call.request, call.app.settings.routing.direct_timeout
    if request.method != "POST":
        arguments = request.query, call.parameters
        try:
            return _parse_query(*arguments, timeout_ms_max=timeout_ms_max)
        except NowNeededError:
            now_ms = request.started_ms
            return parse_query(*arguments, timeout_ms_max=timeout_ms_max, now_ms=now_ms)
    require_plain_body(request.headers)
    return parse_body(
        await request.read_body(BODY_BYTES_MAX),
        request.headers.get("content-type"),
        call.parameters,
        timeout_ms_max=timeout_ms_max,
        now_ms=request.started_ms,
        query=request.query,
    )


# A chart sends the same request again and again; the meaning of a query or a header never changes,
# unless it counts from the present: that is refused, and nothing is kept.
_parse_query = lru_cache(maxsize=64)(parse_query)
_choose_format = lru_cache(maxsize=64)(choose_format)
_accepts_gzip = lru_cache(maxsize=64)(accepts_gzip)
_NO_MARKS = str.maketrans("", "", "-:")


def question_of(
    call: Call, samples_request: TimeseriesRequest, *, route: Route, estimated: int
) -> Question:
    """Return a request with the wishes of the client's headers; its facts are noted."""
    request, headers = call.request, call.request.headers
    # A POST is answered whole (RFC 9110, 13.1.2): only GET and HEAD can be told "not modified".
    known = headers.get("if-none-match") if request.method != "POST" else None
    question = Question(
        request=samples_request,
        route=route,
        estimated=estimated,
        request_id=request.request_id,
        format=_choose_format(_format_of(samples_request), headers.get("accept")),
        gzip=_accepts_gzip(headers.get("accept-encoding")),
        started_ms=request.started_ms,
        matches=lambda answer_etag: known is not None and etag_matches(known, answer_etag),
    )
    facts = request.facts
    facts.route = route
    facts.site = samples_request.site
    facts.points = len(samples_request.points)
    facts.format = question.format
    facts.estimated = estimated
    return question


def _file_name(question: Question) -> str:
    """Return the name of a file with an answer: `site_20250101T000000Z_20250102T000000Z.csv`."""
    request = question.request
    start, end = (
        format_instant(each).translate(_NO_MARKS).replace(".000Z", "Z")
        for each in request.time_range
    )
    return f"{request.site}_{start}_{end}.{question.format}"


def _format_of(request: TimeseriesRequest) -> Format | None:
    """Return the format that a request asks for, be it by its layout."""
    return "csv" if request.format is None and request.layout == "wide" else request.format


def timeseries_reply(call: Call, answer: TimeseriesAnswer, question: Question) -> Reply:
    """Return an answer with headers that describe its route, cache status and duration."""
    duration_ms = elapsed_ms(question.started_ms, call.app.clock.now_ms())
    report, facts = answer.report, call.facts
    facts.cache_status = report.status
    facts.samples = answer.samples
    facts.missing = answer.missing_samples
    facts.upstream_requests = report.upstream_requests
    facts.unreadable_samples = answer.unreadable_samples or None
    headers = [
        ("X-Route-Type", question.route),
        ("X-Cache-Hit", "true" if report.is_hit else "false"),
        ("X-Cache-Status", report.status),
        ("X-Request-Duration", str(duration_ms)),
        ("Server-Timing", f'total;dur={duration_ms}, cache;desc="{report.status}"'),
        ("Vary", VARY),
    ]
    if answer.answer_etag is None:
        headers.append(NO_STORE)
    else:
        headers += [("ETag", answer.answer_etag), ("Cache-Control", "private, no-cache")]
        if question.matches(answer.answer_etag):
            return Reply(status=304, headers=headers, answer=answer)
    headers.append(("Content-Type", CONTENT_TYPES[question.format]))
    if question.format != "json":
        headers.append(("Content-Disposition", f'attachment; filename="{_file_name(question)}"'))
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
        answer=answer,
    )
