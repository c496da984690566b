"""Every HTTP request: matched to its endpoint, authorised, answered, logged."""

from __future__ import annotations

import traceback

import msgspec

from building_vitals.access.api_keys import masked
from building_vitals.access.caller import NOBODY
from building_vitals.access.origins import (
    SAFE_METHODS,
    check_host,
    check_origin,
    host_name,
    is_loopback,
)
from building_vitals.api.cors import (
    HSTS_HEADER,
    SECURITY_HEADERS,
    CorsPolicy,
    cors_headers,
    is_allowed,
    parse_policy,
)
from building_vitals.api.messages import NO_STORE, Call, HttpRequest, Reply
from building_vitals.api.observation import observe
from building_vitals.api.problem import PROBLEM_CONTENT_TYPE, problem_document, problem_headers
from building_vitals.api.requests import check_query
from building_vitals.api.routes import ROUTER
from building_vitals.app import App
from building_vitals.errors import AppError, MethodNotAllowed, NotFound
from building_vitals.instants import elapsed_ms

# Browsers ask for it beside every answer that they show: no failure to log.
FAVICON_PATH = "/favicon.ico"


async def answer(request: HttpRequest, app: App) -> Reply:
    """Return the reply to a request, whatever happens; nothing is raised."""
    policy = parse_policy(app.settings.cors_origins)
    try:
        _check_open_mode(request, app, policy)
        reply = await _route(request, app)
    except AppError as error:
        reply = problem_reply(error, request)
    except Exception as error:
        app.log(
            "fault",
            where=f"{request.method} {request.path}",
            requestId=request.request_id,
            detail="".join(traceback.format_exception(error))[-2000:],
        )
        reply = problem_reply(error, request)
    complete(reply, request)
    reply.headers += cors_headers(
        policy, request.headers.get("origin"), preflight=request.method == "OPTIONS"
    )
    duration_ms = elapsed_ms(request.started_ms, app.clock.now_ms())
    app.log(
        "request",
        requestId=request.request_id,
        method=request.method,
        path=masked(request.path),
        key=request.key_id,
        status=reply.status,
        durationMs=duration_ms,
        bytes=_size(reply),
        streamed=True if reply.rest is not None or reply.stored is not None else None,
        **request.facts.log_fields(),
    )
    observe(request, reply, app, duration_ms)
    return reply


def complete(reply: Reply, request: HttpRequest) -> None:
    """Add the headers that every answer has."""
    reply.headers = [*reply.headers, ("X-Request-Id", request.request_id), *SECURITY_HEADERS]
    # A browser that was told so for this machine would refuse what else is developed on it.
    if request.is_https and not is_loopback(host_name(request.host)):
        reply.headers.append(HSTS_HEADER)


def _check_open_mode(request: HttpRequest, app: App, policy: CorsPolicy) -> None:
    """
    Return when the mode `open` lets a request in; in the mode `keys` its key decides.

    Raises:
        Forbidden: it came by another host's name, or changes something for another origin's page.
    """
    settings = app.settings
    if settings.auth_mode != "open":
        return
    check_host(request.host, settings.open_hosts)
    if request.method not in SAFE_METHODS:
        origin = request.headers.get("origin")
        check_origin(
            request.host,
            origin=origin,
            fetch_site=request.headers.get("sec-fetch-site"),
            is_listed=is_allowed(policy, origin),
        )


def _size(reply: Reply) -> int | None:
    """Return the bytes of a reply's body, where they are known before it is sent."""
    if reply.stored is not None:
        return reply.stored.size
    return len(reply.body) if reply.rest is None else None


async def _route(request: HttpRequest, app: App) -> Reply:
    """Find the endpoint, identify the caller, and call the handler."""
    found = ROUTER.find(request.path)
    if found is None:
        if request.path == FAVICON_PATH and request.method in SAFE_METHODS:
            return Reply(status=204, headers=[("Cache-Control", "public, max-age=86400")])
        raise NotFound(f"no such path: {request.path[:200]}")
    resource, captured = found
    if request.method == "OPTIONS":
        return Reply(status=204, headers=[("Allow", resource.allow)])
    endpoint = resource.endpoints.get("GET" if request.method == "HEAD" else request.method)
    if endpoint is None:
        raise MethodNotAllowed(
            f"{request.method[:40]} is not allowed here: {resource.allow}",
            tuple(resource.allow.split(", ")),
        )
    caller = NOBODY
    if endpoint.role != "anybody":
        request.endpoint = endpoint.label
        caller = await app.access.identify(request.headers)
        request.key_id = caller.key_id
        app.allowance.caller = caller
        # Before anything that tells callers apart, so that refusals are counted too.
        await app.limits.admit_read(caller)
        if endpoint.role == "admin":
            caller.require_admin()
    if not endpoint.parameters and request.query:
        check_query(request.query)
    return await endpoint.handler(
        Call(
            request=request,
            app=app,
            caller=caller,
            parameters=endpoint.parameters,
            captured=captured,
        )
    )


def problem_reply(error: Exception, request: HttpRequest) -> Reply:
    """Return a failure as a problem document (RFC 9457), without the secrets of its text."""
    if isinstance(error, AppError):
        request.facts.code, request.facts.error = error.code, masked(error.detail)
    document = problem_document(error, request.request_id)
    return Reply(
        status=document.status,
        headers=[("Content-Type", PROBLEM_CONTENT_TYPE), NO_STORE, *problem_headers(error)],
        body=msgspec.json.encode(document),
    )
