"""
The services on stand-ins for everything: a Worker without a runtime.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from building_vitals.answers.answer import CacheReport, TimeseriesAnswer
from building_vitals.answers.question import Question, TimeseriesRequest
from building_vitals.answers.recent import RecentAnswers
from building_vitals.answers.routing import RoutingOptions
from building_vitals.answers.service import EnhancedTimeseriesService
from building_vitals.cache.compactor import Compactor
from building_vitals.cache.filler import SegmentFiller
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.leases_table import Leases
from building_vitals.cache.look_ups import LookUps
from building_vitals.cache.need import Need
from building_vitals.cache.options import CacheOptions
from building_vitals.cache.store import SegmentStore
from building_vitals.errors import AppError
from building_vitals.ranges import Range
from fakes.database import FakeDatabase
from fakes.history import History
from fakes.object_store import FakeObjectStore
from fakes.virtual_time import LoopClock

PAGE_SIZE = 1000


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


class World:
    """
    A bucket, a database, an upstream, and any number of isolates that use them.

    Attributes:
        clock: The running loop's.
        reported: Faults that only the log would tell of.
        started: How often what has gone on in the background.
    """

    def __init__(
        self,
        *,
        cache: CacheOptions | None = None,
        page_size: int = PAGE_SIZE,
        interval_ms: int = 300_000,
    ) -> None:
        self.clock = LoopClock()
        self.objects = FakeObjectStore(self.clock.now_ms)
        self.database = FakeDatabase()
        self.upstream = History(self.clock, page_size=page_size, interval_ms=interval_ms)
        self.options = cache or CacheOptions()
        self.routing = RoutingOptions(page_size=page_size)
        self.freshness = self.options.freshness()
        self.look_ups = LookUps()
        self.recent = RecentAnswers(self.look_ups)
        self.index = SegmentIndex(self.database, self.look_ups)
        self.leases = Leases(self.database)
        self.store = SegmentStore(self.objects, self.database, self.freshness)
        self.reported: list[tuple[str, AppError]] = []
        self.started: Counter[str] = Counter()
        self._ids = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self.filler = SegmentFiller(
            upstream=self.upstream,
            store=self.store,
            database=self.database,
            clock=self.clock,
            freshness=self.freshness,
            page_size=page_size,
            lease_ms=self.options.lease_seconds * 1000,
            new_id=self.new_id,
            background=self.background,
            report=self.report,
        )
        self.compactor = Compactor(
            store=self.store,
            index=self.index,
            clock=self.clock,
            freshness=self.freshness,
            new_id=self.new_id,
            report=self.report,
        )
        self.service = EnhancedTimeseriesService(
            filler=self.filler,
            store=self.store,
            index=self.index,
            compactor=self.compactor,
            clock=self.clock,
            options=self.routing,
            recent=self.recent,
            background=self.background,
            report=self.report,
        )

    async def __aenter__(self) -> World:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.crash()
        self.database.connection.close()

    def new_id(self) -> str:
        """
        Return an identity never given before.
        """
        return f"id-{next(self._ids)}"

    def report(self, where: str, error: AppError) -> None:
        """
        Note a fault.
        """
        self.reported.append((where, error))

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """
        Run something after the answer.
        """
        self.started[work.__qualname__] += 1
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """
        Return when all that goes on in the background has ended; none of it may raise.
        """
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def crash(self) -> None:
        """
        Let the isolate die: what goes on in the background ends wherever it is.
        """
        for task in self._tasks:
            task.cancel()

    def need(self, points: Sequence[str], time_range: Range, *, within_ms: int = 30_000) -> Need:
        """
        Return a need of this moment.
        """
        now_ms = self.clock.now_ms()
        return Need("site", tuple(points), time_range, now_ms, now_ms + within_ms)

    def question(
        self,
        points: Sequence[str],
        time_range: Range,
        *,
        route: str = "cached",
        format: str = "json",
        gzip: bool = True,
        matches: Callable[[str], bool] = lambda _: False,
        **options: Any,
    ) -> Question:
        """
        Return a request of this moment.
        """
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
        """
        Return the answer to a request for JSON.
        """
        question = self.question(points, time_range, **options)
        answer = await self.service.fetch_timeseries(question)
        return read_json(answer, await read_body(answer), is_gzip=question.gzip)

    def truth(
        self, points: Sequence[str], time_range: Range, version: int = 0
    ) -> dict[str, list[list[Any]]]:
        """
        Return the samples that a request for all of a past range must get.
        """
        return {point: self.upstream.truth(point, time_range, version) for point in points}


async def read_body(answer: TimeseriesAnswer) -> bytes:
    """
    Return all of an answer's body.
    """
    body = bytes(answer.first)
    if answer.rest is not None:
        async for chunk in answer.rest:
            body += chunk
    return body


def read_json(answer: TimeseriesAnswer, body: bytes, *, is_gzip: bool) -> Got:
    """
    Return what a JSON body says, having seen that its counts are right.
    """
    document = json.loads(gzip.decompress(body) if is_gzip else body)
    samples = {}
    for point, found in document["data"].items():
        assert found["error"] is None
        assert len(found["samples"]) == found["count"], point
        samples[point] = found["samples"]
    meta = document["_meta"]
    assert sum(map(len, samples.values())) == meta["samplesCount"] == answer.samples
    return Got(answer.report, samples, meta, answer.answer_etag)
