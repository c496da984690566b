"""
A need for data, and its filling.

Separate because the cached route, the chunks of jobs and the compaction speak of the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from building_vitals.cache.coverage import Cover, known_until
from building_vitals.ranges import Range, merge
from building_vitals.upstream.profile import Source

# Of the samples that a level of a cut segment may have, those that one of a whole segment has.
WHOLE_SHARE = 2 / 3
# What has happened is known up to a whole second, so that requests of one moment ask for the same.
LIVE_EDGE_MS = 1000
# As a number of samples: no levels are looked up, but rollups.
ROLLUPS_ALONE = -1
# The same, and the samples of hours anywhere, so that all directories are needed as a whole.
ROLLUPS_AND_SAMPLES = -2


# What calls by point give where that is not what was collected: values of 5 minutes.
Resolution = Literal["raw", "5min"]


class Filling(msgspec.Struct):
    """
    A request whose data are known, as far as they have happened.

    Attributes:
        covers: One for each point, without gaps unless it is stale.
        fresh: Objects that were made for it and may not be stored yet, by key.
        made: Keys of all objects that were made for it.
        fetched: Ranges that came from upstream, merged.
        samples_fetched: Samples that came of it.
        upstream_requests: Requests it took, failed ones included where they are known.
        unreadable: Samples that were left out of it, because they cannot be read.
        had_known: Whether some of it had been known before.
        resolution: Which samples they are, where the upstream's calls give different ones.
        is_stale: Whether what is known, and what is kept though no longer trusted, stands in for a
            fetch that failed.
        missing: What could not be had then, merged over all points.
    """

    covers: list[Cover]
    fresh: dict[str, bytes] = {}
    made: frozenset[str] = frozenset()
    fetched: list[Range] = []
    samples_fetched: int = 0
    upstream_requests: int = 0
    unreadable: int = 0
    had_known: bool = True
    is_stale: bool = False
    missing: list[Range] = []
    resolution: Resolution | None = None

    def after(self, earlier: Filling) -> Filling:
        """Return the same with what an earlier attempt had to fetch."""
        return msgspec.structs.replace(
            self,
            fresh={**earlier.fresh, **self.fresh},
            made=earlier.made | self.made,
            fetched=merge([*earlier.fetched, *self.fetched]),
            samples_fetched=earlier.samples_fetched + self.samples_fetched,
            upstream_requests=earlier.upstream_requests + self.upstream_requests,
            unreadable=earlier.unreadable + self.unreadable,
            had_known=earlier.had_known,
        )


class Progress(msgspec.Struct, frozen=True):
    """
    How far a need has come, as shares of its points and time together, from 0 to 1.

    Attributes:
        share: What is known, or has come by now.
        stored_share: What this fetch has stored.
        requests: Those it has taken.
        slowness: How many times longer than planned it takes, by what has come; 0 while nothing
            says.
    """

    share: float
    stored_share: float
    requests: int
    slowness: float = 0.0

    def beside(self, known_share: float) -> Progress:
        """Return the progress of a need of which a share had been known before."""
        left = 1 - known_share
        return msgspec.structs.replace(
            self, share=known_share + left * self.share, stored_share=left * self.stored_share
        )


class Need(msgspec.Struct, frozen=True):
    """
    The data that a request or a chunk needs.

    Attributes:
        now_ms: The moment it is judged at.
        deadline_ms: When to give up.
        since_ms: What was fetched then or later is known to its end; *now_ms*, if left out.
        wait_until_ms: How long to wait for somebody else's fetch; as long as all, if left out.
        accepts_stale: Whether what is kept may stand in for a fetch that failed.
        fetched_max: Most estimated samples that may be fetched for it; None for any number.
        source: Where its samples come from, where that makes a difference; None: from where such a
            need is usually filled.
        is_fresh: Whether, of a followed site, what is younger than its last round is wanted now.
        level_samples: Levels with up to so many samples are looked up with what is known; 0: none;
            ROLLUPS_ALONE, ROLLUPS_AND_SAMPLES: rollups.
    """

    site: str
    points: tuple[str, ...]
    time_range: Range
    now_ms: int
    deadline_ms: int
    since_ms: int | None = None
    wait_until_ms: int | None = None
    accepts_stale: bool = True
    fetched_max: int | None = None
    source: Source | None = None
    level_samples: int = 0
    is_fresh: bool = False

    @property
    def happened(self) -> Range | None:
        """The part of the range that can be known."""
        return known_until(self.time_range, self.now_ms - self.now_ms % LIVE_EDGE_MS)

    def missing_share(self, missing: Mapping[str, Sequence[Range]]) -> float:
        """Return the gaps of points as a share of all that can be known."""
        happened = self.happened
        if happened is None:
            return 0.0
        missing_ms = sum(each.duration_ms for ranges in missing.values() for each in ranges)
        return missing_ms / (len(self.points) * happened.duration_ms)
