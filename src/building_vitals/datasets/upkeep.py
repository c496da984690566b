"""The periodic work of datasets."""

from __future__ import annotations

from building_vitals.datasets.cache import R2CacheService
from building_vitals.upkeep import ROUTINE, Step


class OldDatasets:
    """Deletes datasets older than they may be given."""

    name = "old datasets"
    rank = ROUTINE

    def __init__(self, datasets: R2CacheService) -> None:
        self._datasets = datasets

    async def run(self, _now_ms: int) -> int:
        """Delete them; return how many."""
        return await self._datasets.cleanup()


def steps(datasets: R2CacheService) -> list[Step]:
    """Return the steps of the maintenance run that concern datasets."""
    return [OldDatasets(datasets)]
