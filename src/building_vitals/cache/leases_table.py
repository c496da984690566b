"""Leases in D1: who fetches which points over which range, so that nobody else does."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from building_vitals.cache.lease import Lease, OtherLease
from building_vitals.instants import SKEW_MS
from building_vitals.ports import Database, Statement, json_parameter
from building_vitals.ranges import Range

# Those that live and share a point and an instant with a lease, whose values are ?1 to ?10. Who
# fetches for people heeds no lease of background work; a job heeds no failure: it has its own pace.
# One that would live longer than a lease does is of a clock that was set back since: nobody renews
# it, or its holder says so with the next beat.
_OTHERS = f"""
FROM fetch_leases l
WHERE l.site = ?2 AND l.expires_ms > ?7 AND l.expires_ms <= ?6 + {SKEW_MS}
    AND l.start_ms < ?5 AND l.end_ms > ?4
    AND l.lease_id <> ?1 AND l.is_background <= ?9 AND (l.failure IS NULL OR ?9 = 0)
    AND l.lease_id NOT IN (SELECT value FROM json_each(?10))
    AND EXISTS (
        SELECT 1 FROM json_each(l.points) h
        WHERE h.value IN (SELECT value FROM json_each(?3))
    )
"""  # noqa: S608 - constants only
# Taken unless another one is in the way.
_TAKE = f"""
INSERT INTO fetch_leases (
    lease_id, site, points, start_ms, end_ms, expires_ms, begun_ms, ends_ms, is_background
)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE NOT EXISTS (SELECT 1 {_OTHERS})
"""
# ?8 has no say here, and every value must be named.
_LOOK = f"""
SELECT l.lease_id, l.start_ms, l.end_ms, l.expires_ms, l.begun_ms, l.ends_ms, l.failure,
    json_array_length(l.points) AS points_count,
    (
        SELECT json_group_array(h.value) FROM json_each(l.points) h
        WHERE h.value IN (SELECT value FROM json_each(?3))
    ) AS shared
{_OTHERS} AND ?8 >= 0
"""  # noqa: S608 - constants of this module
_WIDEN = """
UPDATE fetch_leases SET points = ?2, start_ms = ?3, end_ms = ?4 WHERE lease_id = ?1
"""
# A clock that steps back a little must not shorten a lease; of one that was set back, the end would
# count for nothing.
_RENEW = f"""
UPDATE fetch_leases SET
    expires_ms = CASE WHEN expires_ms <= ?2 + {SKEW_MS} THEN max(expires_ms, ?2) ELSE ?2 END,
    ends_ms = ?3
WHERE lease_id = ?1 AND failure IS NULL
"""  # noqa: S608 - constants only
_RELEASE = "DELETE FROM fetch_leases WHERE lease_id = ?1"
_FAIL = """
UPDATE fetch_leases SET points = ?2, start_ms = ?3, end_ms = ?4, expires_ms = ?5, failure = ?6
WHERE lease_id = ?1
"""


class Leases:
    """Takes, renews and releases leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @staticmethod
    def take_statement(
        lease: Lease, *, now_ms: int, passed: Collection[str] = frozenset()
    ) -> Statement:
        """
        Return the statement that inserts one row if the lease can be had, else none.

        Those *passed*, by name, may overlap it: its holder no longer waits for them.
        """
        return Statement(_TAKE, _values(lease, now_ms, passed))

    @staticmethod
    def look_statement(
        lease: Lease, *, now_ms: int, passed: Collection[str] = frozenset()
    ) -> Statement:
        """Return the statement that finds the others that are in the way of a lease."""
        return Statement(_LOOK, _values(lease, now_ms, passed))

    @staticmethod
    def found(rows: Sequence[dict[str, Any]]) -> list[OtherLease]:
        """Return what `look_statement` found."""
        return [
            OtherLease(
                lease_id=row["lease_id"],
                shared=msgspec.json.decode(row["shared"], type=tuple[str, ...]),
                points_count=row["points_count"],
                time_range=Range(row["start_ms"], row["end_ms"]),
                expires_ms=row["expires_ms"],
                begun_ms=row["begun_ms"],
                ends_ms=row["ends_ms"],
                failure=row["failure"],
            )
            for row in rows
        ]

    @staticmethod
    def widen_statement(lease: Lease) -> Statement:
        """Return the statement that lets a lease that is held cover so much."""
        return Statement(_WIDEN, (lease.lease_id, *_box(lease)))

    @staticmethod
    def release_statement(lease_id: str) -> Statement:
        """Return the statement that ends a lease."""
        return Statement(_RELEASE, (lease_id,))

    @staticmethod
    def fail_statement(lease: Lease, failure: str, until_ms: int) -> Statement:
        """Return the statement that makes a lease the record of its failure until *until_ms*."""
        return Statement(_FAIL, (lease.lease_id, *_box(lease), until_ms, failure))

    async def renew(self, lease_id: str, expires_ms: int, ends_ms: int) -> None:
        """Let a lease live until *expires_ms*, and tell when its holder expects to be ready."""
        await self._database.batch([Statement(_RENEW, (lease_id, expires_ms, ends_ms))])

    async def release(self, lease_id: str) -> None:
        """End a lease."""
        await self._database.batch([self.release_statement(lease_id)])


def _box(lease: Lease) -> tuple[str, int, int]:
    return json_parameter(lease.points), lease.time_range.start_ms, lease.time_range.end_ms


def _values(lease: Lease, now_ms: int, passed: Collection[str]) -> tuple[str | int, ...]:
    return (
        lease.lease_id,
        lease.site,
        *_box(lease),
        lease.expires_ms,
        now_ms,
        lease.ends_ms,
        int(lease.is_background),
        json_parameter(sorted(passed)),
    )
