"""The services on stand-ins for everything: a Worker without a runtime."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from functools import cached_property
from types import CoroutineType, SimpleNamespace
from typing import Any, NamedTuple, Self

import msgspec

from building_vitals.adapters import Platform
from building_vitals.answers.answer import CacheReport, TimeseriesAnswer
from building_vitals.answers.formats.registry import Format
from building_vitals.answers.question import Question, Route, TimeseriesRequest
from building_vitals.app import App
from building_vitals.cache.leases_table import Leases
from building_vitals.cache.need import Need
from building_vitals.cache.options import CacheOptions
from building_vitals.errors import AppError
from building_vitals.instants import DAY_MS
from building_vitals.isolate import Isolate
from building_vitals.jobs.options import JobOptions
from building_vitals.ports import HttpAnswer, Invocation
from building_vitals.ranges import Range
from building_vitals.settings import Settings, read_settings
from building_vitals.statistics.metrics import Metric
from building_vitals.upstream.port import Upstream
from fakes.database import FakeDatabase, begin_invocation
from fakes.history import History
from fakes.object_store import FakeObjectStore
from fakes.queues import FakeQueues
from fakes.virtual_time import EPOCH_MS, LoopClock

PAGE_SIZE = 1000
# For tests of objects: however small a segment is, it lies in one.
OBJECTS_ONLY = CacheOptions(sliver_bytes=0)


def days(first: float, last: float) -> Range:
    """Return a range in days before the tests' present."""
    return Range(EPOCH_MS - round(first * DAY_MS), EPOCH_MS - round(last * DAY_MS))


class Got(NamedTuple):
    """
    An answer that was read to its end.

    Attributes:
        report: What the cache did.
        samples: Of each point.
        meta: `_meta`.
        answer_etag: Entity tag.
    """

    report: CacheReport
    samples: dict[str, list[list[Any]]]
    meta: dict[str, Any]
    answer_etag: str | None


class WorldApp(App):
    """The services over an upstream in memory."""

    def __init__(
        self, platform: Platform, isolate: Isolate, settings: Settings, source: Upstream
    ) -> None:
        super().__init__(platform, isolate, settings)
        self._source = source

    @cached_property
    def source(self) -> Upstream:
        """Where samples come from."""
        return self._source


class KeptMetrics:
    """
    A MetricsWriter.

    Attributes:
        written: All metrics.
    """

    def __init__(self) -> None:
        self.written: list[Metric] = []

    def write(self, metrics: Sequence[Metric]) -> int:
        """Keep metrics."""
        self.written += metrics
        return len(metrics)


class NoLimit:
    """A RateLimiter that lets everything pass."""

    async def take(self, key: str) -> bool:
        """Let a request pass."""
        return True


class NoHttp:
    """An HttpClient that nobody may use: the upstream is in memory."""

    async def request(self, method: str, url: str, **options: Any) -> HttpAnswer:
        """Refuse."""
        raise AssertionError(f"{method} {url}: this world has no network")


def settings(*, cache: CacheOptions, jobs: JobOptions, page_size: int) -> Settings:
    """Return the settings of a Worker that lets everybody in."""
    found = read_settings(SimpleNamespace(AUTH_MODE="open", ACE_API_TOKEN="sesame"))
    return msgspec.structs.replace(
        found,
        cache=cache,
        jobs=jobs,
        upstream=msgspec.structs.replace(found.upstream, page_size=page_size),
    )


