"""
Keeps what came of a fetch: stored, as an object of its own or as slivers, and made known.

Separate because a fetch that somebody waits for is stored behind the answer, once, and one that
nobody waits for a part at a time, while it goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

from building_vitals.cache.lease import Lease
from building_vitals.cache.leases_table import Leases
from building_vitals.cache.segment_object import SegmentObject
from building_vitals.cache.store import SegmentStore
from building_vitals.errors import AppError
from building_vitals.ports import Database, Invocation, Statement
from building_vitals.series.folding import PointSeries


class Keeper:
    """Stores what came, and lets go of the lease under which it came."""

    def __init__(self, store: SegmentStore, database: Database, invocation: Invocation) -> None:
        self._store = store
        self._leases = Leases(database)
        self._database = database
        self._clock = invocation.clock
        self._on_fault = invocation.on_fault

    def object_of(
        self, site: str, point_series: Sequence[PointSeries], fetched_ms: int
    ) -> SegmentObject | None:
        """Return what is to be stored of what came; None when nothing did."""
        if not point_series:
            return None
        return self._store.made(site, point_series, fetched_ms=fetched_ms)

    async def store(self, made: SegmentObject) -> SegmentObject:
        """
        Store a part of a fetch that goes on, and make it known; return it as stored.

        Raises:
            Unavailable: the bucket or the database can't be reached.
        """
        stored = await self._store.put(made)
        await self._store.commit([stored], now_ms=self._clock.now_ms())
        return stored

    async def end(
        self, made: SegmentObject | None, lease: Lease, failed: Statement | None = None
    ) -> None:
        """
        Store what is left of a fetch, then let go of the lease: those who wait find it then.

        Of a fetch that *failed*, that statement tells them so in the same moment.
        """
        last = failed or self._leases.release_statement(lease.lease_id)
        try:
            if made is None:
                await self._database.batch([last])
                return
            stored = await self._store.put(made)
            await self._store.commit([stored], now_ms=self._clock.now_ms(), after=[last])
        except AppError as error:
            self._on_fault("store", error)
            await self.release(lease)

    async def release(self, lease: Lease) -> None:
        """Let go of a lease."""
        try:
            await self._leases.release(lease.lease_id)
        except AppError as error:
            self._on_fault("release", error)
