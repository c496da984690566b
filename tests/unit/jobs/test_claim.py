"""The right to work on a chunk: kept alive, and lost when somebody cancels the job."""

from __future__ import annotations

import asyncio

import pytest

from building_vitals.cache.need import Progress
from building_vitals.jobs.claim import (
    DUE_MS,
    GOES_ON_SHARE_MIN,
    LOOK_MS,
    PROGRESS_MS,
    RENEW_MS,
    Claim,
    WorkStopped,
)
from building_vitals.jobs.model import CLAIM_MS, ChunkRef
from building_vitals.statement_count import StatementCount
from fakes.job_tables import JobTables
from fakes.virtual_time import LoopClock, in_virtual_time

FIRST = ChunkRef("job", 0)


def came(share: float, *, stored: float = 0.0, requests: int = 1) -> Progress:
    """Return how far a chunk has come."""
    return Progress(share, stored, requests)


class SteppingClock(LoopClock):
    """
    The loop's clock as somebody has set it back.

    Attributes:
        stepped_back_ms: By how much.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stepped_back_ms = 0

    def now_ms(self) -> int:
        """Return the present instant."""
        return super().now_ms() - self.stepped_back_ms


class Desk(JobTables):
    """
    A claimed chunk of 300 of a job's 400 samples.

    Attributes:
        clock: The running loop's.
        claim_of: The claim.
        sent: Chunks that it had sent.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = SteppingClock()
        self.sent: list[int] = []
        self.claim_of = Claim(self.chunks, FIRST, "me", self.clock, self.keep_sent)

    async def keep_sent(self, made: list[int]) -> None:
        """Keep chunks that are to be sent."""
        self.sent += made

    async def begin(self) -> None:
        """Submit the job, and claim its chunk."""
        await self.submit()
        state = await self.claim_of.take(attempts_max=4, patience_ms=0)
        assert state is not None
        assert "me" == state.claim
        self.failures.calls.clear()

    @property
    def expires_ms(self) -> int:
        """How long the claim holds from now on."""
        [row] = self.look("SELECT claim_expires_ms AS at_ms FROM job_chunks WHERE chunk = 0")
        return int(row["at_ms"]) - self.clock.now_ms()


async def test_there_is_no_claim_on_an_unknown_job() -> None:
    """There is nothing to work on."""
    with JobTables() as tables:
        claim = Claim(tables.chunks, FIRST, "me", LoopClock(), Desk().keep_sent)
        assert None is await claim.take(attempts_max=4, patience_ms=0)


@in_virtual_time
async def test_a_claim_is_renewed_while_nothing_comes() -> None:
    """Slow pages lose no claim: it never runs low, and a dead database costs one renewal."""
    with Desk() as desk:
        await desk.begin()
        assert CLAIM_MS == desk.expires_ms
        keeper = asyncio.ensure_future(desk.claim_of.keep())
        await desk.clock.sleep(RENEW_MS + 1)
        assert CLAIM_MS - 1 == desk.expires_ms
        desk.failures.next("batch")
        await desk.clock.sleep(RENEW_MS)
        assert CLAIM_MS - 1 - RENEW_MS == desk.expires_ms
        await desk.clock.sleep(RENEW_MS)
        assert CLAIM_MS - 1 == desk.expires_ms
        [due] = desk.look("SELECT due_ms FROM job_chunks WHERE chunk = 0")
        assert DUE_MS - 1 == due["due_ms"] - desk.clock.now_ms()
        keeper.cancel()


@in_virtual_time
async def test_a_claim_is_put_right_when_the_clock_is_set_back() -> None:
    """Ten minutes back: with the next look it ends as a claim does, and not ten minutes later."""
    with Desk() as desk:
        await desk.begin()
        keeper = asyncio.ensure_future(desk.claim_of.keep())
        await desk.clock.sleep(1000)
        desk.clock.step(-600_000)
        await desk.clock.sleep(RENEW_MS)
        assert 0 < desk.expires_ms <= CLAIM_MS
        keeper.cancel()


@in_virtual_time
async def test_a_claim_that_is_lost_is_not_kept() -> None:
    """The keeper ends by itself, and the next page stops the work."""
    with Desk() as desk:
        await desk.begin()
        desk.look("UPDATE job_chunks SET claim = 'other' WHERE chunk = 0")
        async with asyncio.timeout(60):
            await desk.claim_of.keep()
        desk.failures.calls.clear()
        with pytest.raises(WorkStopped):
            await desk.claim_of.on_progress(came(0.1))
        assert {} == desk.failures.calls


