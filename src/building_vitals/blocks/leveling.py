"""
Makes the levels of what blocks are merged into, within bounds.

Levels are joined where the parts have some, and made of the samples where a series has become long
enough: so each sample is gone through once, whatever it is merged into later.
"""

from __future__ import annotations

from building_vitals.blocks.block import LevelBytes
from building_vitals.blocks.merging import MERGED_MIN
from building_vitals.blocks.stint_levels import laid_out
from building_vitals.cache.level_joining import ReadPiece, join_levels
from building_vitals.cache.leveling import levels_of
from building_vitals.cache.zooming import Parts
from building_vitals.series.frames import Series

# Shorter series are thinned each time: of 5-minute data, blocks of 5 days have levels.
LEVELED_SAMPLES_MIN = 1_024
# Where those would be too many to go through at once, levels are made of what they are made of,
# down to so many samples: blocks of 16 hours.
EARLY_SAMPLES_MIN = 128
# Samples that one invocation makes levels of at the most: of 300 seconds of CPU a fifth. What is
# left over gets them when it is merged again.
LEVELED_SAMPLES_MAX = 4_000_000
# After this share of them no other merge begins.
ENOUGH_SHARE = 0.25
# Bytes of a sample in blocks that have no levels yet, with their directories.
SAMPLE_BYTES = 7


def leveled_from(stored_bytes: int) -> int:
    """
    Return from how many samples on a series gets levels.

    Args:
        stored_bytes: Of all that is merged.
    """
    is_large = MERGED_MIN * stored_bytes > SAMPLE_BYTES * LEVELED_SAMPLES_MAX
    return EARLY_SAMPLES_MIN if is_large else LEVELED_SAMPLES_MIN


class LevelBudget:
    """
    How many samples may be gone through for levels.

    Attributes:
        is_spent: Whether so much has been done that no other merge should begin.
    """

    def __init__(self, samples: int) -> None:
        self._left = samples
        # What is left over then.
        self._enough = samples * (1 - ENOUGH_SHARE)

    @property
    def is_spent(self) -> bool:
        """Whether so much has been done that no other merge should begin."""
        return self._left < self._enough

    def takes(self, samples: int) -> bool:
        """Return whether so many samples may be gone through; they are counted then."""
        if samples > self._left:
            return False
        self._left -= samples
        return True


async def levels_of_parts(
    parts: Parts, series: Series, read: ReadPiece, budget: LevelBudget, samples_min: int
) -> LevelBytes | None:
    """
    Return the levels of what has become one: joined from its parts', or made of its samples.

    None where these are fewer than *samples_min*, or more than the budget has left.

    Raises:
        ValueError: the bytes that *read* gives are not those of the piece.
    """
    levels = join_levels(parts, series, read)
    if levels is None:
        count = series.count
        if count < samples_min or not budget.takes(count):
            return None
        levels = await levels_of(series.frames, series.data)
    return laid_out(levels)
