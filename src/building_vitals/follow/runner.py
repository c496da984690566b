"""
Carries out what a follow reads next, one consumer at a time, and sends the message of what follows.

A message may come late, twice or never, and a consumer may die at any line. So the row says what
has been read, a lease says who reads, and a message is only a reason to look: who comes for
nothing, or beside somebody else, does nothing. A message that gets lost is sent again by the
maintenance run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import msgspec

from building_vitals.errors import (
    AppError,
    Overloaded,
    Unavailable,
    UpstreamBusy,
    UpstreamLimited,
    UpstreamTimeout,
)
from building_vitals.follow.follows_table import LEASE_MS, FollowRow, SiteFollows
from building_vitals.follow.rounds import (
    Reading,
    after_failure,
    after_part,
    after_pause,
    after_whole,
    lag_ms,
    next_due_ms,
    next_reading,
    with_pace,
)
from building_vitals.follow.site_pages import SiteKeeper, SitePages, SiteReading
from building_vitals.instants import elapsed_ms
from building_vitals.jobs.model import ChunkSender, FollowRef
from building_vitals.jobs.retrying import failure_text
from building_vitals.ports import Invocation
from building_vitals.statement_count import StatementCount
from building_vitals.upstream.port import Upstream

# No page is asked for later, and a reading that still goes on is given up: a consumer has 15
# minutes for all its messages, and other work waits in the same queue.
READ_MS_MAX, READ_MS_LIMIT = 200_000, 270_000
RENEW_MS = LEASE_MS // 3
# A message may come so much before its time: the queue's clock is another one.
EARLY_MS = 2_000
# All instants are whole seconds, so that nothing is read for the sake of milliseconds.
STEP_MS = 1_000
PRIORITY = "low"


class FollowRun(NamedTuple):
    """
    What became of a message.

    Attributes:
        outcome: What happened, for the log: `round`, `backfill`, `failed`, `lost`, `claimed`,
            `nothing`.
        retry_s: Seconds after which it is to be delivered again; None for never.
        rounds: Readings that reached the present.
        pages: Requests that it took.
        samples: Those that were stored.
        unreadable_samples: Samples that were left out.
        lag_ms: The age of the end of the last round, in the end; None where nothing was read.
        error: Why it failed.
    """

    outcome: str
    retry_s: int | None = None
    rounds: int = 0
    pages: int = 0
    samples: int = 0
    unreadable_samples: int = 0
    lag_ms: int | None = None
    error: str | None = None


class LeaseLost(AppError):
    """Nobody follows the site any longer, or somebody else reads it."""

    code = "stopped"


class FollowRunner:
    """Reads followed sites."""

    def __init__(
        self,
        *,
        database: StatementCount,
        upstream: Upstream,
        keeper: SiteKeeper,
        sender: ChunkSender,
        lateness_of: Callable[[str], int],
        on_change: Callable[[], None],
        invocation: Invocation,
    ) -> None:
        """
        Args:
            database: The table, and how many statements the invocation has run.
            upstream: Where samples come from.
            keeper: Stores what comes.
            sender: The queues.
            lateness_of: Says how late a site's samples come, in milliseconds, by what is known of
                the site without asking.
            on_change: Told when something of a follow has changed.
            invocation: Clock, faults, identities.
        """
        self._database = database
        self._follows = SiteFollows(database)
        self._upstream = upstream
        self._pages = SitePages(upstream=upstream, keeper=keeper, clock=invocation.clock)
        self._sender = sender
        self._lateness_of = lateness_of
        self._on_change = on_change
        self._clock = invocation.clock
        self._new_id = invocation.new_id
        self._on_fault = invocation.on_fault

    async def run(self, site: str, *, delivery: int = 1) -> FollowRun:
        """
        Read what is due of a site, and go on with the backfill as long as there is time.

        Args:
            site: The site.
            delivery: The how manieth delivery of the message this is.

        Raises:
            Unavailable: the database can't be reached.
        """
        lease_id = self._new_id()
        row = await self._follows.claim(site, lease_id, self._now_ms())
        if row is None:
            return await self._not_claimed(site, delivery)
        work = _Work(row, lease_id, self._now_ms())
        beating = asyncio.ensure_future(self._beat(work))
        try:
            outcome = await self._read_all(work)
        except LeaseLost:
            return self._told(work, "lost")
        finally:
            beating.cancel()
        await self._end(work)
        return outcome

    async def _not_claimed(self, site: str, delivery: int) -> FollowRun:
        """Decide on a message whose site somebody else reads, or nobody follows."""
        row = await self._follows.find(site)
        if row is None:
            return FollowRun("nothing")
        # Who reads sends the next message. One that comes again may be that one's own: its consumer
        # may have died.
        left_ms = max(row.lease_until_ms - self._now_ms(), STEP_MS)
        return FollowRun("claimed", -(-left_ms // 1000) if delivery > 1 else None)

    async def _read_all(self, work: _Work) -> FollowRun:
        """Read one range after the other, until nothing is due, or the time is over."""
        site = work.row.site
        while not work.readings or self._has_time(work):
            costs = await self._upstream.costs(site, for_job=True)
            reading = next_reading(
                work.row.follow,
                self._now_ms(),
                pages_per_day=costs.pages_per_day,
                lateness_ms=self._lateness_of(site),
            )
            if reading is None:
                break
            error = await self._read(work, reading)
            if error is not None:
                return self._told(work, "failed", failure_text(error))
        if not work.readings:
            return FollowRun("nothing")
        return self._told(work, "round" if work.rounds else "backfill")

    async def _read(self, work: _Work, reading: Reading) -> AppError | None:
        """Read one range; return what has failed."""
        work.readings += 1
        site, begun_ms = work.row.site, self._clock.now_ms()
        seen = SiteReading(reading.time_range.start_ms)

        async def on_kept(outcome: SiteReading) -> None:
            nonlocal seen
            await self._keep(work, self._grown(work, reading, seen, outcome))
            seen = msgspec.structs.replace(outcome)

        def goes_on() -> bool:
            is_due = not reading.is_round and self._now_ms() >= work.row.follow.next_ms
            return self._has_time(work) and not is_due

        try:
            outcome = await self._pages.read(
                site,
                reading.time_range,
                deadline_ms=work.begun_ms + READ_MS_LIMIT,
                goes_on=goes_on,
                on_kept=on_kept,
            )
        except LeaseLost:
            raise
        except AppError as error:
            outcome = msgspec.structs.replace(seen, failure=error)
        except Exception as error:
            self._on_fault("follow", error)
            outcome = msgspec.structs.replace(seen, failure=AppError(failure_text(error)))
        work.count(outcome)
        row = self._grown(work, reading, seen, outcome)
        read_ms = outcome.until_ms - reading.time_range.start_ms
        follow = with_pace(row.follow, read_ms, elapsed_ms(begun_ms, self._clock.now_ms()))
        failure: AppError | None = outcome.failure
        now_ms = self._now_ms()
        is_whole = outcome.until_ms == reading.time_range.end_ms
        if is_whole:
            failure = None
            follow = after_whole(follow, reading, now_ms, self._lateness_of(site))
            work.rounds += reading.is_round
        elif isinstance(failure, UpstreamTimeout) and read_ms > 0:
            # Having run out of time is no failure.
            failure = None
        elif failure is not None:
            wait_ms = None if failure.retry_after_s is None else 1000 * failure.retry_after_s
            is_own = isinstance(failure, UpstreamLimited | UpstreamBusy | Overloaded)
            after = after_pause if is_own else after_failure
            follow = after(follow, reading, now_ms, wait_ms)
            row = row if is_own else msgspec.structs.replace(row, error=failure_text(failure))
        if not follow.failures + follow.backfill_failures:
            row = msgspec.structs.replace(row, error=None)
        await self._keep(work, msgspec.structs.replace(row, follow=follow))
        return failure

    def _grown(
        self, work: _Work, reading: Reading, before: SiteReading, outcome: SiteReading
    ) -> FollowRow:
        """Return the row with what has come of a reading since it was last written."""
        row = work.row.with_counts(
            outcome.pages - before.pages,
            outcome.samples - before.samples,
            outcome.newest_ms,
            self._clock.now_ms(),
        )
        lateness_ms = self._lateness_of(row.site)
        follow = after_part(row.follow, reading, outcome.until_ms, lateness_ms)
        return msgspec.structs.replace(row, follow=follow)

    async def _keep(self, work: _Work, row: FollowRow) -> None:
        """
        Write a row.

        Raises:
            LeaseLost: it is no longer this consumer's.
            Unavailable: the database can't be reached.
        """
        kept = await self._follows.keep(row, work.lease_id, self._now_ms())
        if kept is None:
            work.is_lost = True
            raise LeaseLost(f"the site is no longer read here: {row.site}")
        work.row = kept
        self._on_change()

    async def _end(self, work: _Work) -> None:
        """Let go of a site, and have a message come when something is to be read again."""
        now_ms, site = self._now_ms(), work.row.site
        due_ms = next_due_ms(work.row.follow, now_ms)
        if not work.readings and work.row.message_ms > now_ms + EARLY_MS:
            # This message was one too many: another is on its way.
            with suppress(Unavailable):
                await self._follows.release(site, work.lease_id, None)
            return
        if not work.readings and due_ms <= now_ms:
            # Of what began this moment, nothing has happened yet.
            due_ms = now_ms + STEP_MS
        try:
            await self._follows.release(site, work.lease_id, due_ms)
            delay_s = -(-(due_ms - now_ms) // 1000)
            await self._sender.send([FollowRef(site)], PRIORITY, delay_s=delay_s)
        except Unavailable as error:
            # The lease ends by itself, and the maintenance run sends what is missing.
            self._on_fault("follow: next", error)

    async def _beat(self, work: _Work) -> None:
        """Renew the lease until cancelled: pages may be slow."""
        while not work.is_lost:
            await self._clock.sleep(RENEW_MS)
            try:
                is_held = await self._follows.renew(work.row.site, work.lease_id, self._now_ms())
            except Unavailable:
                # It holds for some more renewals.
                continue
            work.is_lost = not is_held

    def _told(self, work: _Work, outcome: str, error: str | None = None) -> FollowRun:
        """Return what became of a message."""
        return FollowRun(
            outcome,
            None,
            work.rounds,
            work.pages,
            work.samples,
            work.unreadable,
            lag_ms(work.row.follow, self._now_ms()),
            error,
        )

    def _has_time(self, work: _Work) -> bool:
        """Return whether another page may be asked for."""
        is_over = elapsed_ms(work.begun_ms, self._now_ms()) >= READ_MS_MAX
        return not (work.is_lost or is_over or self._database.is_spent)

    def _now_ms(self) -> int:
        now_ms = self._clock.now_ms()
        return now_ms - now_ms % STEP_MS


class _Work:
    """
    A message that is dealt with.

    Attributes:
        row: The follow as it was last written.
        lease_id: The lease.
        begun_ms: When it was claimed.
        is_lost: Whether the lease is.
        readings, rounds, pages, samples, unreadable: What was read so far.
    """

    def __init__(self, row: FollowRow, lease_id: str, begun_ms: int) -> None:
        self.row = row
        self.lease_id = lease_id
        self.begun_ms = begun_ms
        self.is_lost = False
        self.readings = 0
        self.rounds = 0
        self.pages = 0
        self.samples = 0
        self.unreadable = 0

    def count(self, outcome: SiteReading) -> None:
        """Count what has come of a reading."""
        self.pages += outcome.pages
        self.samples += outcome.samples
        self.unreadable += outcome.unreadable
