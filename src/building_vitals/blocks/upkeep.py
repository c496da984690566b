"""The periodic work of blocks: what is due is merged, and what nobody reads is deleted."""

from __future__ import annotations

from collections.abc import Sequence

from building_vitals.blocks.blocks_table import Blocks
from building_vitals.blocks.merger import BlockMerger
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.lease import FETCH_MS_MAX
from building_vitals.cache.object_keys import BLOCKS_PREFIX
from building_vitals.cache.upkeep import OrphanObjects
from building_vitals.cache.upkeep_table import CacheUpkeep
from building_vitals.ports import Database, ObjectStore
from building_vitals.upkeep import (
    LENGTHY,
    OBJECT_GRACE_MS,
    OBJECTS_AT_ONCE,
    ROUNDS_MAX,
    ROUTINE,
    Step,
)

# Blocks that one run makes, over all sites: each takes seconds of CPU.
MERGES_MAX = 4


class DueMerges:
    """Merges blocks, so that a range of any length lies in few."""

    name = "merged blocks"
    rank = LENGTHY

    def __init__(self, blocks: Blocks, merger: BlockMerger) -> None:
        self._blocks = blocks
        self._merger = merger

    async def run(self, now_ms: int) -> int:
        """Merge some; return how many blocks were made."""
        total, before_ms = 0, now_ms - FETCH_MS_MAX
        for site in await self._blocks.sites_with_many(before_ms=before_ms):
            if total == MERGES_MAX:
                break
            most = MERGES_MAX - total
            total += await self._merger.merge_due(site, most, before_ms=before_ms)
        return total


class ExpiredBlocks:
    """
    Lets go of blocks of sites that nobody follows: jobs over whole sites have left them.

    They live as long as segments do.
    """

    name = "expired blocks"
    rank = ROUTINE

    def __init__(self, blocks: Blocks, freshness: Freshness) -> None:
        self._blocks = blocks
        self._freshness = freshness

    async def run(self, now_ms: int) -> int:
        """Let go of them; return how many."""
        return await self._blocks.expire(self._freshness, now_ms=now_ms)


class GoneBlocks:
    """
    Deletes blocks that others have taken the place of, or that were dropped or lost.

    Answers may still be read from them, so they stay for OBJECT_GRACE_MS; the object goes before
    its row.
    """

    name = "gone blocks"
    rank = ROUTINE

    def __init__(self, blocks: Blocks, objects: ObjectStore) -> None:
        self._blocks = blocks
        self._objects = objects

    async def run(self, now_ms: int) -> int:
        """Delete some; return how many."""
        total = 0
        for _ in range(ROUNDS_MAX):
            keys = await self._blocks.gone(
                before_ms=now_ms - OBJECT_GRACE_MS, limit=OBJECTS_AT_ONCE
            )
            if not keys:
                break
            await self._objects.delete(keys)
            await self._blocks.delete(keys)
            total += len(keys)
        return total


class OrphanBlocks(OrphanObjects):
    """Deletes blocks that were never made known."""

    name = "orphan blocks"
    prefix = BLOCKS_PREFIX

    def __init__(self, upkeep: CacheUpkeep, objects: ObjectStore, blocks: Blocks) -> None:
        super().__init__(upkeep, objects)
        self._blocks = blocks

    async def known(self, keys: Sequence[str], _now_ms: int, /) -> set[str]:
        """Return which of some objects have a row."""
        return await self._blocks.known(keys)


def steps(
    database: Database,
    objects: ObjectStore,
    index: SegmentIndex,
    merger: BlockMerger,
    freshness: Freshness,
) -> list[Step]:
    """Return the steps of the maintenance run that blocks need."""
    blocks = Blocks(database)
    return [
        ExpiredBlocks(blocks, freshness),
        GoneBlocks(blocks, objects),
        OrphanBlocks(CacheUpkeep(database, index), objects, blocks),
        DueMerges(blocks, merger),
    ]
