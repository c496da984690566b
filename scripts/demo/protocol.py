"""
The upstream's calls: which request asks for what, and what is answered.

Separate from the HTTP server and from the samples: the demo upstream and the tests' fake upstream
both speak it.
"""

import base64
import binascii
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from demo.instants import parse_ms
from demo.messages import ProtocolError, Reply, Request, json_reply
from demo.sources import Item, Position, Query, Source

BASE_PATH = "/api"
PAGE_SIZES = (3, 10, 50, 100, 500, 1000, 5000, 10_000, 50_000, 100_000, 300_000, 500_000)
PAGE_SIZE_DEFAULT = 10_000
PER_PAGE_DEFAULT = 100
PER_PAGE_MAX = 5000
TARGET_CHARS_MAX = 8000
# A call without pages answers with all it has; beyond this it is refused.
UNPAGED_SAMPLES_MAX = 2_000_000

_ROUTES = (
    ("GET", "sites", re.compile(r"/sites/?")),
    ("GET", "site", re.compile(r"/sites/(?P<site>[^/]+)/?")),
    ("GET", "configured_points", re.compile(r"/sites/(?P<site>[^/]+)/configured_points/?")),
    ("GET", "timeseries", re.compile(r"/sites/(?P<site>[^/]+)/timeseries/paginated/?")),
    ("GET", "point_timeseries", re.compile(r"/points/(?P<point>.+)/timeseries/?")),
    ("POST", "points_timeseries", re.compile(r"/points/get_timeseries/?")),
)


@dataclass(frozen=True, slots=True)
class Site:
    """A site: its item in the list of sites, and where its samples come from."""

    item: Item
    source: Source


@dataclass(frozen=True, slots=True)
class Call:
    """
    What a request asks for.

    Attributes:
        kind: One of sites, site, configured_points, timeseries, point_timeseries,
            points_timeseries.
        site: Name of the site; of calls by point, of the first point that is known; else "".
        names: Points asked for; None for the whole site.
    """

    kind: str
    site: str
    names: tuple[str, ...] | None = None


