"""The steps of all rooms, put together: apart from the run, which knows none of them by name."""

from __future__ import annotations

from building_vitals.blocks import upkeep as blocks_upkeep
from building_vitals.blocks.merger import BlockMerger
from building_vitals.cache import upkeep as cache_upkeep
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.datasets import upkeep as datasets_upkeep
from building_vitals.datasets.cache import R2CacheService
from building_vitals.follow import upkeep as follow_upkeep
from building_vitals.jobs import upkeep as jobs_upkeep
from building_vitals.jobs.model import ChunkSender
from building_vitals.jobs.results import JobResultService
from building_vitals.ports import Database, ObjectStore
from building_vitals.statistics import upkeep as statistics_upkeep
from building_vitals.upkeep import Step


def all_steps(
    *,
    database: Database,
    objects: ObjectStore,
    queues: ChunkSender,
    statistics: Database,
    index: SegmentIndex,
    merger: BlockMerger,
    freshness: Freshness,
    results: JobResultService,
    datasets: R2CacheService,
) -> list[Step]:
    """Return the periodic work of every room; *statistics* is the database of the requests."""
    return [
        *cache_upkeep.steps(database, objects, index, freshness),
        *blocks_upkeep.steps(database, objects, index, merger, freshness),
        *jobs_upkeep.steps(database, objects, queues, results),
        *follow_upkeep.steps(database, queues),
        *datasets_upkeep.steps(datasets),
        *statistics_upkeep.steps(statistics),
    ]
