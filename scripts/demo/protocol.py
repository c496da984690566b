"""
The upstream's answers.

Separate from the HTTP server and from the samples: the demo upstream and the tests' fake upstream
both speak it.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from demo.cursors import decode_cursor, encode_cursor
from demo.instants import DAY_MS
from demo.items import WEATHER_KEYS, null_body
from demo.messages import ProtocolError, Reply, Request, json_reply
from demo.parameters import number_of, page_size_of, per_page_of, range_of, switch_of
from demo.routes import Call, route
from demo.sources import Item, Position, Query, Source
from demo.traits import FAITHFUL, Traits

TARGET_CHARS_MAX = 8000
LINE_BYTES_MAX = 4094
# Blanks and version of a request line.
LINE_REST_BYTES = len("  HTTP/1.1")
NAMES_MAX = 100
# A call without pages answers with all it has; beyond this it is refused.
UNPAGED_SAMPLES_MAX = 2_000_000
WEATHER_MS = DAY_MS


@dataclass(frozen=True)
class Site:
    """A site: its item in the list of sites, and where its samples come from."""

    item: Item
    source: Source

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of its points."""
        return frozenset(str(point["name"]) for point in self.source.points)


class Protocol:
    """
    Answers requests from sites.

    Args:
        sites: By name; looked up again at each request.
        token: What `authorization: Bearer` must carry.
        traits: What it is like.
        now_ms: The clock; samples after now are never sent.
    """

    def __init__(
        self,
        sites: Mapping[str, Site],
        *,
        token: str,
        traits: Traits = FAITHFUL,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._sites = sites
        self._token = token
        self._traits = traits
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
        Let a request pass that carries the token and is not too long.

        Raises:
            ProtocolError: 414 for a long one, 401 without a token, 401 or 500 for a wrong one.
        """
        self._check_length(request)
        sent = request.headers.get("authorization")
        if sent == f"Bearer {self._token}":
            return
        if sent is not None and self._traits.wrong_token == "500":  # noqa: S105 - a status
            raise ProtocolError(500, "An unhandled exception occurred.")
        raise ProtocolError(401, "bearer token is missing or wrong")

    def _check_length(self, request: Request) -> None:
        if self._traits.request_line == "8000":
            if len(request.target) > TARGET_CHARS_MAX:
                raise ProtocolError(
                    414, f"URL is too long: {len(request.target)}; at most {TARGET_CHARS_MAX}"
                )
            return
        line_bytes = len(f"{request.method}{request.target}".encode()) + LINE_REST_BYTES
        if line_bytes > LINE_BYTES_MAX:
            page = f"<html><h1>Request Line is too large ({line_bytes} &gt; {LINE_BYTES_MAX})</h1>"
            headers = {"Content-Type": "text/html", "Connection": "close"}
            raise ProtocolError.of(Reply(414, page.encode(), headers))

    def call(self, request: Request) -> Call:
        """
        Return what a request asks for, whether the site is known or not.

        Raises:
            ProtocolError: See demo.routes.route.
        """
        call = route(request, is_strict=self._traits.slashes == "strict")
        if call.kind not in ("point_timeseries", "points_timeseries"):
            return call
        asked = call.names or ()
        for name, site in self._sites.items():
            if not site.names.isdisjoint(asked):
                return replace(call, site=name)
        return call

    def _answer(self, request: Request, call: Call) -> Reply:
        if call.kind == "sites":
            return self._listing(self._listed_sites(request.params), request.params)
        if call.kind in ("point_timeseries", "points_timeseries"):
            return self._points(request, call)
        site = self._sites.get(call.site)
        is_listing = call.kind in ("configured_points", "points")
        if site is None:
            if is_listing or self._traits.unknown_site == "404":
                raise ProtocolError(404, f"unknown site: {call.site}")
            return json_reply(null_body(call.kind), status=403)
        if is_listing:
            return self._listing(site.source.points, request.params)
        if call.kind == "site":
            return json_reply(site.item)
        if call.kind == "weather":
            return self._weather(site)
        if call.kind == "site_timeseries":
            return self._unpaged([site], request.params, None)
        return self._page(site.source, request.params, call)

    def _listed_sites(self, params: Mapping[str, str]) -> list[Item]:
        is_collected, shows_archived = (
            switch_of(params, name) for name in ("collect_enabled", "show_archived")
        )
        return [
            site.item
            for site in self._sites.values()
            if (shows_archived or not site.item["archived"])
            and (not is_collected or any(point["collect_enabled"] for point in site.source.points))
        ]

    def _listing(self, items: Sequence[Item], params: Mapping[str, str]) -> Reply:
        page = number_of(params, "page", 1, 1_000_000)
        per_page = per_page_of(params, is_listed=self._traits.per_page == "listed")
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

    def _query(
        self, params: Mapping[str, str], names: Iterable[str] | None, *, is_raw: bool
    ) -> Query:
        start_ms, end_ms = range_of(params, self._traits.ends)
        chosen = None if names is None else frozenset(names)
        return Query(chosen, start_ms, end_ms, is_raw, self._traits.times == "naive")

    def _page(self, source: Source, params: Mapping[str, str], call: Call) -> Reply:
        names = call.names if self._traits.filter == "heeded" else None
        query = self._query(params, names, is_raw=switch_of(params, "raw_data"))
        limit = page_size_of(params)
        cursor = params.get("cursor")
        start = decode_cursor(cursor) if cursor else Position(query.start_ms)
        page = source.page(query, start, limit, self._now_ms())
        if not page.items and not cursor:
            self._check_emptiness()
        following = None if page.after is None else encode_cursor(start, page.after, self._traits)
        return _samples_reply(page.items, {"next_cursor": following, "has_more": bool(following)})

    def _points(self, request: Request, call: Call) -> Reply:
        names = frozenset(call.names or ())
        if call.kind == "point_timeseries" and not call.site:
            raise ProtocolError(404, f"unknown point: {', '.join(names)}")
        if self._traits.names_per_call == "100" and len(call.names or ()) > NAMES_MAX:
            raise ProtocolError(400, f"too many points: {len(call.names or ())}")
        sites = [site for site in self._sites.values() if not names.isdisjoint(site.names)]
        return self._unpaged(sites, request.params, names)

    def _unpaged(
        self, sites: Iterable[Site], params: Mapping[str, str], names: frozenset[str] | None
    ) -> Reply:
        query = self._query(params, names, is_raw=self._traits.point_calls == "raw")
        items: list[str] = []
        for site in sites:
            page = site.source.page(
                query, Position(query.start_ms), UNPAGED_SAMPLES_MAX, self._now_ms()
            )
            if page.after is not None:
                raise ProtocolError(413, f"too many samples; at most {UNPAGED_SAMPLES_MAX}")
            items += page.items
        if not items:
            self._check_emptiness()
        return _samples_reply(items, {})

    def _check_emptiness(self) -> None:
        if self._traits.empty == "404":
            raise ProtocolError(404, "no data in this period")

    def _weather(self, site: Site) -> Reply:
        """Return the last sample of each weather point, by the end of its name."""
        prefix = f"{site.item['name']}/weather/"
        now_ms = self._now_ms()
        names = frozenset(name for name in site.names if name.startswith(prefix))
        start_ms = now_ms - WEATHER_MS
        query = Query(names, start_ms, now_ms + 1, is_naive=self._traits.times == "naive")
        page = site.source.page(query, Position(start_ms), UNPAGED_SAMPLES_MAX, now_ms)
        body: Item = dict.fromkeys(WEATHER_KEYS)
        for text in page.items:
            sample = json.loads(text)
            body[sample["name"].removeprefix(prefix)] = sample
        return json_reply(body)


def _samples_reply(items: list[str], rest: Mapping[str, object]) -> Reply:
    # The rest is a JSON object too: its members follow the samples.
    tail = json.dumps(rest, separators=(",", ":"))[1:]
    comma = "," if rest else ""
    text = f'{{"point_samples":[{",".join(items)}]{comma}{tail}'
    return Reply(200, text.encode(), {"Content-Type": "application/json"}, len(items))
