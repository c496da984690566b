"""What a follow reads next, case by case; tests/property has them all together."""

from __future__ import annotations

import msgspec
import pytest

from building_vitals.follow.rounds import (
    Backfill,
    Follow,
    Reading,
    after_failure,
    after_part,
    after_whole,
    backfill_of,
    heritage_of,
    lag_ms,
    newest_chunk,
    next_due_ms,
    next_reading,
    state_of,
    with_pace,
)
from building_vitals.instants import DAY_MS, HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range

NOW_MS = 1_767_225_600_000
EVERY_MS = 5 * MINUTE_MS
LATE_MS = MINUTE_MS
NEW = Follow(
    since_ms=NOW_MS - 3 * DAY_MS,
    every_ms=EVERY_MS,
    begun_ms=NOW_MS,
    next_ms=NOW_MS,
)


def followed(**changes: object) -> Follow:
    """Return a follow that has read all, a moment ago."""
    read = (Range(NEW.since_ms, NOW_MS - LATE_MS),)
    last_round = Range(NEW.since_ms, NOW_MS)
    fields = {"read": read, "last_round": last_round, "next_ms": NOW_MS + EVERY_MS, **changes}
    return msgspec.structs.replace(NEW, **fields)


def reading(follow: Follow, now_ms: int, pages_per_day: float | None = 13) -> Reading | None:
    """Return what is read next of a site whose samples are a minute late."""
    return next_reading(follow, now_ms, pages_per_day=pages_per_day, lateness_ms=LATE_MS)


@pytest.mark.parametrize("pages_per_day", [None, 13, 42])
def test_days_of_few_pages_are_read_in_one_go(pages_per_day: float | None) -> None:
    """The first round reads all that there is where that is less than two chunks."""
    assert Reading(Range(NEW.since_ms, NOW_MS), True) == reading(NEW, NOW_MS, pages_per_day)


def test_a_large_past_is_read_by_chunks_of_many_pages() -> None:
    """The first round is the newest chunk; each has 64 pages or some more."""
    first = reading(NEW, NOW_MS, 65)
    assert Reading(Range(NOW_MS - DAY_MS, NOW_MS), True) == first
    assert first is not None
    after = after_whole(NEW, first, NOW_MS, LATE_MS)
    second = Reading(Range(NOW_MS - 2 * DAY_MS, NOW_MS - DAY_MS), False)
    assert second == reading(after, NOW_MS + 1, 65)


def test_a_chunk_of_a_round_is_never_read_in_vain() -> None:
    """It is longer than samples are late: else nothing of it would count as read."""
    day = Range(NOW_MS - DAY_MS, NOW_MS)
    assert Range(NOW_MS - 12 * HOUR_MS, NOW_MS) == newest_chunk(day, 64_000, 12 * HOUR_MS)


def test_a_round_reads_what_may_have_come_late_again() -> None:
    """It begins a lateness before the end of the last one."""
    due_ms = NOW_MS + EVERY_MS
    assert None is reading(followed(), due_ms - 1)
    assert Reading(Range(NOW_MS - LATE_MS, due_ms), True) == reading(followed(), due_ms)


def test_after_an_outage_the_newest_comes_first() -> None:
    """A gap of more than a chunk is read from the present backwards."""
    now_ms = NOW_MS + 10 * DAY_MS
    follow = followed()
    first = reading(follow, now_ms)
    assert first is not None
    assert (now_ms, True) == (first.time_range.end_ms, first.is_round)
    assert first.time_range.duration_ms == (10 * DAY_MS + LATE_MS) // 2
    follow = after_whole(follow, first, now_ms, LATE_MS)
    assert now_ms == follow.known_until_ms
    rest = reading(follow, now_ms + 1)
    assert Reading(Range(NOW_MS - LATE_MS, first.time_range.start_ms), False) == rest


