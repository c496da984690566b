"""
Jobs on stand-ins: queues that lose, repeat and reorder, and consumers that die at any call.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from building_vitals.access.caller import ANYBODY, Caller
from building_vitals.answers.question import TimeseriesRequest
from building_vitals.cache.estimates import estimated_samples
from building_vitals.cache.filler import SegmentFiller
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.store import SegmentStore
from building_vitals.handlers.queue import consume
from building_vitals.jobs.chunks_table import JobChunks
from building_vitals.jobs.jobs_table import Jobs
from building_vitals.jobs.model import ChunkRef, Job
from building_vitals.jobs.options import JobOptions
from building_vitals.jobs.results import JobResultService
from building_vitals.jobs.results_table import JobResults
from building_vitals.jobs.runner import ChunkRunner
from building_vitals.jobs.service import ChartQueueService
from building_vitals.jobs.upkeep import LostChunks
from building_vitals.maintenance.run import Maintenance
from building_vitals.ranges import Range
from building_vitals.statistics.events import DeadLetterEvent
from fakes.failures import Failures
from fakes.world import World, read_body, read_json

MESSAGES_MAX = 100
BATCH_MAX = 10
QUEUE_RETRIES_MAX = 3
PRIORITIES = ("high", "normal", "low")


class FakeMessage:
    """
    One delivery.

    Attributes:
        ref: Which chunk.
        attempts: Deliveries, this one included.
        verdict: None as long as nothing was said, "ack", or seconds until the next delivery.
    """

    def __init__(self, ref: ChunkRef, priority: str, attempts: int = 1) -> None:
        self.ref = ref
        self.priority = priority
        self.attempts = attempts
        self.verdict: str | int | None = None

    @property
    def body(self) -> dict[str, Any]:
        """
        What was sent, as the runtime gives it.
        """
        return {"jobId": self.ref.job_id, "chunk": self.ref.chunk}

    def ack(self) -> None:
        """
        Have done with it; the first word counts.
        """
        if self.verdict is None:
            self.verdict = "ack"

    def retry(self, delay_s: int) -> None:
        """
        Have it delivered again; the first word counts.
        """
        if self.verdict is None:
            self.verdict = delay_s


class FakeQueues:
    """
    A ChunkSender, and where its messages wait.

    Attributes:
        failures: Makes `send` fail.
        sent: Every chunk that was sent, in order.
        losing: Decides whether a message gets lost on its way.
        dead: Messages given up, of all queues.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.failures = Failures("queue")
        self.sent: list[ChunkRef] = []
        self.losing: Callable[[], bool] = lambda: False
        self.dead: list[FakeMessage] = []
        self._now_ms = now_ms
        self._order = itertools.count()
        self._waiting: dict[str, list[tuple[int, int, FakeMessage]]] = {
            name: [] for name in PRIORITIES
        }

    async def send(self, refs: list[ChunkRef], priority: str, *, delay_s: int = 0) -> None:
        """
        Send one message a chunk.
        """
        async with self.failures.call("send"):
            assert 0 < len(refs) <= MESSAGES_MAX
            for ref in refs:
                self.sent.append(ref)
                self.put(FakeMessage(ref, priority), delay_s)

    def put(self, message: FakeMessage, delay_s: int = 0) -> None:
        """
        Let a message wait for its delivery.
        """
        if not self.losing():
            due_ms = self._now_ms() + 1000 * delay_s
            entry = (due_ms, next(self._order), message)
            heapq.heappush(self._waiting[message.priority], entry)

    def take(self, priority: str, count: int = BATCH_MAX) -> list[FakeMessage]:
        """
        Return the messages of a queue that are due.
        """
        waiting, taken = self._waiting[priority], []
        while waiting and waiting[0][0] <= self._now_ms() and len(taken) < count:
            taken.append(heapq.heappop(waiting)[2])
        return taken

    def settle(self, message: FakeMessage) -> None:
        """
        Do what was said of a message; silence means that its consumer died.
        """
        if message.verdict == "ack":
            return
        again = FakeMessage(message.ref, message.priority, message.attempts + 1)
        if message.attempts > QUEUE_RETRIES_MAX:
            self.dead.append(again)
        else:
            self.put(again, message.verdict if isinstance(message.verdict, int) else 0)

    def clear(self) -> None:
        """
        Lose all that waits, as a local runtime does when it is killed.
        """
        for waiting in self._waiting.values():
            waiting.clear()

    @property
    def waiting(self) -> int:
        """
        Messages that wait.
        """
        return sum(map(len, self._waiting.values()))


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

    async def around(self, call: Callable[[], Any]) -> Any:
        """
        Carry out a call, or die at it.
        """
        number, self.calls = self.calls, self.calls + 1
        if self.is_dead.is_set() or (number == self._at_call and not self._is_after):
            await self._die()
        found = await call()
        if number == self._at_call or self.is_dead.is_set():
            await self._die()
        return found

    async def _die(self) -> None:
        self.is_dead.set()
        await asyncio.get_running_loop().create_future()


