"""A followed site on stand-ins: consumers that die, queues that lose, an upstream that fails."""

from __future__ import annotations

import asyncio
from typing import Any

from building_vitals.errors import Unavailable
from building_vitals.follow.follows_table import FollowRow, SiteFollows
from building_vitals.follow.runner import FollowRun, FollowRunner
from building_vitals.follow.upkeep import steps
from building_vitals.jobs.model import FollowRef
from building_vitals.ranges import Range
from building_vitals.statement_count import StatementCount
from fakes.database import begin_invocation
from fakes.job_world import Death, Mortal
from fakes.kept_sites import KeptSites
from fakes.queues import FakeMessage
from fakes.world import World

SITE = "site"
NAMES = tuple(f"p{n}" for n in range(8))


class FollowWorld(World):
    """
    A World with a site of eight points that is followed.

    Attributes:
        kept: What was stored.
        follows: The table.
        runs: What became of messages, in order.
        lateness_ms: How late samples come.
        changes: How often it was told that something has changed.
    """

    def __init__(self, *, page_size: int = 100, **options: Any) -> None:
        super().__init__(page_size=page_size, **options)
        self.upstream.site_points = NAMES
        self.kept = KeptSites(self.clock)
        self.follows = SiteFollows(self.database)
        self.runs: list[FollowRun] = []
        self.lateness_ms = 60_000
        self.changes = 0
        self._deaths: list[Death] = []
        self._step = steps(self.database, self.queues)[0]

    async def __aexit__(self, *_: object) -> None:
        for death in self._deaths:
            death.bury()
        await super().__aexit__()

    @property
    def now_ms(self) -> int:
        """The present, in whole seconds."""
        return self.clock.now_ms() // 1000 * 1000

    def runner(self, death: Death | None = None) -> FollowRunner:
        """Return a runner of an isolate of its own, which may die."""

        def mortal(port: Any) -> Any:
            return port if death is None else Mortal(port, death)

        return FollowRunner(
            database=StatementCount(mortal(self.database)),
            upstream=mortal(self.upstream),
            keeper=mortal(self.kept),
            sender=mortal(self.queues),
            lateness_of=lambda _: self.lateness_ms,
            on_change=self._changed,
            invocation=self.invocation,
        )

    def _changed(self) -> None:
        self.changes += 1

    async def follow(self, since_ms: int, every_ms: int = 300_000) -> FollowRow:
        """Follow the site, from so long ago on; the first message is sent."""
        now_ms = self.now_ms
        row = await self.follows.put(
            SITE, since_ms=now_ms - since_ms, every_ms=every_ms, every="5m", now_ms=now_ms
        )
        await self.queues.send([FollowRef(SITE)], "low")
        return row

    async def row(self) -> FollowRow:
        """Return the follow as it stands."""
        found = await self.follows.find(SITE)
        assert found is not None
        return found

    async def deliver(self, death: Death | None = None) -> int:
        """Deliver the messages that are due; return how many."""
        messages = self.queues.take("low")
        for message in messages:
            await self.consume(message, death)
            self.queues.settle(message)
        self.queues.dead.clear()
        return len(messages)

    async def consume(self, message: FakeMessage, death: Death | None = None) -> None:
        """Let a consumer deal with a message, to its end or its death."""
        runner = self.runner(death)

        async def invoke() -> None:
            begin_invocation()
            assert isinstance(message.ref, FollowRef)
            try:
                run = await runner.run(message.ref.site, delivery=message.attempts)
            except Unavailable:
                message.retry(10)
                return
            self.runs.append(run)
            if run.retry_s is None:
                message.ack()
            else:
                message.retry(run.retry_s)

        work = asyncio.ensure_future(invoke())
        if death is None:
            await work
            return
        self._deaths.append(death)
        dying = asyncio.ensure_future(death.is_dead.wait())
        await asyncio.wait({work, dying}, return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        # Nothing of a dead isolate comes to an orderly end: its tasks stay as they are.
        self._tasks.add(work)

    async def maintain(self) -> int:
        """Run the step of the maintenance run."""
        begin_invocation()
        return await self._step.run(self.clock.now_ms())

    async def pass_time(self, duration_ms: int, *, maintained: bool = True) -> None:
        """Deliver what comes for a while; the maintenance run comes each 5 minutes."""
        until_ms = self.clock.now_ms() + duration_ms
        run_ms = self.clock.now_ms() + 300_000
        while self.clock.now_ms() < until_ms:
            if maintained and self.clock.now_ms() >= run_ms:
                run_ms += 300_000
                await self.maintain()
            if not await self.deliver():
                await asyncio.sleep(1)

    async def require_truth(self, time_range: Range | None = None) -> None:
        """Assert that all that is known, or of a range, is stored, and nothing else."""
        follow = (await self.row()).follow
        for known in [time_range] if time_range else follow.known:
            for name in NAMES:
                stored = self.kept.samples(name)
                found = [[at, value] for at, value in stored.items() if at in _instants(known)]
                assert self.upstream.truth(name, known) == found


def _instants(time_range: Range) -> range:
    return range(time_range.start_ms, time_range.end_ms)
