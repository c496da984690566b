"""
An upstream for tests: a real HTTP server in this process, with known samples and faults on demand.

It speaks the demo upstream's protocol. Tests share one server and keep apart by site names.
The folders tests and scripts must be on the path, as they are under pytest.
"""

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Any, Self

from demo.instants import SECOND_MS, parse_ms
from demo.items import point_item, site_item
from demo.messages import ProtocolError, Reply, Request
from demo.protocol import Protocol, Site
from demo.routes import BASE_PATH, Call
from demo.sites import SiteSpec, demo_site
from demo.sources import GridSource, Item, ListedSource
from demo.traits import WORLDS, Traits
from fakes.upstream_faults import ANY_CALL, TIMESERIES, Faults
from fakes.upstream_series import (
    GeneratedSeries,
    RawJson,
    Wire,
    expected_samples,
    expected_value,
    wire_text,
)
from fakes.upstream_server import Send, WireServer
from fakes.upstream_warts import HTML_PAGE, LOGIN_PATH, Answer, past_empty_page

__all__ = ["ANY_CALL", "TIMESERIES", "FakeUpstream", "LoggedRequest", "RawJson", "expected_value"]

FAR_FUTURE_MS = 253_402_300_799_000
# The environment's word for what the fakes of a test run are like: a key of demo.traits.WORLDS.
WORLD_VARIABLE = "FAKE_UPSTREAM"
WORLD_DEFAULT = "faithful"
# How much earlier than meant the Worker asks: whether an upstream counts the start in is open.
WORKER_MARGIN_MS = SECOND_MS


def default_traits(environment: Mapping[str, str]) -> Traits:
    """
    Return the traits that FAKE_UPSTREAM names; those of WORLD_DEFAULT where it is not set.

    Args:
        environment: Of the process.

    Raises:
        ValueError: It names no world.
    """
    world = environment.get(WORLD_VARIABLE) or WORLD_DEFAULT
    if world not in WORLDS:
        raise ValueError(f"{WORLD_VARIABLE} cannot be {world!r}; one of {', '.join(WORLDS)}")
    return WORLDS[world]


@dataclass(slots=True)
class LoggedRequest:
    """
    One request the fake got.

    Attributes:
        site: Of calls by point, the site of the first known point; "" where there is none.
        kind: The call (demo.routes.Call.kind), or "unknown".
        names: Points asked for, whether a filter is heeded or not; None for the whole site.
        time_ms: When it came, epoch ms.
        faults: Kinds of the faults that struck it.
        status: Of the answer; 0 before it and after a reset.
        samples: How many the answer held; 0 when it was cut or spoilt.
        is_done: Whether the exchange is over.
        margin_ms: How much earlier than meant it asks.
        is_comparison: Whether it is the page that the Worker compares with what it got by point.
    """

    site: str
    kind: str
    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    names: tuple[str, ...] | None
    time_ms: int
    faults: tuple[str, ...] = ()
    status: int = 0
    samples: int = 0
    is_done: bool = False
    margin_ms: int = 0
    is_comparison: bool = False

    @property
    def range_ms(self) -> tuple[int, int]:
        """The half-open range that is meant, without the margin; only of timeseries calls."""
        start_ms = parse_ms(self.params["start_time"]) + self.margin_ms
        return start_ms, parse_ms(self.params["end_time"])