@in_virtual_time
async def test_pages_are_written_every_few_seconds() -> None:
    """In between pages look, at most every other second, whether the job is still wanted."""
    with Desk() as desk:
        await desk.begin()
        await desk.claim_of.on_progress(came(0.05))
        await desk.clock.sleep(LOOK_MS)
        desk.failures.calls.clear()
        for wait_ms, looks in ((0, 1), (LOOK_MS - 1, 1)):
            await desk.clock.sleep(wait_ms)
            await desk.claim_of.on_progress(came(0.1))
            assert {"rows": looks} == desk.failures.calls
        await desk.clock.sleep(PROGRESS_MS)
        await desk.claim_of.on_progress(came(0.5))
        assert {"rows": 1, "batch": 1} == desk.failures.calls
        assert CLAIM_MS == desk.expires_ms


@in_virtual_time
async def test_the_first_page_makes_the_chunks_that_come_next() -> None:
    """It is written at once, for now the site is known to answer; later ones make nothing."""
    with Desk() as desk:
        await desk.submit(estimates=(300, 100, 100, 100), is_site_known=False)
        await desk.claim_of.take(attempts_max=4, patience_ms=0)
        await desk.claim_of.on_progress(came(0.0))
        assert [] == desk.sent
        await desk.claim_of.on_progress(came(0.1))
        assert [1, 2, 3] == desk.sent
        await desk.clock.sleep(PROGRESS_MS)
        await desk.claim_of.on_progress(came(0.2))
        assert [1, 2, 3] == desk.sent


@in_virtual_time
async def test_a_clock_that_steps_back_costs_no_claim() -> None:
    """By a second, again and again: renewals come all the same, in good time."""
    with Desk() as desk:
        await desk.begin()
        keeper = asyncio.ensure_future(desk.claim_of.keep())
        for _ in range(5):
            desk.clock.stepped_back_ms += 1000
            await desk.clock.sleep(RENEW_MS + 1000)
            assert desk.expires_ms >= CLAIM_MS - RENEW_MS - 1500
        keeper.cancel()


@in_virtual_time
async def test_pages_that_bring_nothing_change_nothing_of_the_job() -> None:
    """The claim alone is renewed then: one statement."""
    with Desk() as desk:
        await desk.begin()
        counted = StatementCount(desk)
        desk.claim_of._chunks._database = counted
        keeper = asyncio.ensure_future(desk.claim_of.keep())
        await desk.clock.sleep(60_000)
        keeper.cancel()
        assert 14 <= counted.statements <= 60_000 // RENEW_MS


@in_virtual_time
async def test_progress_is_that_of_the_chunk_and_never_all() -> None:
    """What is not stored yet stops at 95 of 100; requests are remembered for the end."""
    with Desk() as desk:
        await desk.begin()
        await desk.clock.sleep(PROGRESS_MS)
        await desk.claim_of.on_progress(came(0.5))
        assert 37 == (await desk.job()).progress
        await desk.clock.sleep(PROGRESS_MS)
        await desk.claim_of.on_progress(came(1.0, requests=7))
        assert 71 == (await desk.job()).progress
        assert 7 == desk.claim_of.requests


@in_virtual_time
async def test_an_attempt_that_has_stored_something_comes_back_once() -> None:
    """Should its consumer die after that, it has not failed; a trifle is not enough."""
    with Desk() as desk:
        await desk.begin()
        desk.look("UPDATE job_chunks SET attempts = 3 WHERE chunk = 0")
        attempts = []
        for stored in (0.0, GOES_ON_SHARE_MIN / 2, GOES_ON_SHARE_MIN, 0.5, 0.9):
            await desk.clock.sleep(PROGRESS_MS)
            await desk.claim_of.on_progress(came(0.9, stored=stored))
            [row] = desk.look("SELECT attempts FROM job_chunks WHERE chunk = 0")
            attempts.append(row["attempts"])
        assert [3, 3, 2, 2, 2] == attempts
        assert desk.claim_of.is_spared


@pytest.mark.parametrize("wait_ms", [LOOK_MS, PROGRESS_MS], ids=["a look", "a renewal"])
@in_virtual_time
async def test_a_cancelled_job_stops_at_the_next_page(wait_ms: int) -> None:
    """Whichever call comes next, and every page after it."""
    with Desk() as desk:
        await desk.begin()
        await desk.jobs.cancel("job", now_ms=desk.clock.now_ms())
        await desk.clock.sleep(wait_ms)
        for _ in range(2):
            with pytest.raises(WorkStopped):
                await desk.claim_of.on_progress(came(0.1))


@in_virtual_time
async def test_a_database_that_is_down_stops_no_work() -> None:
    """The end of the chunk will tell."""
    with Desk() as desk:
        await desk.begin()
        desk.failures.always("*")
        for wait_ms in (LOOK_MS, PROGRESS_MS):
            await desk.clock.sleep(wait_ms)
            await desk.claim_of.on_progress(came(0.1))
        assert 2 == desk.failures.calls.total()
