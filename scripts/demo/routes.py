"""
Which request is which call.

Separate from the answers: the tests' fake upstream logs calls that are never answered.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from demo.messages import ProtocolError, Reply, Request

BASE_PATH = "/api"

_ROUTES = (
    ("GET", "sites", re.compile(r"/sites")),
    ("GET", "site", re.compile(r"/sites/(?P<site>[^/]+)")),
    ("GET", "configured_points", re.compile(r"/sites/(?P<site>[^/]+)/configured_points")),
    ("GET", "points", re.compile(r"/sites/(?P<site>[^/]+)/points")),
    ("GET", "weather", re.compile(r"/sites/(?P<site>[^/]+)/weather")),
    ("GET", "timeseries", re.compile(r"/sites/(?P<site>[^/]+)/timeseries/paginated")),
    ("GET", "site_timeseries", re.compile(r"/sites/(?P<site>[^/]+)/timeseries")),
    # The framework decodes a path before it divides it, so a slash in a name needs no escape.
    ("GET", "point_timeseries", re.compile(r"/points/(?P<point>.+)/timeseries")),
    ("POST", "points_timeseries", re.compile(r"/points/get_timeseries")),
)


@dataclass(frozen=True, slots=True)
class Call:
    """
    What a request asks for.

    Attributes:
        kind: One of sites, site, configured_points, points, weather, timeseries,
            site_timeseries, point_timeseries, points_timeseries.
        site: Name of the site; of calls by point, of the first point that is known; else "".
        names: Points asked for, whether a filter is heeded or not; None for the whole site.
    """

    kind: str
    site: str
    names: tuple[str, ...] | None = None


def route(request: Request, *, is_strict: bool) -> Call:
    """
    Return the call that a request makes; of calls by point, the site is left open.

    Args:
        request: The request.
        is_strict: Whether a slash at the end of a path matters.

    Raises:
        ProtocolError: 308 where a slash is missing, 404 for an unknown path, 405 for a method it
            does not take, 400 for a malformed body.
    """
    path = _path(request, is_strict=is_strict)
    allowed = []
    for method, kind, pattern in _ROUTES:
        match = pattern.fullmatch(path)
        if match is None:
            continue
        if method != request.method:
            allowed.append(method)
            continue
        if kind == "point_timeseries":
            return Call(kind, "", (unquote(match["point"]),))
        if kind == "points_timeseries":
            return Call(kind, "", _body_names(request.body))
        return Call(kind, unquote(match.groupdict().get("site") or ""), _names(request.params))
    if allowed:
        raise ProtocolError(
            405, f"method is not allowed: {request.method}", {"Allow": ", ".join(allowed)}
        )
    raise ProtocolError(404, f"unknown path: {request.path}")


def _path(request: Request, *, is_strict: bool) -> str:
    """Return the path below the base, without the slash at its end where one may be."""
    path = request.path.removeprefix(BASE_PATH)
    if path == request.path:
        raise ProtocolError(404, f"unknown path: {request.path}")
    if not is_strict or path == "/sites/":
        return path.removesuffix("/")
    if path == "/sites":
        raise ProtocolError.of(_slash_redirect(request))
    if path.endswith("/"):
        raise ProtocolError(404, f"unknown path: {request.path}")
    return path


def _slash_redirect(request: Request) -> Reply:
    """Return the redirect that Flask sends to an address without its slash."""
    host = request.headers.get("host", "")
    query = request.target.partition("?")[2]
    location = f"http://{host}" if host else ""
    location += f"{request.path}/" + (f"?{query}" if query else "")
    page = b"<!doctype html>\n<title>Redirecting...</title>\n<h1>Redirecting...</h1>\n"
    return Reply(308, page, {"Content-Type": "text/html; charset=utf-8", "Location": location})


def _names(params: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the points of the filter; a comma always separates, so names with one match none."""
    text = params.get("point_names")
    return tuple(text.split(",")) if text else None


def _body_names(body: bytes) -> tuple[str, ...]:
    try:
        names = tuple(point["name"] for point in json.loads(body)["points"])
    except (ValueError, KeyError, TypeError) as exc:
        raise ProtocolError(400, 'body must be {"points": [{"name": …}]}') from exc
    if not all(isinstance(name, str) for name in names):
        raise ProtocolError(400, "the name of a point must be a string")
    return names