class Mortal:
    """
    A port as an isolate sees it that may die at a call.
    """

    def __init__(self, port: Any, death: Death) -> None:
        self._port = port
        self._death = death

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._death.around(lambda: method(*args, **kwargs))

        return call


class JobWorld(World):
    """
    A World with queues, consumers and the maintenance run.

    Attributes:
        crashes: Failures that nobody foresaw, in consumers.
        progress: Of each job, what every look at it has shown.
        dead_letters: What the statistics were told of messages given up.
        perhaps_ended: Jobs the statistics were told may have ended.
    """

    def __init__(
        self, *, jobs: JobOptions | None = None, result_bytes_min: int = 1, **options: Any
    ) -> None:
        super().__init__(**options)
        self.job_options = jobs or JobOptions()
        self.result_bytes_min = result_bytes_min
        self.queues = FakeQueues(self.clock.now_ms)
        self.chunks = JobChunks(self.database)
        self.jobs = Jobs(self.database)
        self.crashes: list[BaseException] = []
        self.lines: list[dict[str, Any]] = []
        self.progress: dict[str, list[int]] = {}
        self.dead_letters: list[DeadLetterEvent] = []
        self.perhaps_ended: list[str] = []
        self.analytics = SimpleNamespace(
            record_dead_letter=self.dead_letters.append,
            record_ended_job=lambda job_id, since_ms: self.perhaps_ended.append(job_id),
        )
        self.service_of_jobs = ChartQueueService(
            jobs=self.jobs,
            sender=self.queues,
            clock=self.clock,
            options=self.job_options,
            new_id=self.new_job_id,
            look_ups=self.look_ups,
            report=self.report,
        )
        self.maintenance = Maintenance(
            [LostChunks(self.chunks, self.queues)], self.clock, self.report
        )

    def new_job_id(self) -> str:
        """
        Return an identity never given before, that differs early.
        """
        return f"{self.new_id()[3:]:0>12}"

    def runner(self, death: Death | None = None) -> ChunkRunner:
        """
        Return a runner of an isolate of its own.
        """
        database: Any = self.database
        objects: Any = self.objects
        queues: Any = self.queues
        upstream: Any = self.upstream
        if death is not None:
            database, objects = Mortal(database, death), Mortal(objects, death)
            queues, upstream = Mortal(queues, death), Mortal(upstream, death)
        store = SegmentStore(objects, database, self.freshness)

        def filler_for(background: Callable[[Any], None]) -> SegmentFiller:
            return SegmentFiller(
                upstream=upstream,
                store=store,
                database=database,
                clock=self.clock,
                freshness=self.freshness,
                page_size=self.routing.page_size,
                lease_ms=self.options.lease_seconds * 1000,
                new_id=self.new_id,
                background=background,
                report=self.report,
            )

        return ChunkRunner(
            chunks=JobChunks(database),
            filler_for=filler_for,
            store=store,
            index=SegmentIndex(database),
            sender=queues,
            clock=self.clock,
            options=self.job_options,
            new_id=self.new_id,
            on_complete=self.results(database, objects).materialise,
            report=lambda _, error: self.crashes.append(error),
        )

    def results(self, database: Any = None, objects: Any = None) -> JobResultService:
        """
        Return what lays results down, as an isolate sees the ports.
        """
        database, objects = database or self.database, objects or self.objects
        return JobResultService(
            results=JobResults(database),
            jobs=Jobs(database),
            objects=objects,
            store=SegmentStore(objects, database, self.freshness),
            index=SegmentIndex(database),
            clock=self.clock,
            freshness=self.freshness,
            new_id=self.new_id,
            report=self.report,
            bytes_min=self.result_bytes_min,
        )

    async def submit(
        self,
        points: Sequence[str],
        time_range: Range,
        *,
        caller: Caller = ANYBODY,
        site: str = "site",
        **options: Any,
    ) -> str:
        """
        Queue a request; return its job.
        """
        request = TimeseriesRequest(site, tuple(points), time_range, **options)
        estimated = estimated_samples(len(request.points), time_range)
        queued = await self.service_of_jobs.queue_large_request(request, caller, estimated)
        return queued.job_id

    async def consume(
        self, messages: Sequence[FakeMessage], queue: str = "chunks", death: Death | None = None
    ) -> None:
        """
        Let a consumer deal with a batch, to its end or its death.
        """
        context: Any = SimpleNamespace(
            clock=self.clock,
            chunk_runner=self.runner(death),
            analytics=self.analytics,
            log=lambda event, **fields: self.lines.append({"event": event, **fields}),
        )
        work = asyncio.ensure_future(consume(queue, messages, context))
        if death is None:
            await work
        else:
            dying = asyncio.ensure_future(death.is_dead.wait())
            await asyncio.wait({work, dying}, return_when=asyncio.FIRST_COMPLETED)
            dying.cancel()
            # Nothing of a dead isolate comes to an orderly end: its tasks stay as they are.
            self._tasks.add(work)

    async def deliver(self, *, death: Death | None = None) -> int:
        """
        Deliver one batch of each queue, the urgent ones first; return how many messages.
        """
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
        """
        Deliver messages until a job has ended; return how it ended.
        """
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
        """
        Return a job, having seen that its progress never falls.
        """
        job = await self.service_of_jobs.get_job_status(job_id, caller)
        seen = self.progress.setdefault(job_id, [0])
        assert seen[-1] <= job.progress
        assert (job.progress == 100) == (job.status == "completed")
        seen.append(job.progress)
        return job

    async def result(self, job_id: str) -> dict[str, list[list[Any]]] | None:
        """
        Return the samples of a completed job; None when they are no longer kept.
        """
        job = await self.look(job_id)
        request = await self.service_of_jobs.request_of(job)
        asked = self.question(request.points, request.time_range, route="queued")
        answer = await self.service.answer_known(asked, judged_ms=job.created_ms)
        _, found = await self.service_of_jobs.get_job_with_result(job_id, ANYBODY)
        laid_down = await self.results().answer(asked, found) if found is not None else None
        if laid_down is not None and laid_down.stored is not None and answer is not None:
            # However it is made, it is the same answer.
            spliced = read_json(answer, await read_body(answer), is_gzip=True)
            stored = laid_down.stored
            body = stored.found.body + stored.end
            assert stored.size == len(body)
            got = read_json(laid_down, body, is_gzip=True)
            assert (spliced.samples, spliced.answer_etag) == (got.samples, got.answer_etag)
            return got.samples
        if answer is None:
            return None
        return read_json(answer, await read_body(answer), is_gzip=True).samples


def chance(seed: int, share: float) -> Callable[..., bool]:
    """
    Return what says yes with a probability, the same for a seed.
    """
    dice = random.Random(seed)
    return lambda *_: dice.random() < share
