"""Jobs on stand-ins: queues that lose, repeat and reorder, and consumers that die at any call."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec

from building_vitals.access.caller import ANYBODY, Caller
from building_vitals.answers.question import TimeseriesRequest
from building_vitals.cache.estimates import estimated_samples
from building_vitals.handlers.queue import consume
from building_vitals.jobs.chunks_table import JobChunks
from building_vitals.jobs.jobs_table import Jobs
from building_vitals.jobs.messages_table import ChunkMessages
from building_vitals.jobs.model import Job
from building_vitals.jobs.options import JobOptions
from building_vitals.jobs.results import JobResultService
from building_vitals.jobs.runner import ChunkRunner
from building_vitals.jobs.upkeep import LostChunks
from building_vitals.maintenance.run import Maintenance, MaintenanceRun
from building_vitals.maintenance.state_table import MaintenanceState
from building_vitals.ranges import Range
from building_vitals.statistics.events import DeadLetterEvent, FollowEvent
from fakes.database import begin_invocation
from fakes.queues import PRIORITIES, FakeMessage
from fakes.world import World, WorldApp, read_body, read_json

READER = Caller(key_id="reader", is_admin=False, sites=None)
OTHER = Caller(key_id="other", is_admin=False, sites=None)
READER_OF_ALL = Caller(key_id="admin", is_admin=True, sites=None)
SMALL = JobOptions(batch_size=2)


class Death:
    """
    Ends an isolate at one of its calls: from then on it hears and says nothing.

    Attributes:
        calls: Calls so far.
        is_dead: Whether it has come.
    """

    def __init__(self, at_call: int, *, is_after: bool) -> None:
        """
        Args:
            at_call: Counted from 0.
            is_after: Whether the call is still carried out.
        """
        self.calls = 0
        self.is_dead = asyncio.Event()
        self._at_call = at_call
        self._is_after = is_after
        self._is_buried = False

    def bury(self) -> None:
        """Let tasks that are cancelled end: their last calls fail, instead of never ending."""
        self._is_buried = True

    async def around(self, call: Callable[[], Any]) -> Any:
        """Carry out a call, or die at it."""
        number, self.calls = self.calls, self.calls + 1
        if self.is_dead.is_set() or (number == self._at_call and not self._is_after):
            await self._die()
        found = await call()
        if number == self._at_call or self.is_dead.is_set():
            await self._die()
        return found

    async def _die(self) -> None:
        self.is_dead.set()
        if self._is_buried:
            raise asyncio.CancelledError
        await asyncio.get_running_loop().create_future()


class Mortal:
    """A port as an isolate sees it that may die at a call."""

    def __init__(self, port: Any, death: Death) -> None:
        self._port = port
        self._death = death

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not inspect.iscoroutinefunction(method):
            # What an isolate only remembers cannot die.
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._death.around(lambda: method(*args, **kwargs))

        return call


class CountedMaintenance(Maintenance):
    """Maintenance each run of which is an invocation of its own."""

    async def run(self) -> MaintenanceRun:
        """Run every step."""
        begin_invocation()
        return await super().run()


class JobWorld(World):
    """
    A World with queues, consumers and the maintenance run.

    Attributes:
        crashes: Failures that nobody foresaw, in consumers.
        progress: Of each job, what every look at it has shown.
        dead_letters: What the statistics were told of messages given up.
        ended: Jobs the statistics were told have ended.
        readings: What the statistics were told of followed sites.
        consumers: The services of every consumer so far.
    """

    def __init__(
        self, *, jobs: JobOptions | None = None, result_bytes_min: int = 1, **options: Any
    ) -> None:
        jobs = msgspec.structs.replace(jobs or JobOptions(), result_bytes_min=result_bytes_min)
        super().__init__(jobs=jobs, **options)
        self.chunks = JobChunks(self.database)
        self.jobs = Jobs(self.database)
        self.progress: dict[str, list[int]] = {}
        self.dead_letters: list[DeadLetterEvent] = []
        self.ended: list[str] = []
        self.readings: list[FollowEvent] = []
        self.consumers: list[WorldApp] = []
        self._deaths: list[Death] = []
        self.service_of_jobs = self.app.jobs
        self.maintenance = CountedMaintenance(
            [LostChunks(ChunkMessages(self.database), self.queues)],
            MaintenanceState(self.database),
            self.invocation,
        )

    async def __aexit__(self, *_: object) -> None:
        for death in self._deaths:
            death.bury()
        await super().__aexit__()

    def runner(self, death: Death | None = None) -> ChunkRunner:
        """Return a runner of an isolate of its own, which may die."""
        return self.consumer(death).chunk_runner

    def consumer(self, death: Death | None = None) -> WorldApp:
        """Return the services of an isolate of its own, which may die."""
        app = self.make_app(wrap=lambda port: port if death is None else Mortal(port, death))
        app.analytics = self._statistics
        if death is not None:
            self._deaths.append(death)
        self.consumers.append(app)
        return app

    @property
    def _statistics(self) -> Any:
        return SimpleNamespace(
            record_dead_letter=self.dead_letters.append,
            record_ended_job=lambda job_id, **_: self.ended.append(job_id),
            record_follow=self.readings.append,
        )

    def results(self, database: Any = None, objects: Any = None) -> JobResultService:
        """Return what materialises results, as an isolate sees the ports."""
        ports = {id(self.database): database, id(self.objects): objects}
        return self.make_app(wrap=lambda port: ports.get(id(port)) or port).results

    async def submit(
        self,
        points: Sequence[str],
        time_range: Range,
        *,
        caller: Caller = ANYBODY,
        site: str = "site",
        **options: Any,
    ) -> str:
        """Queue a request; return its job."""
        begin_invocation()
        request = TimeseriesRequest(site, tuple(points), time_range, **options)
        estimated = estimated_samples(len(request.points), time_range)
        queued = await self.service_of_jobs.queue_large_request(request, caller, estimated)
        return queued.job_id

    async def consume(
        self, messages: Sequence[FakeMessage], queue: str = "chunks", death: Death | None = None
    ) -> None:
        """Let a consumer deal with a batch, to its end or its death."""
        consumer = self.consumer(death)

        async def invoke() -> None:
            begin_invocation()
            await consume(queue, messages, consumer)

        work = asyncio.ensure_future(invoke())
        if death is None:
            await work
        else:
            dying = asyncio.ensure_future(death.is_dead.wait())
            await asyncio.wait({work, dying}, return_when=asyncio.FIRST_COMPLETED)
            dying.cancel()
            # Nothing of a dead isolate comes to an orderly end: its tasks stay as they are.
            self._tasks.add(work)

    async def deliver(self, *, death: Death | None = None) -> int:
        """Deliver one batch of each queue, the urgent ones first; return how many messages."""
        count = 0
        for priority in PRIORITIES:
            messages = self.queues.take(priority)
            count += len(messages)
            if messages:
                await self.consume(messages, death=death)
            for message in messages:
                self.queues.settle(message)
        dead, self.queues.dead = self.queues.dead, []
        if dead:
            await self.consume(dead, "chunks-dlq")
        return count

    async def run(self, job_id: str, *, within_s: int = 600, maintained: bool = False) -> Job:
        """Deliver messages until a job has ended; return how it ended."""
        until_ms = self.clock.now_ms() + 1000 * within_s
        while True:
            job = await self.look(job_id)
            if job.is_over:
                return job
            assert self.clock.now_ms() < until_ms, job
            if not await self.deliver():
                await self.clock.sleep(1000)
                if maintained:
                    await self.maintenance.run()

    async def look(self, job_id: str, caller: Caller = ANYBODY) -> Job:
        """Return a job, having seen that its progress never falls."""
        begin_invocation()
        job = await self.service_of_jobs.get_job_status(job_id, caller)
        seen = self.progress.setdefault(job_id, [0])
        assert seen[-1] <= job.progress
        assert (job.progress == 100) == (job.status == "completed")
        seen.append(job.progress)
        return job

    async def result(self, job_id: str) -> dict[str, list[list[Any]]] | None:
        """Return the samples of a completed job; None when they are no longer kept."""
        job = await self.look(job_id)
        request = await self.service_of_jobs.request_of(job)
        asked = self.question(request.points, request.time_range, route="queued")
        answer = await self.service.answer_known(asked, as_of_ms=job.created_ms)
        _, found = await self.service_of_jobs.get_job_with_result(job_id, ANYBODY)
        materialised = await self.results().answer(asked, found) if found is not None else None
        if materialised is not None and materialised.stored is not None and answer is not None:
            # However it is made, it is the same answer.
            spliced = read_json(answer, await read_body(answer), is_gzip=True)
            stored = materialised.stored
            body = stored.found.body + stored.end
            assert stored.size == len(body)
            got = read_json(materialised, body, is_gzip=True)
            assert (spliced.samples, spliced.answer_etag) == (got.samples, got.answer_etag)
            return got.samples
        if answer is None:
            return None
        return read_json(answer, await read_body(answer), is_gzip=True).samples


def chance(seed: int, share: float) -> Callable[..., bool]:
    """Return what says yes with a probability, the same for a seed."""
    dice = random.Random(seed)
    return lambda *_: dice.random() < share
