"""The periodic work of datasets."""

from __future__ import annotations

from building_vitals.datasets.cache import R2CacheService


class OldDatasets:
    """Deletes datasets that are not given any more."""

    name = "old datasets"

    def __init__(self, datasets: R2CacheService) -> None:
        self._datasets = datasets

    async def run(self, now_ms: int) -> int:
        """Delete them; return how many."""
        return await self._datasets.cleanup()
