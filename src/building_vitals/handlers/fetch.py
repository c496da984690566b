"""Every HTTP request: found its route, let in or not, answered, logged."""

from __future__ import annotations

import re
import traceback
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from building_vitals.access.caller import Caller
from building_vitals.api.cors import SECURITY_HEADERS, cors_headers, parse_policy
from building_vitals.api.jobs import (
    cancel_job,
    follow_job,
    list_dlq_failures,
    list_jobs,
    read_dlq_stats,
    read_job,
    read_job_data,
    retry_dlq_failure,
    run_maintenance,
)
from building_vitals.api.messages import HttpRequest, Reply
from building_vitals.api.observation import observe
from building_vitals.api.operations import (
    list_cache_objects,
    purge_cache,
    read_health,
    read_openapi,
)
from building_vitals.api.problem import problem_document, problem_headers
from building_vitals.api.sites import list_points, list_sites
from building_vitals.api.statistics import read_statistics
from building_vitals.api.timeseries import read_timeseries
from building_vitals.app import App
from building_vitals.errors import AppError, MethodNotAllowed, NotFound

Handler = Callable[[HttpRequest, App, Caller], Awaitable[Reply]]
OpenHandler = Callable[[HttpRequest, App], Awaitable[Reply]]


class Route(NamedTuple):
    """
    What answers a method of a path.

    Attributes:
        handler: Told who asks.
        is_admin: Whether only administrators may.
    """

    handler: Handler
    is_admin: bool = False


# Paths that need no key.
OPEN_ROUTES: dict[str, OpenHandler] = {
    "/api/health": read_health,
    "/openapi.json": read_openapi,
}

_SEGMENT = r"([^/]+)"
ROUTES: list[tuple[re.Pattern[str], dict[str, Route]]] = [
    (
        re.compile("/api/timeseries"),
        {"GET": Route(read_timeseries), "POST": Route(read_timeseries)},
    ),
    (re.compile("/api/cache/objects"), {"GET": Route(list_cache_objects, is_admin=True)}),
    (re.compile("/api/cache"), {"DELETE": Route(purge_cache, is_admin=True)}),
    (re.compile("/api/jobs"), {"GET": Route(list_jobs)}),
    (
        re.compile(f"/api/jobs/{_SEGMENT}"),
        {"GET": Route(read_job), "DELETE": Route(cancel_job)},
    ),
    (re.compile(f"/api/jobs/{_SEGMENT}/data"), {"GET": Route(read_job_data)}),
    (re.compile(f"/api/jobs/{_SEGMENT}/events"), {"GET": Route(follow_job)}),
    (re.compile("/api/queue/dlq/stats"), {"GET": Route(read_dlq_stats, is_admin=True)}),
    (re.compile("/api/queue/dlq/failures"), {"GET": Route(list_dlq_failures, is_admin=True)}),
    (
        re.compile(f"/api/queue/dlq/failures/{_SEGMENT}/retry"),
        {"POST": Route(retry_dlq_failure, is_admin=True)},
    ),
    (re.compile("/api/sites"), {"GET": Route(list_sites)}),
    (re.compile(f"/api/sites/{_SEGMENT}/points"), {"GET": Route(list_points)}),
    (re.compile("/api/stats"), {"GET": Route(read_statistics, is_admin=True)}),
    (re.compile("/api/maintenance/run"), {"POST": Route(run_maintenance, is_admin=True)}),
]


async def answer(request: HttpRequest, app: App) -> Reply:
    """Return the reply to a request, whatever happens; nothing is raised."""
    policy = parse_policy(app.settings.cors_origins)
    try:
        reply = await _route(request, app)
    except AppError as error:
        reply = _problem(error, request)
    except Exception as error:
        app.log(
            "fault",
            where=f"{request.method} {request.path}",
            requestId=request.request_id,
            detail="".join(traceback.format_exception(error))[-2000:],
        )
        reply = _problem(error, request)
    reply.headers = [
        *reply.headers,
        ("X-Request-Id", request.request_id),
        *SECURITY_HEADERS,
        *cors_headers(policy, request.headers.get("origin"), preflight=request.method == "OPTIONS"),
    ]
    duration_ms = max(0, app.clock.now_ms() - request.started_ms)
    app.log(
        "request",
        requestId=request.request_id,
        method=request.method,
        path=request.path,
        key=request.key_id,
        status=reply.status,
        durationMs=duration_ms,
        bytes=_size(reply),
        streamed=True if reply.rest is not None or reply.stored is not None else None,
        **{**request.notes, **reply.log},
    )
    observe(request, reply, app, duration_ms)
    return reply


def _size(reply: Reply) -> int | None:
    """Return the bytes of a reply's body, where they are known before it is sent."""
    if reply.stored is not None:
        return reply.stored.size
    return len(reply.body) if reply.rest is None else None


async def _route(request: HttpRequest, app: App) -> Reply:
    """Find the handler, find out who asks, and let the one answer the other."""
    method = "GET" if request.method == "HEAD" else request.method
    open_handler = OPEN_ROUTES.get(request.path)
    if open_handler is not None:
        if method == "OPTIONS":
            return Reply(status=204, headers=[("Allow", _allow(["GET"]))])
        if method != "GET":
            raise _not_allowed(request, ["GET"])
        return await open_handler(request, app)
    for pattern, methods in ROUTES:
        match = pattern.fullmatch(request.path)
        if match is None:
            continue
        if method == "OPTIONS":
            return Reply(status=204, headers=[("Allow", _allow(methods))])
        route = methods.get(method)
        if route is None:
            raise _not_allowed(request, methods)
        request.endpoint = f"{method} {pattern.pattern.replace(_SEGMENT, '*')}"
        caller = await app.access.identify(request.headers)
        request.key_id = caller.key_id
        # Before anything that tells callers apart, so that refusals are counted too.
        await app.limits.admit_read(caller)
        if route.is_admin:
            caller.require_admin()
        return await route.handler(
            msgspec.structs.replace(request, captured=match.groups()), app, caller
        )
    raise NotFound(f"no such path: {request.path[:200]}")


def _allow(methods: list[str] | dict[str, Route]) -> str:
    allowed = [*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"]
    return ", ".join(allowed)


def _not_allowed(request: HttpRequest, methods: list[str] | dict[str, Route]) -> MethodNotAllowed:
    allowed = _allow(methods)
    return MethodNotAllowed(
        f"{request.method[:40]} is not allowed here: {allowed}", tuple(allowed.split(", "))
    )


def _problem(error: Exception, request: HttpRequest) -> Reply:
    """Return a failure as a problem document (RFC 9457)."""
    document = problem_document(error, request.request_id)
    log = {"code": error.code, "error": error.detail} if isinstance(error, AppError) else {}
    return Reply(
        status=document["status"],
        headers=[
            ("Content-Type", "application/problem+json"),
            ("Cache-Control", "no-store"),
            *problem_headers(error),
        ],
        body=msgspec.json.encode(document),
        log=log,
    )
