"""Follows in D1: a row a site, and the lease that lets one consumer at a time read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from building_vitals.follow.rounds import NO_HERITAGE, Follow, Heritage
from building_vitals.instants import SKEW_MS, floor_day
from building_vitals.ports import Database, Statement, json_parameter
from building_vitals.ranges import Range

# A lease that is not renewed for so long is anybody's. A round takes seconds, so that most are
# never renewed: each renewal is a row written.
LEASE_MS = 60_000
# Days of which it is kept how much was read.
DAYS_KEPT = 8

_PUT = """
INSERT INTO site_follows (
    site, since_ms, every_ms, every, begun_ms, next_ms, message_ms, trusted_ms, read
)
VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?5, ?6, ?7)
ON CONFLICT (site) DO UPDATE SET
    since_ms = ?2, every_ms = ?3, every = ?4, next_ms = ?5, backfill_ms = 0, message_ms = ?5,
    sends = 0
RETURNING *
"""
_FIND = "SELECT * FROM site_follows WHERE site = ?1"
_ALL = "SELECT * FROM site_follows"
_DELETE = "DELETE FROM site_follows WHERE site = ?1"
# A lease that would live longer than one does is of a clock that was set back since.
_CLAIM = f"""
UPDATE site_follows SET lease_id = ?2, lease_until_ms = ?4, sends = 0
WHERE site = ?1 AND (lease_until_ms <= ?3 OR lease_until_ms > ?4 + {SKEW_MS})
RETURNING *
"""  # noqa: S608 - constants only
_RENEW = "UPDATE site_follows SET lease_until_ms = ?3 WHERE site = ?1 AND lease_id = ?2"
# Somebody may have changed the interval meanwhile: the next round is not to wait for an old one.
_KEEP = """
UPDATE site_follows SET
    next_ms = min(?3, ?4 + every_ms), backfill_ms = ?5, read = ?6, round_start_ms = ?7,
    round_end_ms = ?8, failures = ?9, backfill_failures = ?10, error = ?11, pace = ?12,
    newest_ms = ?13, days = ?14, lease_until_ms = ?15
