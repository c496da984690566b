"""
What the upstream's data were at each moment, and from this what an answer may show.

Every sample has a history: the values it had, each with the moments between which the upstream
changed to it. An answer is made of what was read at some moment between the oldest that the rules
of freshness allow and the end of the answer, and a sample may show what it was then.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

# Every moment of the run is one of the machine's clock, in epoch ms: the Worker has the same clock.
LOOK_UP_MS = 1_000
CLOCK_MS = 1_000


class Absence(Enum):
    """The value of a sample that is not there."""

    ABSENT = "absent"


ABSENT = Absence.ABSENT
# As the upstream sends it, or that there is none.
Value = str | None | Absence


@dataclass(slots=True)
class Version:
    """
    One value of a sample.

    Attributes:
        began_ms: Nobody can have read it before.
        settled_ms: Nobody can have read the one before it after this; None while it is being made.
    """

    value: Value
    began_ms: int
    settled_ms: int | None


class PointHistory:
    """All samples that a point ever had."""

    def __init__(self) -> None:
        self._versions: dict[int, list[Version]] = {}
        self._times: list[int] = []

    def change(
        self, at_ms: int, value: Value, *, began_ms: int, settled_ms: int | None = None
    ) -> Version:
        """
        Give a sample another value from a moment on.

        Args:
            at_ms: The sample's own time.
            value: What it is from now on.
            began_ms: See Version.
            settled_ms: See Version.
        """
        versions = self._versions.get(at_ms)
        if versions is None:
            insort(self._times, at_ms)
            versions = self._versions[at_ms] = [Version(ABSENT, 0, 0)]
        version = Version(value, began_ms, settled_ms)
        # A new list, because others read the old one meanwhile.
        self._versions[at_ms] = [*versions, version]
        return version

    def begin(self, samples: Mapping[int, Value]) -> None:
        """Have these samples from the beginning."""
        self._versions = {ms: [Version(value, 0, 0)] for ms, value in samples.items()}
        self._times = sorted(self._versions)

    def times(self, start_ms: int, end_ms: int) -> Sequence[int]:
        """Return the times of all samples that there ever were in a half-open range."""
        times = self._times
        return times[bisect_left(times, start_ms) : bisect_left(times, end_ms)]

    def versions(self, at_ms: int) -> Sequence[Version]:
        """Return all that a sample ever was, the oldest first."""
        return self._versions.get(at_ms) or (_NEVER,)

    def newest(self) -> dict[int, Value]:
        """Return the samples as they are now."""
        values = {ms: versions[-1].value for ms, versions in self._versions.items()}
        return {ms: value for ms, value in values.items() if value is not ABSENT}

    def visible(self, at_ms: int, since_ms: int, until_ms: int) -> list[Value]:
        """Return the values that a reader may have found between two moments."""
        return [version.value for version in self.readable(at_ms, since_ms, until_ms)]

    def readable(self, at_ms: int, since_ms: int, until_ms: int) -> list[Version]:
        """Return the versions that a reader may have found between two moments."""
        versions = self.versions(at_ms)
        return [
            version
            for number, version in enumerate(versions)
            if version.began_ms <= until_ms and not _is_over(versions, number, since_ms)
        ]


_NEVER = Version(ABSENT, 0, 0)


def _is_over(versions: Sequence[Version], number: int, since_ms: int) -> bool:
    """Return whether another version had replaced one for good before *since_ms*."""
    if number + 1 == len(versions):
        return False
    settled_ms = versions[number + 1].settled_ms
    return settled_ms is not None and settled_ms < since_ms


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How old data may be that a Worker shows; milliseconds.

    Attributes:
        trust_ratio: How many times longer than its age when fetched a sample is trusted.
        trust_max_ms: How long at the most.
        grace_ms: How much longer it may be shown as `stale`.
        unread_ms: How long nobody must have read what the clean-up may delete.
        wait_ms: How long a fetch may take that others wait for: they take it as it comes.
        list_ms: How old the list of a site's points may be.
    """

    trust_ratio: float
    trust_max_ms: int
    grace_ms: int
    unread_ms: int
    wait_ms: int
    list_ms: int

    def since_ms(self, at_ms: int, asked_ms: int, *, is_stale: bool) -> int:
        """
        Return the earliest moment at which what is shown of a sample may have been fetched.

        Args:
            at_ms: The sample's time.
            asked_ms: When the request began.
            is_stale: Whether the answer says that it is stale.
        """
        then_ms = asked_ms - (self.grace_ms if is_stale else 0)
        # then - fetched <= ratio * (fetched - at), solved for the fetch; samples are late by more
        # than nothing, which only shortens trust.
        trusted_ms = (then_ms + self.trust_ratio * at_ms) / (1 + self.trust_ratio)
        trusted_ms = max(trusted_ms, then_ms - self.trust_max_ms)
        return min(int(trusted_ms), then_ms) - self.wait_ms - LOOK_UP_MS - CLOCK_MS


