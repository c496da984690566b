"""Leases in D1: who fetches which points over which range, so that nobody else does."""

from __future__ import annotations

import msgspec

from building_vitals.ports import Database, Statement, json_parameter
from building_vitals.ranges import Range

# Taken unless a living lease shares a point and an instant with it.
_TAKE = """
INSERT INTO fetch_leases (lease_id, site, points, start_ms, end_ms, expires_ms)
SELECT ?1, ?2, ?3, ?4, ?5, ?6
WHERE NOT EXISTS (
    SELECT 1 FROM fetch_leases l
    WHERE l.site = ?2 AND l.expires_ms > ?7 AND l.start_ms < ?5 AND l.end_ms > ?4
        AND EXISTS (
            SELECT 1 FROM json_each(l.points) h
            WHERE h.value IN (SELECT value FROM json_each(?3))
        )
)
"""
# Widened unless another living lease shares a point and an instant with what it would be then.
_WIDEN = """
UPDATE fetch_leases SET points = ?3, start_ms = ?4, end_ms = ?5, expires_ms = ?6
WHERE lease_id = ?1 AND NOT EXISTS (
    SELECT 1 FROM fetch_leases l
    WHERE l.site = ?2 AND l.expires_ms > ?7 AND l.start_ms < ?5 AND l.end_ms > ?4
        AND l.lease_id <> ?1
        AND EXISTS (
            SELECT 1 FROM json_each(l.points) h
            WHERE h.value IN (SELECT value FROM json_each(?3))
        )
)
"""
_RENEW = "UPDATE fetch_leases SET expires_ms = ?2 WHERE lease_id = ?1"
_RELEASE = "DELETE FROM fetch_leases WHERE lease_id = ?1"


class Lease(msgspec.Struct, frozen=True):
    """The right to fetch *points* over *time_range* until *expires_ms*."""

    lease_id: str
    site: str
    points: tuple[str, ...]
    time_range: Range
    expires_ms: int


class Leases:
    """Takes, renews and releases leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @staticmethod
    def take_statement(lease: Lease, *, now_ms: int) -> Statement:
        """Return the statement that inserts one row if the lease can be had, else none."""
        return Statement(_TAKE, _values(lease, now_ms))

    @staticmethod
    def widen_statement(lease: Lease, *, now_ms: int) -> Statement:
        """Return the statement that changes one row, if a lease that is held can cover so much."""
        return Statement(_WIDEN, _values(lease, now_ms))

    @staticmethod
    def release_statement(lease_id: str) -> Statement:
        """Return the statement that ends a lease."""
        return Statement(_RELEASE, (lease_id,))

    async def renew(self, lease_id: str, expires_ms: int) -> None:
        """Let a lease live until *expires_ms*."""
        await self._database.batch([Statement(_RENEW, (lease_id, expires_ms))])

    async def release(self, lease_id: str) -> None:
        """End a lease."""
        await self._database.batch([self.release_statement(lease_id)])


def _values(lease: Lease, now_ms: int) -> tuple[str | int, ...]:
    return (
        lease.lease_id,
        lease.site,
        json_parameter(lease.points),
        lease.time_range.start_ms,
        lease.time_range.end_ms,
        lease.expires_ms,
        now_ms,
    )