class FakeUpstream:
    """
    A fake upstream.

    `latency_ms[site] = N` delays each answer of a site. `faults` spoils answers (see Faults).
    Stopping and starting again keeps port, sites and log: an upstream that was down.

    Args:
        token: What requests must carry.
        traits: What it is like; see default_traits.
        margin_ms: How much earlier than meant its client asks; the counts below leave out what is
            sent for that.
    """

    def __init__(
        self,
        token: str = "test-token",  # noqa: S107 - guards nothing
        traits: Traits | None = None,
        *,
        margin_ms: int = 0,
    ) -> None:
        self.token = token
        self.margin_ms = margin_ms
        self.traits = default_traits(os.environ) if traits is None else traits
        self.faults = Faults()
        self.latency_ms: dict[str, int] = {}
        self._lock = Lock()
        self._listed: dict[str, dict[str, list[tuple[int, Wire]]]] = {}
        self._generated: dict[str, dict[str, GeneratedSeries]] = {}
        self._generated_ranges: dict[str, tuple[int, int]] = {}
        self._sites: dict[str, Site] = {}
        self._protocol = self._protocol_of({})
        self._log: defaultdict[str, list[LoggedRequest]] = defaultdict(list)
        self._running: Counter[str] = Counter()
        self._most_running: Counter[str] = Counter()
        self._asked_by_point: set[str] = set()
        self._comparisons: dict[str, Mapping[str, str]] = {}
        self._server = WireServer(self._serve)

    def start(self) -> Self:
        """Start serving; the port stays the same after a stop."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop serving: closes all connections, ends waiting requests."""
        self._server.stop()
        self.faults.release_all()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL, ending in /api; known once started."""
        return f"http://127.0.0.1:{self._server.port}{BASE_PATH}"

    def set_points(
        self,
        site: str,
        points: Mapping[str, Iterable[tuple[int, Wire]]],
        *,
        interval_s: int = 300,
    ) -> None:
        """
        Give points of a site these samples, in place of those they had; other points stay.

        Args:
            site: Made when it is new.
            points: For each name its (ms, value as sent). Of one time, the later listed is sent
                later, and wins. An empty list makes a point without data, no points an empty site.
            interval_s: What the list of points says; the samples may have other times.
        """
        with self._lock:
            if site in self._generated:
                raise ValueError(f"site has generated points: {site}; use another site")
            held = self._listed.setdefault(site, {})
            held.update((name, list(samples)) for name, samples in points.items())
            items = [
                _point_item(site, number, name, interval_s) for number, name in _numbered(held)
            ]
            texts = {
                name: [(ms, wire_text(value)) for ms, value in samples]
                for name, samples in held.items()
            }
            self._set_site(site, Site(_site_item(site), ListedSource(items, texts)))

    def remove_points(self, site: str, names: Iterable[str]) -> None:
        """Take points that set_points made away from their site, with their samples."""
        with self._lock:
            for name in names:
                self._listed[site].pop(name, None)
        self.set_points(site, {})

    def add_samples(self, site: str, point: str, samples: Iterable[tuple[int, Wire]]) -> None:
        """Add late samples to a point that set_points made."""
        with self._lock:
            merged = [*self._listed[site].get(point, ()), *samples]
        self.set_points(site, {point: merged})

    def add_generated(
        self,
        site: str,
        *,
        start_ms: int,
        end_ms: int,
        points: int = 1,
        interval_s: int = 300,
        decimals: int = 2,
        names: Sequence[str] | None = None,
    ) -> list[str]:
        """
        Make a site of points with numeric strings at every multiple of the interval in the range.

        Args:
            site: A new one.
            start_ms: No sample is earlier.
            end_ms: Each sample is earlier.
            points: How many.
            interval_s: Between samples.
            decimals: Of each value.
            names: In place of names made up for *points* points.

        Returns:
            The points' names, sorted.
        """
        chosen = sorted(names or (_point_name(site, number) for number in range(points)))
        series = {name: GeneratedSeries(name, interval_s * SECOND_MS, decimals) for name in chosen}
        with self._lock:
            if site in self._sites:
                raise ValueError(f"site exists: {site}; use another name")
            self._generated[site] = series
            self._generated_ranges[site] = (start_ms, end_ms)
            items = [
                _point_item(site, number, name, interval_s) for number, name in _numbered(chosen)
            ]
            source = GridSource(items, series.values(), first_ms=start_ms, end_ms=end_ms)
            self._set_site(site, Site(_site_item(site), source))
        return chosen

    def add_demo_site(self, spec: SiteSpec) -> None:
        """Serve a site of the demo upstream, which is what the guides speak of."""
        with self._lock:
            self._set_site(spec.name, Site(*demo_site(spec, self.traits)))

    def remove_site(self, site: str) -> None:
        """Make a site unknown."""
        with self._lock:
            for held in (self._sites, self._listed, self._generated, self._generated_ranges):
                held.pop(site, None)
            self._protocol = self._protocol_of(self._sites)

    def remove_sites(self, prefix: str) -> None:
        """Make all sites unknown whose names begin so."""
        for name in [each for each in self._sites if each.startswith(prefix)]:
            self.remove_site(name)

    def has_point(self, site: str, point: str) -> bool:
        """Return whether a site's list has a point."""
        with self._lock:
            return point in self._generated.get(site, self._listed.get(site, {}))

    def samples(self, site: str, point: str, start_ms: int, end_ms: int) -> list[tuple[int, Wire]]:
        """Return a point's (ms, value as sent) in the half-open range, in the order sent."""
        with self._lock:
            if site in self._generated:
                first_ms, last_ms = self._generated_ranges[site]
                series = self._generated[site].get(point)
                if series is None:
                    return []
                return series.samples(max(start_ms, first_ms), min(end_ms, last_ms))
            listed = self._listed[site].get(point, [])
        chosen = [sample for sample in listed if start_ms <= sample[0] < end_ms]
        return sorted(chosen, key=lambda sample: sample[0])

    def expected(self, site: str, point: str, start_ms: int, end_ms: int) -> list[list[Any]]:
        """
        Return the [ms, value] the API must answer for a point and a half-open range.

        Warts add samples that change nothing of it: what has no readable time, name or value is
        left out.
        """
        return expected_samples(self.samples(site, point, start_ms, end_ms))

    @property
    def requests(self) -> dict[str, list[LoggedRequest]]:
        """All requests by site, in the order they came."""
        with self._lock:
            return {site: list(logged) for site, logged in self._log.items()}

    def log(self, site: str, *kinds: str) -> list[LoggedRequest]:
        """Return a site's requests in the order they came; all kinds of calls if none is named."""
        with self._lock:
            logged = list(self._log.get(site, ()))
        return [one for one in logged if not kinds or one.kind in kinds]

    def clear_log(self, site: str) -> None:
        """Forget a site's requests and its greatest concurrency."""
        with self._lock:
            self._log.pop(site, None)
            self._most_running.pop(site, None)

    def fetches(self, site: str) -> list[LoggedRequest]:
        """Return a site's timeseries calls, without the one that compares two ways of asking."""
        return [one for one in self.log(site, *TIMESERIES) if not one.is_comparison]

    def requests_for(self, site: str, *kinds: str) -> int:
        """Return how many requests came for a site; `fetches` if no kind is named."""
        return len(self.log(site, *kinds) if kinds else self.fetches(site))

    def samples_sent(self, site: str, *, patience_ms: int | None = None) -> int:
        """
        Return how many samples `fetches` got of a site, duplicates and unasked ones included.

        Left out are those before and at the end of the half-open range that was meant. With
        *patience_ms*, so are those of a request that comes again so long after its like: on a
        machine that is busy, the first answer may have come too late.
        """
        asked: dict[tuple[object, ...], int] = {}
        samples = 0
        for one in self.fetches(site):
            like = (one.path, one.body, *sorted(one.params.items()))
            waited_ms = one.time_ms - asked.get(like, one.time_ms)
            asked[like] = one.time_ms
            if patience_ms is None or waited_ms < patience_ms:
                samples += one.samples - self._samples_beside(one)
        return samples

    def _samples_beside(self, asked: LoggedRequest) -> int:
        """Return how many samples a walk of pages gets from outside of the range meant."""
        if not asked.samples or asked.params.get("cursor"):
            return 0
        with self._lock:
            known = (self._generated.get(asked.site) or self._listed.get(asked.site, {})).keys()
        is_whole = asked.names is None or (
            asked.kind == "timeseries" and self.traits.filter == "ignored"
        )
        names = known if is_whole else known & set(asked.names or ())
        start_ms, end_ms = asked.range_ms
        sides = [(start_ms - asked.margin_ms, start_ms)]
        if self.traits.ends == "inclusive":
            sides.append((end_ms, end_ms + 1))
        return sum(len(self.samples(asked.site, name, *side)) for name in names for side in sides)

    def fetched_ranges(self, site: str, *, is_merged: bool = False) -> list[tuple[int, int]]:
        """
        Return the ranges of a site that were asked for and answered with 200 or 404.

        Args:
            site: Others are left out.
            is_merged: Sorted, with those that overlap or touch made one; else one for each first
                page, in the order asked.
        """
        ranges = [
            one.range_ms
            for one in self.fetches(site)
            if one.status in (200, 404) and not one.params.get("cursor")
        ]
        if not is_merged:
            return ranges
        merged: list[tuple[int, int]] = []
        for start_ms, end_ms in sorted(ranges):
            if merged and start_ms <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end_ms))
            else:
                merged.append((start_ms, end_ms))
        return merged

    def max_concurrency(self, site: str) -> int:
        """Return the greatest number of a site's `fetches` at one moment."""
        with self._lock:
            return self._most_running[site]

    def _serve(self, request: Request, send: Send) -> None:
        """Answer one request with *send*, and log it."""
        protocol = self._protocol
        logged, call = self._begin(protocol, request)
        try:
            reply = self._reply(protocol, request, logged, call)
            with self._lock:
                logged.status, logged.samples = reply.status, reply.samples
            send(reply)
        finally:
            with self._lock:
                logged.is_done = True
                if logged.kind in TIMESERIES and not logged.is_comparison:
                    self._running[logged.site] -= 1

    def _begin(self, protocol: Protocol, request: Request) -> tuple[LoggedRequest, Call]:
        try:
            call = protocol.call(request)
        except ProtocolError:
            call = Call("unknown", "")
        logged = LoggedRequest(
            call.site, call.kind, request.method, request.path, request.params, request.headers,
            request.body, call.names, time.time_ns() // 1_000_000, margin_ms=self.margin_ms,
        )  # fmt: skip
        with self._lock:
            logged.is_comparison = self._compares(logged)
            self._log[call.site].append(logged)
            if call.kind in TIMESERIES and not logged.is_comparison:
                self._running[call.site] += 1
                running = self._running[call.site]
                self._most_running[call.site] = max(self._most_running[call.site], running)
        return logged, call

    def _compares(self, logged: LoggedRequest) -> bool:
        """Return whether a page is the first with a filter of a site asked by point, or a retry."""
        if logged.kind == "points_timeseries":
            self._asked_by_point.add(logged.site)
        if logged.kind != "timeseries" or logged.names is None or "cursor" in logged.params:
            return False
        if logged.site not in self._asked_by_point:
            return False
        return self._comparisons.setdefault(logged.site, logged.params) == logged.params

    def _reply(
        self, protocol: Protocol, request: Request, logged: LoggedRequest, call: Call
    ) -> Reply:
        if request.path == LOGIN_PATH:
            return Reply(200, HTML_PAGE, {"Content-Type": "text/html"})
        try:
            protocol.check(request)
        except ProtocolError as exc:
            return exc.reply
        self._server.stopping.wait(self.latency_ms.get(call.site, 0) / 1000)
        answer: Answer = lambda asked: protocol.reply(past_empty_page(asked))  # noqa: E731
        strikes = self.faults.take(call.site, call)
        logged.faults = tuple(strike.kind for strike in strikes)
        for strike in strikes:
            answer = strike.around(answer, call)
        return answer(request)

    def _set_site(self, name: str, site: Site) -> None:
        self._sites[name] = site
        self._protocol = self._protocol_of(self._sites)

    def _protocol_of(self, sites: Mapping[str, Site]) -> Protocol:
        # A copy for each change, so that requests being answered never see half of one.
        return Protocol(
            dict(sites), token=self.token, traits=self.traits, now_ms=lambda: FAR_FUTURE_MS
        )


def _numbered(names: Iterable[str]) -> Iterable[tuple[int, str]]:
    return enumerate(sorted(names), start=1)


def _point_name(site: str, number: int) -> str:
    device = f"10.9.{number // 200 + 1}.{number % 200 + 2}-{90_000 + number}"
    return f"{site}/{device}/Level 01 VAV-{number // 8:03d}/Zone Sensor {number:04d}.Temperature"


def _site_item(site: str) -> Item:
    return site_item(1, site, client="test")


def _point_item(site: str, number: int, name: str, interval_s: int) -> Item:
    return point_item(number, name, _site_item(site), interval_s=interval_s)