class World:
    """
    A bucket, a database, an upstream, and any number of isolates that use them.

    Attributes:
        clock: The running loop's.
        reported: Faults that only the log would tell of.
        crashes: Failures that nobody foresaw.
        lines: What was logged.
        started: How often what has gone on in the background.
    """

    def __init__(
        self,
        *,
        cache: CacheOptions | None = None,
        jobs: JobOptions | None = None,
        page_size: int = PAGE_SIZE,
        interval_ms: int = 300_000,
        history: type[History] = History,
    ) -> None:
        self.clock = LoopClock()
        self.objects = FakeObjectStore(self.clock.now_ms)
        self.database = FakeDatabase()
        self.queues = FakeQueues(self.clock.now_ms)
        self.upstream = history(self.clock, page_size=page_size, interval_ms=interval_ms)
        self.options = cache or CacheOptions()
        self.settings = settings(cache=self.options, jobs=jobs or JobOptions(), page_size=page_size)
        self.reported: list[tuple[str, AppError]] = []
        self.crashes: list[Exception] = []
        self.lines: list[dict[str, Any]] = []
        self.metrics = KeptMetrics()
        self.started: Counter[str] = Counter()
        self.invocation = Invocation(self.clock, self.run_later, self.on_fault, self.new_id)
        self._ids = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_dying = False
        self.app = self.make_app()
        self.freshness = self.app.freshness
        self.recent = self.app.recent
        self.look_ups = self.app.isolate.look_ups
        self.index = self.app.index
        self.leases = Leases(self.database)
        self.store = self.app.store
        self.filler = self.app.filler
        self.compactor = self.app.compactor
        self.service = self.app.timeseries

    def make_app(
        self, isolate: Isolate | None = None, wrap: Callable[[Any], Any] = lambda port: port
    ) -> WorldApp:
        """
        Return the services of an invocation.

        Args:
            isolate: Whose; left out: one of its own.
            wrap: Puts something around each port.
        """
        platform = Platform(
            invocation=self.invocation,
            database=wrap(self.database),
            objects=wrap(self.objects),
            queues=wrap(self.queues),
            http=NoHttp(),
            read_limit=NoLimit(),
            job_limit=NoLimit(),
            metrics=self.metrics,
            compressor=None,
            log=lambda event, **fields: self.lines.append({"event": event, **fields}),
        )
        return WorldApp(platform, isolate or Isolate(), self.settings, wrap(self.upstream))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.crash()
        self.database.connection.close()

    def new_id(self) -> str:
        """Return an identity never given before."""
        return f"id-{next(self._ids):09}"

    def on_fault(self, where: str, error: Exception) -> None:
        """Note a fault, or a failure that nobody foresaw."""
        if isinstance(error, AppError):
            self.reported.append((where, error))
        else:
            self.crashes.append(error)

    def run_later(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something after the answer."""
        assert isinstance(work, CoroutineType)
        if self._is_dying:
            work.close()
            return
        self.started[work.__qualname__] += 1
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Return when all that goes on in the background has ended; none of it may raise."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def crash(self) -> None:
        """Let the isolate die: what goes on in the background ends wherever it is."""
        self._is_dying = True
        for task in self._tasks:
            task.cancel()

    async def die(self, *requests: asyncio.Task[Any]) -> None:
        """Let an isolate die with these requests and all that goes on behind them."""
        self.crash()
        for task in requests:
            task.cancel()
        await asyncio.gather(*self._tasks, *requests, return_exceptions=True)
        self._is_dying = False

    def need(self, points: Sequence[str], time_range: Range, *, within_ms: int = 30_000) -> Need:
        """Return a need of this moment."""
        now_ms = self.clock.now_ms()
        return Need("site", tuple(points), time_range, now_ms, now_ms + within_ms)

    def question(
        self,
        points: Sequence[str],
        time_range: Range,
        *,
        route: Route = "cached",
        format: Format = "json",
        gzip: bool = True,
        matches: Callable[[str], bool] = lambda _: False,
        **options: Any,
    ) -> Question:
        """Return a request of this moment."""
        return Question(
            request=TimeseriesRequest("site", tuple(points), time_range, **options),
            route=route,
            estimated=0,
            request_id="request",
            format=format,
            gzip=gzip,
            started_ms=self.clock.now_ms(),
            matches=matches,
        )

    async def ask(self, points: Sequence[str], time_range: Range, **options: Any) -> Got:
        """Return the answer to a request for JSON."""
        begin_invocation()
        question = self.question(points, time_range, **options)
        answer = await self.service.fetch_timeseries(question)
        return read_json(answer, await read_body(answer), is_gzip=question.gzip)

    def truth(
        self, points: Sequence[str], time_range: Range, version: int = 0
    ) -> dict[str, list[list[Any]]]:
        """Return the samples that a request for all of a past range must get."""
        return {point: self.upstream.truth(point, time_range, version) for point in points}


async def read_body(answer: TimeseriesAnswer) -> bytes:
    """Return all of an answer's body."""
    body = bytes(answer.first)
    if answer.rest is not None:
        async for chunk in answer.rest:
            body += chunk
    return body


def read_json(answer: TimeseriesAnswer, body: bytes, *, is_gzip: bool) -> Got:
    """Return what a JSON body says, having seen that its counts are right."""
    document = json.loads(gzip.decompress(body) if is_gzip else body)
    samples = {}
    for point, found in document["data"].items():
        assert found["error"] is None
        assert len(found["samples"]) == found["count"], point
        samples[point] = found["samples"]
    meta = document["_meta"]
    assert sum(map(len, samples.values())) == meta["samplesCount"] == answer.samples
    return Got(answer.report, samples, meta, answer.answer_etag)
