"""Follows as administrators put, see and end them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from building_vitals.cache.freshness import Freshness
from building_vitals.cache.segments import Segment
from building_vitals.errors import AppError, NotFound, UpstreamSiteUnknown
from building_vitals.follow.documents import BackfillDocument, FollowDocument, FollowedSite
from building_vitals.follow.follows_table import FollowRow, SiteFollows
from building_vitals.follow.rounds import (
    Heritage,
    backfill_of,
    heritage_of,
    lag_ms,
    state_of,
)
from building_vitals.follow.site_pages import SiteKeeper
from building_vitals.instants import format_instant, format_known
from building_vitals.jobs.model import ChunkSender, FollowRef
from building_vitals.ports import Invocation
from building_vitals.ranges import Range
from building_vitals.upstream.port import PointLists

# Whether there is such a site is asked for so long; who can't be told follows it all the same.
LOOK_MS_MAX = 10_000
STEP_MS = 1_000


class FollowService:
    """Follows sites, says how that goes, and ends it."""

    def __init__(
        self,
        *,
        follows: SiteFollows,
        lists: PointLists,
        keeper: SiteKeeper,
        purge: Callable[[str], Awaitable[object]],
        sender: ChunkSender,
        freshness_of: Callable[[str], Freshness],
        on_change: Callable[[], None],
        invocation: Invocation,
    ) -> None:
        """
        Args:
            follows: The table.
            lists: Tells whether there is such a site.
            keeper: Has what rounds have stored.
            purge: Makes the cache forget a site, and what is being fetched of it.
            sender: The queues.
            freshness_of: Returns the rule of a site.
            on_change: Told when something of a follow has changed.
            invocation: Clock, faults.
        """
        self._follows = follows
        self._lists = lists
        self._keeper = keeper
        self._purge = purge
        self._sender = sender
        self._freshness_of = freshness_of
        self._on_change = on_change
        self._clock = invocation.clock
        self._on_fault = invocation.on_fault

    async def put(self, site: str, *, since_ms: int, every_ms: int, every: str) -> FollowDocument:
        """
        Follow a site, or change how; what has been read stays read.

        What an earlier follow has left and is trusted is read no second time.

        Raises:
            UpstreamSiteUnknown: there is no such site.
            Unavailable: the database can't be reached.
        """
        now_ms = self._clock.now_ms()
        try:
            await self._lists.own_points(site, (), deadline_ms=now_ms + LOOK_MS_MAX)
        except UpstreamSiteUnknown:
            raise
        except AppError as error:
            # Its rounds will say what is wrong.
            self._on_fault("follow", error)
        now_ms -= now_ms % STEP_MS
        heritage = await self._heritage(site, now_ms)
        row = await self._follows.put(
            site,
            since_ms=since_ms,
            every_ms=every_ms,
            every=every,
            now_ms=now_ms,
            heritage=heritage,
        )
        self._on_change()
        try:
            await self._sender.send([FollowRef(site)], "low")
        except AppError as error:
            # The maintenance run sends it.
            self._on_fault("follow", error)
        return document(row, now_ms)

    async def _heritage(self, site: str, now_ms: int) -> Heritage:
        """Return what is kept of a site and trusted."""
        # Trust alone: what an earlier follow has read is no longer read again.
        rule = msgspec.structs.replace(self._freshness_of(site), followed=None)

        def until_ms(kept: Range, fetched_ms: int) -> int:
            known = Segment("", *kept, fetched_ms, "", "", 0, 0, 0, 0, 0, 0, 0)
            return rule.known_until_ms(known, now_ms)

        return heritage_of(await self._keeper.kept(site), until_ms)

    async def read(self, site: str) -> FollowDocument:
        """
        Return how a follow goes.

        Raises:
            NotFound: nobody follows the site.
            Unavailable: the database can't be reached.
        """
        row = await self._follows.find(site)
        if row is None:
            raise _not_followed(site)
        return document(row, self._clock.now_ms())

    async def end(self, site: str, *, forgets: bool) -> None:
        """
        Follow a site no longer; what was stored stays, or is forgotten.

        Raises:
            NotFound: nobody follows the site, and nothing is to be forgotten.
            Unavailable: the database, or the bucket with the list of points, can't be reached.
        """
        is_followed = await self._follows.delete(site)
        self._on_change()
        if forgets:
            await self._keeper.forget(site)
            await self._purge(site)
        elif not is_followed:
            raise _not_followed(site)


def _not_followed(site: str) -> NotFound:
    return NotFound(f"nobody follows the site: {site}; PUT this path to follow it")


def followed_sites(rows: Sequence[dict[str, Any]], now_ms: int) -> list[FollowedSite]:
    """Return how all follows go, by the rows of their table."""
    return [
        FollowedSite(site=row.site, **msgspec.structs.asdict(document(row, now_ms)))
        for row in SiteFollows.found(rows)
    ]


def document(row: FollowRow, now_ms: int) -> FollowDocument:
    """Return how a follow goes."""
    follow = row.follow
    backfill, (pages, samples) = backfill_of(follow), row.a_day(now_ms)
    eta_ms = backfill.eta_ms
    return FollowDocument(
        state=state_of(follow, now_ms),
        lag_seconds=lag_ms(follow, now_ms) // 1000,
        newest_sample=format_known(row.newest_ms),
        since=format_instant(follow.since_ms),
        every=row.every,
        backfill=BackfillDocument(
            progress=backfill.progress,
            until=format_known(backfill.until_ms),
            eta_seconds=None if eta_ms is None else -(-eta_ms // 1000),
        ),
        pages_per_day=pages,
        samples_per_day=samples,
        error=row.error,
    )