@dataclass(frozen=True, slots=True)
class Purge:
    """
    A purge that was acknowledged.

    Attributes:
        points: None for all of the site.
        start_ms, end_ms: None for no limit.
        sent_ms: When it was asked for: what it leaves was fetched later.
        acknowledged_ms: Requests that began later must not see what was before.
    """

    site: str
    points: frozenset[str] | None
    start_ms: int | None
    end_ms: int | None
    sent_ms: int
    acknowledged_ms: int

    def names(self, site: str, point: str) -> bool:
        """Return whether it is of a point."""
        return self.site == site and (self.points is None or point in self.points)

    def covers(self, at_ms: int) -> bool:
        """Return whether it is of a time."""
        return (self.start_ms is None or self.start_ms <= at_ms) and (
            self.end_ms is None or at_ms < self.end_ms
        )

    def overlaps(self, start_ms: int, end_ms: int) -> bool:
        """Return whether it is of a part of a half-open range."""
        return (self.start_ms is None or self.start_ms < end_ms) and (
            self.end_ms is None or start_ms < self.end_ms
        )


@dataclass(slots=True)
class Following:
    """
    A site that is followed, as far as it was asked for.

    Attributes:
        begun_ms: When that was asked for: what rounds have read was fetched later.
        rounds: How often they are to come, each with the moment from which on.
        ended_ms: When its end was acknowledged; None while it may go on.
        is_certain: Whether it was acknowledged.
    """

    site: str
    begun_ms: int
    rounds: list[tuple[int, int]] = field(default_factory=list)
    ended_ms: int | None = None
    is_certain: bool = False

    def every_ms(self, since_ms: int, until_ms: int) -> int:
        """Return the longest time between two rounds that was in force between two moments."""
        begun = [every_ms for moment_ms, every_ms in self.rounds if moment_ms <= until_ms]
        later = sum(moment_ms > since_ms for moment_ms, _ in self.rounds[: len(begun)])
        # The one before the first that came later was in force, too.
        return max(begun[max(0, len(begun) - later - 1) :], default=0)


@dataclass(slots=True)
class Truth:
    """
    Everything that is known of the upstream's data and of what was asked of the cache.

    Attributes:
        points: Histories by site and point.
        existence: Of each site and point, one sample at time 0: "yes" while the site lists it.
        purges: Those acknowledged, in that order.
        followings: In the order they began.
    """

    points: dict[str, dict[str, PointHistory]] = field(default_factory=dict)
    existence: dict[tuple[str, str], PointHistory] = field(default_factory=dict)
    purges: list[Purge] = field(default_factory=list)
    followings: list[Following] = field(default_factory=list)

    def history(self, site: str, point: str) -> PointHistory:
        """Return a point's history; of one that never was, an empty one."""
        return self.points.get(site, {}).get(point) or PointHistory()

    def may_be_unknown(self, site: str, point: str, since_ms: int, until_ms: int) -> bool:
        """Return whether a list of points read between two moments may leave out a point."""
        history = self.existence.get((site, point))
        return history is None or ABSENT in history.visible(0, since_ms, until_ms)

    def may_exist(self, site: str, point: str, since_ms: int, until_ms: int) -> bool:
        """Return whether a list of points read between two moments may have a point."""
        history = self.existence.get((site, point))
        return history is not None and "yes" in history.visible(0, since_ms, until_ms)

    def floor(self, site: str, point: str, asked_ms: int) -> Callable[[int], int]:
        """
        Return what gives of each instant the moment before which nothing may be shown of it.

        Args:
            site: Of the point.
            point: Its name.
            asked_ms: When the request began: only purges acknowledged before count.
        """
        purges = [
            purge
            for purge in list(self.purges)
            if purge.acknowledged_ms < asked_ms and purge.names(site, point)
        ]

        def floor_ms(at_ms: int) -> int:
            return max((purge.sent_ms for purge in purges if purge.covers(at_ms)), default=0)

        return floor_ms

    def followed(self, site: str, since_ms: int, until_ms: int) -> list[Following]:
        """Return what may have been in force of a site's follows between two moments."""
        return [
            each
            for each in list(self.followings)
            if each.site == site
            and each.begun_ms <= until_ms
            and (each.ended_ms is None or each.ended_ms >= since_ms)
        ]

    def was_purged(self, site: str, start_ms: int, end_ms: int, since_ms: int) -> bool:
        """Return whether any of a site over a range was purged after a moment."""
        return any(
            purge.site == site and purge.overlaps(start_ms, end_ms)
            for purge in list(self.purges)
            if purge.acknowledged_ms >= since_ms
        )


def settle(versions: Iterable[Version], now_ms: int) -> None:
    """Note that the upstream has changed to these versions."""
    for version in versions:
        version.settled_ms = now_ms