class Protocol:
    """
    Answers requests from sites.

    Args:
        sites: By name; looked up again at each request.
        token: What `authorization: Bearer` must carry.
        now_ms: The clock; samples after now are never sent.
    """

    def __init__(
        self,
        sites: Mapping[str, Site],
        *,
        token: str,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._sites = sites
        self._token = token
        self._now_ms = now_ms

    def reply(self, request: Request) -> Reply:
        """Answer a request; errors are answers too."""
        try:
            self.check(request)
            return self._answer(request, self.call(request))
        except ProtocolError as exc:
            return exc.reply

    def check(self, request: Request) -> None:
        """
        Let a request pass that carries the token and has no more than 8,000 characters.

        Raises:
            ProtocolError: 414 or 401.
        """
        if len(request.target) > TARGET_CHARS_MAX:
            raise ProtocolError(
                414, f"URL is too long: {len(request.target)}; at most {TARGET_CHARS_MAX}"
            )
        if request.headers.get("authorization") != f"Bearer {self._token}":
            raise ProtocolError(401, "bearer token is missing or wrong")

    def call(self, request: Request) -> Call:
        """
        Return what a request asks for, whether the site is known or not.

        Raises:
            ProtocolError: 404 for an unknown path, 405 for a method it does not take, 400 for a
                malformed body.
        """
        path = request.path.removeprefix(BASE_PATH)
        if path == request.path:
            raise ProtocolError(404, f"unknown path: {request.path}")
        allowed = []
        for method, kind, pattern in _ROUTES:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            if method != request.method:
                allowed.append(method)
                continue
            if kind == "point_timeseries":
                return self._points_call(kind, (unquote(match["point"]),))
            if kind == "points_timeseries":
                return self._points_call(kind, _body_names(request.body))
            site = unquote(match.groupdict().get("site") or "")
            return Call(kind, site, _filter_names(request.params))
        if allowed:
            raise ProtocolError(
                405, f"method is not allowed: {request.method}", {"Allow": ", ".join(allowed)}
            )
        raise ProtocolError(404, f"unknown path: {request.path}")

    def _points_call(self, kind: str, names: tuple[str, ...]) -> Call:
        known_names = set(names)
        for site, known in self._sites.items():
            if any(point["name"] in known_names for point in known.source.points):
                return Call(kind, site, names)
        return Call(kind, "", names)

    def _answer(self, request: Request, call: Call) -> Reply:
        if call.kind == "sites":
            return _listing([site.item for site in self._sites.values()], request.params)
        if call.kind in ("point_timeseries", "points_timeseries"):
            return self._unpaged(request, call)
        site = self._sites.get(call.site)
        if site is None:
            raise ProtocolError(404, f"unknown site: {call.site}")
        if call.kind == "site":
            return json_reply(site.item)
        if call.kind == "configured_points":
            return _listing(site.source.points, request.params)
        return self._page(site.source, request, call)

    def _page(self, source: Source, request: Request, call: Call) -> Reply:
        query = _query(request.params, call.names, is_raw_default=False)
        limit = _page_size(request.params.get("page_size"))
        cursor = request.params.get("cursor")
        position = decode_cursor(cursor) if cursor else Position(query.start_ms)
        page = source.page(query, position, limit, self._now_ms())
        if not page.items and not cursor:
            raise ProtocolError(404, "no data in this period")
        following = None if page.next is None else encode_cursor(page.next)
        return _samples_reply(page.items, {"next_cursor": following, "has_more": bool(following)})

    def _unpaged(self, request: Request, call: Call) -> Reply:
        query = _query(request.params, call.names, is_raw_default=True)
        items: list[str] = []
        for site in self._sites.values():
            page = site.source.page(
                query, Position(query.start_ms), UNPAGED_SAMPLES_MAX, self._now_ms()
            )
            if page.next is not None:
                raise ProtocolError(413, f"too many samples; at most {UNPAGED_SAMPLES_MAX}")
            items += page.items
        if not items:
            raise ProtocolError(404, "no data in this period")
        return _samples_reply(items, {})


def encode_cursor(position: Position) -> str:
    """Return a position as an opaque token."""
    return base64.urlsafe_b64encode(f"{position.ms}:{position.skip}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> Position:
    """
    Return the position a token stands for.

    Raises:
        ProtocolError: 400, the token was not made by encode_cursor.
    """
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        ms, skip = text.decode("ascii").split(":")
        return Position(int(ms), int(skip))
    except (binascii.Error, ValueError) as exc:
        raise ProtocolError(400, f"unknown cursor: {cursor}") from exc


def _samples_reply(items: list[str], rest: Mapping[str, object]) -> Reply:
    # The rest is a JSON object too: its members follow the samples.
    tail = json.dumps(rest, separators=(",", ":"))[1:]
    comma = "," if rest else ""
    text = f'{{"point_samples":[{",".join(items)}]{comma}{tail}'
    return Reply(200, text.encode(), {"Content-Type": "application/json"}, len(items))


def _listing(items: Sequence[Item], params: Mapping[str, str]) -> Reply:
    page = _integer(params, "page", 1, 1_000_000)
    per_page = _integer(params, "per_page", PER_PAGE_DEFAULT, PER_PAGE_MAX)
    start = (page - 1) * per_page
    return json_reply(
        {
            "page": page,
            "pages": -(-len(items) // per_page),
            "per_page": per_page,
            "total": len(items),
            "items": list(items[start : start + per_page]),
        }
    )


def _integer(params: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = params.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        raise ProtocolError(400, f"{name} must be an integer from 1 to {most}: {text}")
    return int(text)


def _page_size(text: str | None) -> int:
    if text is None:
        return PAGE_SIZE_DEFAULT
    if text not in {str(size) for size in PAGE_SIZES}:
        allowed = ", ".join(map(str, PAGE_SIZES))
        raise ProtocolError(400, f"page_size is not allowed: {text}; one of {allowed}")
    return int(text)


def _query(
    params: Mapping[str, str], names: tuple[str, ...] | None, *, is_raw_default: bool
) -> Query:
    times = []
    for name in ("start_time", "end_time"):
        try:
            times.append(parse_ms(params[name]))
        except (KeyError, ValueError, OverflowError) as exc:
            raise ProtocolError(
                400, f"{name} must be an ISO 8601 time: {params.get(name)}"
            ) from exc
    if times[1] <= times[0]:
        raise ProtocolError(400, "end_time must be after start_time")
    raw = params.get("raw_data", str(is_raw_default)).lower()
    if raw not in ("true", "false"):
        raise ProtocolError(400, f"raw_data must be true or false: {raw}")
    return Query(None if names is None else frozenset(names), times[0], times[1], raw == "true")


def _filter_names(params: Mapping[str, str]) -> tuple[str, ...] | None:
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
