"""
What a follow reads next: pure.

A follow has read some ranges for good, and has looked at the present now and then. A round reads
from where all has been read to the present. What it reads counts as read for good only as far as
late samples can have come: the rest is shown, and read again by the next round. What remains in the
past (the backfill, and what an outage has left) is read backwards, in chunks of many full pages:
the newest chunk first, within it forward in time, as the upstream sends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from building_vitals.cache.followed import FollowState, is_healthy
from building_vitals.instants import DAY_MS, HOUR_MS
from building_vitals.ranges import Range, gaps, merge, split_evenly

# A chunk begins with a full page and ends with a part-filled one: of so many pages, that is less
# than two in a hundred.
CHUNK_PAGES = 64
# What has failed is tried again so soon, and later each time.
RETRY_MS, RETRY_MS_MAX = 30_000, 600_000
DOUBLINGS_MAX = 10
# What an earlier follow has left is taken over where so much of it lies together: else the gaps
# between would be a request each.
HERITAGE_MS_MIN = HOUR_MS
# A share of a speed that an observation replaces.
SMOOTHING = 0.3
WHOLE = 100


class Follow(msgspec.Struct, frozen=True, kw_only=True):
    """
    A followed site, as far as it decides what is read.

    Attributes:
        since_ms: From when on all is to be kept.
        every_ms: Time between two rounds.
        begun_ms: When the site was first followed.
        trusted_ms: When the oldest was fetched of what has been read: before that, where an earlier
            follow has left something.
        next_ms: When the next round is due.
        backfill_ms: Nothing but rounds is read before.
        read: What need not be read again; sorted, disjoint.
        last_round: What the last round read; None before the first.
        failures: Rounds that failed since the last that did not.
        backfill_failures: The same of other readings.
        pace: Milliseconds of data that a reading takes in one; 0 while nobody knows.
    """

    since_ms: int
    every_ms: int
    begun_ms: int
    trusted_ms: int = 0
    next_ms: int
    backfill_ms: int = 0
    read: tuple[Range, ...] = ()
    last_round: Range | None = None
    failures: int = 0
    backfill_failures: int = 0
    pace: float = 0.0

    @property
    def known_until_ms(self) -> int | None:
        """The end of the last round; None before the first."""
        return None if self.last_round is None else self.last_round.end_ms

    @property
    def known(self) -> list[Range]:
        """What has been read, be it that the next round reads some again; sorted, disjoint."""
        return merge(self.read if self.last_round is None else [*self.read, self.last_round])


class Reading(NamedTuple):
    """
    A range to be read.

    Attributes:
        time_range: The range.
        is_round: Whether it reaches to the present.
    """

    time_range: Range
    is_round: bool


class Heritage(NamedTuple):
    """
    What an earlier follow has left.

    Attributes:
        read: What need not be read again; sorted, disjoint.
        oldest_ms: When the oldest of it was fetched; None of nothing.
    """

    read: tuple[Range, ...]
    oldest_ms: int | None


NO_HERITAGE = Heritage((), None)


class Backfill(NamedTuple):
    """
    How far all has been read from the beginning to the last round.

    Attributes:
        progress: 0 to 100; 100 only when nothing remains.
        until_ms: Down to when all is known, from the last round on; None before the first round.
        left_ms: Milliseconds of data that remain.
        eta_ms: How long that takes, in milliseconds; None while nobody knows.
    """

    progress: int
    until_ms: int | None
    left_ms: int
    eta_ms: int | None


def heritage_of(kept: Iterable[tuple[Range, int]], until: Callable[[Range, int], int]) -> Heritage:
    """
    Return what a new follow need not read.

    Args:
        kept: Ranges of which all points are known, and when each was fetched; in any order.
        until: Says where the part of one ends that is trusted now; its start where nothing is.
    """
    trusted = [
        (Range(time_range.start_ms, until_ms), fetched_ms)
        for time_range, fetched_ms in kept
        if (until_ms := min(until(time_range, fetched_ms), time_range.end_ms)) > time_range.start_ms
    ]
    together = merge(each for each, _ in trusted)
    taken = [each for each in together if each.duration_ms >= HERITAGE_MS_MIN]
    instants = [at_ms for part, at_ms in trusted if any(each.clip(part) for each in taken)]
    return Heritage(tuple(taken), min(instants, default=None))


def next_reading(
    follow: Follow, now_ms: int, *, pages_per_day: float | None, lateness_ms: int
) -> Reading | None:
    """
    Return what is read now; None where nothing is.

    A round that is due comes first; else the newest of what remains.

    Args:
        follow: The follow.
        now_ms: The present.
        pages_per_day: Pages that hold a day of the site; None while nobody knows.
        lateness_ms: How late samples come, as a rule.
    """
    if now_ms >= follow.next_ms:
        left = _left(follow, now_ms)
        if left and left[-1].end_ms == now_ms:
            # Not so short that nothing of it would be read for good.
            least_ms = 2 * lateness_ms
            return Reading(newest_chunk(left[-1], pages_per_day, least_ms), is_round=True)
    if now_ms < follow.backfill_ms or not follow.read:
        return None
    left = _left(follow, min(follow.read[-1].end_ms, now_ms))
    return Reading(newest_chunk(left[-1], pages_per_day), is_round=False) if left else None


def newest_chunk(gap: Range, pages_per_day: float | None, least_ms: int = 0) -> Range:
    """
    Return the part of a gap that is read in one go, the newest.

    All parts are alike, and as small as they may be, so that their ends are known soon.
    """
    pages = (pages_per_day or 0.0) * gap.duration_ms / DAY_MS
    count = min(int(pages // CHUNK_PAGES), gap.duration_ms // max(least_ms, 1))
    return split_evenly(gap, count)[-1]


def after_part(follow: Follow, reading: Reading, until_ms: int, lateness_ms: int) -> Follow:
    """
    Return a follow of which a reading has come up to an instant, and is stored.

    Args:
        follow: Before.
        reading: What is being read.
        until_ms: All of it before this has come.
        lateness_ms: How late samples come, as a rule: what is younger is read again.
    """
    start_ms, end_ms = reading.time_range
    if reading.is_round:
        until_ms = min(until_ms, end_ms - lateness_ms)
    if until_ms <= start_ms:
        return follow
    read = merge([*follow.read, Range(start_ms, until_ms)])
    return msgspec.structs.replace(follow, read=tuple(read))


def after_whole(follow: Follow, reading: Reading, now_ms: int, lateness_ms: int) -> Follow:
    """
    Return a follow of which a reading has come to its end, and is stored.

    Args:
        follow: Before.
        reading: What was read.
        now_ms: The present; the reading may have begun long before.
        lateness_ms: As for `after_part`.
    """
    follow = after_part(follow, reading, reading.time_range.end_ms, lateness_ms)
    if reading.is_round:
        next_ms = follow.next_ms + follow.every_ms
        if not now_ms < next_ms <= now_ms + follow.every_ms:
            next_ms = now_ms + follow.every_ms
        follow = msgspec.structs.replace(
            follow, last_round=reading.time_range, next_ms=next_ms, failures=0
        )
    # What failed may be wanted no longer.
    if reading.is_round and backfill_of(follow).left_ms:
        return follow
    return msgspec.structs.replace(follow, backfill_failures=0)


def after_failure(
    follow: Follow, reading: Reading, now_ms: int, retry_after_ms: int | None = None
) -> Follow:
    """
    Return a follow of which a reading has failed, whatever came before that.

    Args:
        follow: Before.
        reading: What was being read.
        now_ms: The present.
        retry_after_ms: How long not to ask again, where that was said.
    """
    failures = follow.failures if reading.is_round else follow.backfill_failures
    wait_ms = min(RETRY_MS << min(failures, DOUBLINGS_MAX), RETRY_MS_MAX)
    if reading.is_round:
        wait_ms = min(wait_ms, follow.every_ms)
    follow = after_pause(follow, reading, now_ms, max(wait_ms, retry_after_ms or 0))
    if reading.is_round:
        return msgspec.structs.replace(follow, failures=failures + 1)
    return msgspec.structs.replace(follow, backfill_failures=failures + 1)


def after_pause(
    follow: Follow, reading: Reading, now_ms: int, retry_after_ms: int | None
) -> Follow:
    """
    Return a follow of which nothing more can be read now: a limit has been met, and nothing failed.

    The arguments are those of `after_failure`.
    """
    wait_ms = RETRY_MS if retry_after_ms is None else min(retry_after_ms, RETRY_MS_MAX)
    then_ms = now_ms + wait_ms
    if reading.is_round:
        # What keeps a round from the upstream keeps the backfill from it, too.
        backfill_ms = max(follow.backfill_ms, then_ms)
        return msgspec.structs.replace(follow, next_ms=then_ms, backfill_ms=backfill_ms)
    return msgspec.structs.replace(follow, backfill_ms=then_ms)


def next_due_ms(follow: Follow, now_ms: int) -> int:
    """Return when there is something to be read again: now, where something remains."""
    if not follow.read or not _left(follow, follow.read[-1].end_ms):
        return max(follow.next_ms, now_ms)
    return max(min(follow.next_ms, follow.backfill_ms), now_ms)


def with_pace(follow: Follow, read_ms: int, took_ms: int) -> Follow:
    """Return a follow with what a reading has shown: how much data it took in, and how long."""
    if read_ms <= 0 or took_ms <= 0:
        return follow
    seen = read_ms / took_ms
    pace = seen if not follow.pace else follow.pace + SMOOTHING * (seen - follow.pace)
    return msgspec.structs.replace(follow, pace=pace)


def lag_ms(follow: Follow, now_ms: int) -> int:
    """Return how old the end of the last round is; before the first, how long it is awaited."""
    until_ms = follow.begun_ms if follow.known_until_ms is None else follow.known_until_ms
    return max(0, now_ms - until_ms)


def state_of(follow: Follow, now_ms: int) -> FollowState:
    """Return how a follow is."""
    if follow.failures or follow.backfill_failures:
        return "failing"
    if follow.known_until_ms is None:
        return "backfilling"
    if not is_healthy(follow.known_until_ms, follow.every_ms, now_ms):
        return "behind"
    return "backfilling" if backfill_of(follow).left_ms else "following"


def backfill_of(follow: Follow) -> Backfill:
    """Return how far a follow has come in the past."""
    end_ms = follow.begun_ms if follow.known_until_ms is None else follow.known_until_ms
    whole_ms = max(end_ms - follow.since_ms, 1)
    left = gaps(follow.known, Range(follow.since_ms, end_ms)) if end_ms > follow.since_ms else []
    left_ms = sum(each.duration_ms for each in left)
    progress = min(WHOLE - 1, WHOLE * (whole_ms - left_ms) // whole_ms) if left else WHOLE
    until_ms = None
    if follow.known_until_ms is not None:
        until_ms = left[-1].end_ms if left else min(follow.since_ms, end_ms)
    eta_ms = round(left_ms / follow.pace) if follow.pace else None
    return Backfill(progress, until_ms, left_ms, eta_ms if left else 0)


def _left(follow: Follow, end_ms: int) -> list[Range]:
    """Return what is to be read before an instant; by time."""
    if end_ms <= follow.since_ms:
        return []
    return gaps(follow.read, Range(follow.since_ms, end_ms))