WHERE site = ?1 AND lease_id = ?2
RETURNING *
"""
_RELEASE = """
UPDATE site_follows SET lease_id = NULL, lease_until_ms = 0, message_ms = coalesce(?3, message_ms)
WHERE site = ?1 AND lease_id = ?2
"""
# Of these, no message is on its way, as far as anybody knows, and nobody reads.
_QUIET = """
SELECT site, sends FROM site_follows
WHERE lease_until_ms <= ?1 AND message_ms <= ?2 ORDER BY message_ms LIMIT ?3
"""
_SENT = """
UPDATE site_follows SET sends = sends + 1, message_ms = r.message_ms
FROM (SELECT value ->> 0 AS site, value ->> 1 AS message_ms FROM json_each(?1)) r
WHERE site_follows.site = r.site
"""


class FollowRow(msgspec.Struct, frozen=True, kw_only=True):
    """
    A followed site.

    Attributes:
        follow: What decides what is read.
        every: The interval between two rounds as it was put.
        error: The last failure; None where nothing fails.
        newest_ms: The newest sample.
        days: Pages and samples read, by the midnight at which a UTC day begins.
        lease_until_ms: Until when somebody may be reading it.
        message_ms: When its message is to come.
    """

    site: str
    follow: Follow
    every: str
    error: str | None = None
    newest_ms: int | None = None
    days: dict[int, tuple[int, int]] = {}
    lease_until_ms: int = 0
    message_ms: int = 0

    def with_counts(
        self, pages: int, samples: int, newest_ms: int | None, now_ms: int
    ) -> FollowRow:
        """Return the same with what has been read just now."""
        day_ms = floor_day(now_ms)
        before = self.days.get(day_ms, (0, 0))
        days = {**self.days, day_ms: (before[0] + pages, before[1] + samples)}
        kept = sorted(days)[-DAYS_KEPT:]
        newest = [each for each in (self.newest_ms, newest_ms) if each is not None]
        return msgspec.structs.replace(
            self, days={each: days[each] for each in kept}, newest_ms=max(newest, default=None)
        )

    def a_day(self, now_ms: int) -> tuple[int, int]:
        """Return the pages and samples of the last whole UTC day; on the first, those so far."""
        today_ms = floor_day(now_ms)
        past = [day_ms for day_ms in self.days if day_ms < today_ms]
        return self.days.get(max(past) if past else today_ms, (0, 0))


class SiteFollows:
    """Keeps follows, and says who may read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self,
        site: str,
        *,
        since_ms: int,
        every_ms: int,
        every: str,
        now_ms: int,
        heritage: Heritage = NO_HERITAGE,
    ) -> FollowRow:
        """
        Follow a site, or change how; what has been read stays read. A round is due at once.

        A follow that is new goes on from its *heritage*.
        """
        trusted_ms = now_ms if heritage.oldest_ms is None else min(heritage.oldest_ms, now_ms)
        read = json_parameter(list(heritage.read))
        values = (site, since_ms, every_ms, every, now_ms, trusted_ms, read)
        statement = Statement(_PUT, values)
        return _row((await self._database.batch([statement]))[0].rows[0])

    async def find(self, site: str) -> FollowRow | None:
        """Return a follow; None where the site has none."""
        rows = await self._database.rows(_FIND, site)
        return _row(rows[0]) if rows else None

    async def all(self) -> list[FollowRow]:
        """Return every follow: an administrator puts each, so they are few."""
        return [_row(row) for row in await self._database.rows(_ALL)]

    @staticmethod
    def all_statement() -> Statement:
        """Return the statement of `all`, for a batch."""
        return Statement(_ALL)

    @staticmethod
    def found(rows: Sequence[dict[str, Any]]) -> list[FollowRow]:
        """Return what `all_statement` found."""
        return [_row(row) for row in rows]

    async def delete(self, site: str) -> bool:
        """Follow a site no longer; return whether it was followed."""
        return (await self._database.batch([Statement(_DELETE, (site,))]))[0].changes > 0

    async def claim(self, site: str, lease_id: str, now_ms: int) -> FollowRow | None:
        """Take the lease of a site; return its follow, None where there is none to be had."""
        statement = Statement(_CLAIM, (site, lease_id, now_ms, now_ms + LEASE_MS))
        rows = (await self._database.batch([statement]))[0].rows
        return _row(rows[0]) if rows else None

    async def renew(self, site: str, lease_id: str, now_ms: int) -> bool:
        """Let a lease live on; return whether it is still held."""
        statement = Statement(_RENEW, (site, lease_id, now_ms + LEASE_MS))
        return (await self._database.batch([statement]))[0].changes > 0

    async def keep(self, row: FollowRow, lease_id: str, now_ms: int) -> FollowRow | None:
        """
        Note how far a follow has come, and let the lease live on.

        Returns:
            The follow with what somebody else has changed of it meanwhile; None where the lease is
            lost, and nothing was noted.
        """
        follow = row.follow
        last = follow.last_round
        values = (
            *(row.site, lease_id, follow.next_ms, now_ms, follow.backfill_ms),
            json_parameter(follow.read),
            *(None if last is None else last.start_ms, None if last is None else last.end_ms),
            *(follow.failures, follow.backfill_failures, row.error, follow.pace, row.newest_ms),
            json_parameter(row.days),
            now_ms + LEASE_MS,
        )
        rows = (await self._database.batch([Statement(_KEEP, values)]))[0].rows
        return _row(rows[0]) if rows else None

    async def release(self, site: str, lease_id: str, message_ms: int | None) -> None:
        """Let go of a lease; a message is sent that comes at an instant, None for no other one."""
        await self._database.batch([Statement(_RELEASE, (site, lease_id, message_ms))])

    async def quiet(self, *, now_ms: int, before_ms: int, limit: int) -> list[tuple[str, int]]:
        """
        Return followed sites that nobody reads and whose message should have come by an instant,
        each with the messages that were sent in vain; the longest awaited first.
        """
        rows = await self._database.rows(_QUIET, now_ms, before_ms, limit)
        return [(row["site"], row["sends"]) for row in rows]

    async def mark_sent(self, sent: Sequence[tuple[str, int]]) -> None:
        """Note that messages were sent, and when the next may be."""
        await self._database.batch([Statement(_SENT, (json_parameter(sent),))])


def _row(row: dict[str, Any]) -> FollowRow:
    """Return a follow as its row has it."""
    start_ms, end_ms = row["round_start_ms"], row["round_end_ms"]
    return FollowRow(
        site=row["site"],
        follow=Follow(
            since_ms=row["since_ms"],
            every_ms=row["every_ms"],
            begun_ms=row["begun_ms"],
            trusted_ms=row["trusted_ms"],
            next_ms=row["next_ms"],
            backfill_ms=row["backfill_ms"],
            read=msgspec.json.decode(row["read"], type=tuple[Range, ...]),
            last_round=None if start_ms is None else Range(start_ms, end_ms),
            failures=row["failures"],
            backfill_failures=row["backfill_failures"],
            pace=row["pace"],
        ),
        every=row["every"],
        error=row["error"],
        newest_ms=row["newest_ms"],
        days=msgspec.json.decode(row["days"], type=dict[int, tuple[int, int]]),
        lease_until_ms=row["lease_until_ms"],
        message_ms=row["message_ms"],
    )