def test_what_has_come_of_a_reading_is_not_read_again() -> None:
    """The next one goes on from there; of a round, what is young does not count."""
    whole = Reading(Range(NEW.since_ms, NOW_MS), True)
    part = after_part(NEW, whole, NOW_MS - DAY_MS, LATE_MS)
    later_ms = NOW_MS + 10
    assert Reading(Range(NOW_MS - DAY_MS, later_ms), True) == reading(part, later_ms)
    assert (Range(NEW.since_ms, NOW_MS - LATE_MS),) == after_part(NEW, whole, NOW_MS, LATE_MS).read
    assert NEW == after_part(NEW, whole, NEW.since_ms, LATE_MS)


def test_the_next_round_is_due_an_interval_later() -> None:
    """However long this one took: not before it has ended, and no more than an interval after."""
    due = msgspec.structs.replace(followed(), next_ms=NOW_MS)
    one = Reading(Range(NOW_MS - LATE_MS, NOW_MS), True)
    for took_ms, next_ms in (
        (2_000, NOW_MS + EVERY_MS),
        (EVERY_MS, NOW_MS + 2 * EVERY_MS),
        (7 * EVERY_MS, NOW_MS + 8 * EVERY_MS),
        # The clock was set back.
        (-HOUR_MS, NOW_MS - HOUR_MS + EVERY_MS),
    ):
        assert next_ms == after_whole(due, one, NOW_MS + took_ms, LATE_MS).next_ms


def test_a_failure_is_tried_again_later_each_time() -> None:
    """Rounds after 30 s, a minute and so on, at most an interval; nothing else before them."""
    follow, waits = followed(next_ms=NOW_MS, since_ms=0), []
    one = Reading(Range(NOW_MS - LATE_MS, NOW_MS), True)
    for _ in range(5):
        follow = after_failure(follow, one, NOW_MS)
        waits.append(follow.next_ms - NOW_MS)
        assert None is reading(follow, follow.next_ms - 1)
    assert [30_000, 60_000, 120_000, 240_000, EVERY_MS] == waits
    assert NOW_MS + 400_000 == after_failure(follow, one, NOW_MS, 400_000).next_ms
    assert ("failing", "behind") == (
        state_of(follow, NOW_MS),
        state_of(after_whole(follow, one, NOW_MS, LATE_MS), NOW_MS + DAY_MS),
    )


def test_a_backfill_that_fails_stops_no_round() -> None:
    """It waits by itself, ten minutes at most, and its failures are counted by themselves."""
    follow, waits = followed(since_ms=0), []
    old = Reading(Range(0, NEW.since_ms), False)
    for _ in range(30):
        follow = after_failure(follow, old, NOW_MS)
        waits.append(follow.backfill_ms - NOW_MS)
    assert [30_000, 60_000, 120_000, 240_000, 480_000, 600_000] == waits[:6]
    assert {600_000} == set(waits[6:])
    assert followed().next_ms == follow.next_ms
    assert None is reading(follow, NOW_MS + EVERY_MS - 1)
    found = reading(follow, NOW_MS + EVERY_MS)
    assert found is not None and found.is_round
    follow = after_whole(follow, found, NOW_MS + EVERY_MS, LATE_MS)
    assert "failing" == state_of(follow, NOW_MS + EVERY_MS)
    assert "backfilling" == state_of(
        after_whole(follow, old._replace(time_range=Range(0, 9)), NOW_MS, LATE_MS),
        NOW_MS + EVERY_MS,
    )


def test_when_something_is_to_be_read() -> None:
    """At once where something remains; else when the next round is due."""
    assert NOW_MS + EVERY_MS == next_due_ms(followed(), NOW_MS + 1)
    assert NOW_MS + 1 == next_due_ms(followed(since_ms=0), NOW_MS + 1)
    assert NOW_MS + 9 == next_due_ms(followed(since_ms=0, backfill_ms=NOW_MS + 9), NOW_MS + 1)
    assert NOW_MS + DAY_MS == next_due_ms(followed(), NOW_MS + DAY_MS)
    assert NOW_MS + 7 == next_due_ms(NEW, NOW_MS + 7)


def test_a_follow_is_healthy_for_two_rounds() -> None:
    """It lags behind by the age of the last round; before the first, it is waited for."""
    assert 7 == lag_ms(NEW, NOW_MS + 7)
    assert 9 == lag_ms(followed(), NOW_MS + 9)
    assert 0 == lag_ms(followed(), NOW_MS - 9)
    assert ["backfilling", "following", "behind", "backfilling", "behind"] == [
        state_of(NEW, NOW_MS),
        state_of(followed(), NOW_MS),
        state_of(followed(), NOW_MS + 2 * EVERY_MS + 1),
        state_of(followed(since_ms=0), NOW_MS + 2 * EVERY_MS),
        state_of(followed(since_ms=0), NOW_MS + DAY_MS),
    ]


def test_how_far_the_backfill_is() -> None:
    """As a share of all from the beginning to the last round, and as time at the pace seen."""
    assert Backfill(0, None, 3 * DAY_MS, None) == backfill_of(NEW)
    half = Range(NOW_MS - 36 * HOUR_MS, NOW_MS)
    follow = followed(read=(half._replace(end_ms=NOW_MS - LATE_MS),), last_round=half)
    assert Backfill(50, half.start_ms, 36 * HOUR_MS, None) == backfill_of(follow)
    follow = with_pace(with_pace(follow, 9_000, 3), 0, 7)
    assert 36 * HOUR_MS // 3_000 == backfill_of(follow).eta_ms
    assert 3_300 == with_pace(follow, 4_000, 1).pace
    assert Backfill(100, NEW.since_ms, 0, 0) == backfill_of(followed())
    # A moment is missing.
    nearly = followed(read=(Range(NEW.since_ms + 1, NOW_MS),), last_round=Range(NOW_MS - 1, NOW_MS))
    assert Backfill(99, NEW.since_ms + 1, 1, None) == backfill_of(nearly)


def test_an_end_in_the_future_is_no_gap() -> None:
    """Where the clock was set back, nothing is read until the present has come again."""
    follow = followed(next_ms=NOW_MS - DAY_MS)
    assert None is reading(follow, NOW_MS - DAY_MS)
    assert None is reading(msgspec.structs.replace(NEW, since_ms=NOW_MS + 1), NOW_MS)
    assert 100 == backfill_of(msgspec.structs.replace(NEW, since_ms=NOW_MS + 1)).progress


def test_what_is_kept_of_an_earlier_follow_need_not_be_read() -> None:
    """As far as it is trusted, where much of it lies together; when the oldest was fetched."""
    day = Range(NOW_MS - 9 * DAY_MS, NOW_MS - 8 * DAY_MS)
    later = Range(day.end_ms, day.end_ms + DAY_MS)
    apart = Range(NOW_MS - 3 * DAY_MS, NOW_MS - 2 * DAY_MS)
    short = Range(NOW_MS - 5 * HOUR_MS, NOW_MS - 4 * HOUR_MS - 1)
    young = Range(NOW_MS - 3 * HOUR_MS, NOW_MS - HOUR_MS)
    until = {day: NOW_MS, later: later.end_ms, apart: apart.start_ms + HOUR_MS, short: NOW_MS}
    kept = [(day, 50), (young, 10), (apart, 90), (short, 20), (later, 70)]
    expected = (Range(day.start_ms, later.end_ms), Range(apart.start_ms, apart.start_ms + HOUR_MS))
    assert (expected, 50) == heritage_of(kept, lambda each, _: until.get(each, 0))
    assert ((), None) == heritage_of([(young, 10)], lambda each, _: each.start_ms)
    assert ((), None) == heritage_of([(short, 10)], lambda *_: NOW_MS)
    assert ((), None) == heritage_of([], lambda *_: 0)
