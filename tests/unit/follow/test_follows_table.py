"""Follows in D1: what is kept, whose lease it is, and which messages seem lost."""

from __future__ import annotations

from typing import Any

import msgspec

from building_vitals.follow.follows_table import DAYS_KEPT, LEASE_MS, FollowRow, SiteFollows
from building_vitals.follow.rounds import Follow, Heritage
from building_vitals.instants import DAY_MS, HOUR_MS, SKEW_MS
from building_vitals.ranges import Range
from fakes.database import FakeDatabase

NOW_MS = 1_767_225_600_000


async def put(follows: SiteFollows, site: str = "hq", **changes: int) -> FollowRow:
    """Follow a site for a day back, each 5 minutes."""
    options: dict[str, Any] = {
        **{"since_ms": NOW_MS - DAY_MS, "every_ms": 300_000, "now_ms": NOW_MS},
        **changes,
    }
    return await follows.put(site, every="5m", **options)


async def take(follows: SiteFollows, heritage: Heritage) -> FollowRow:
    """Follow a site of which something is left."""
    return await follows.put(
        "hq", since_ms=0, every_ms=300_000, every="5m", now_ms=NOW_MS, heritage=heritage
    )


async def test_what_is_put_is_found() -> None:
    """A round is due at once, and so is its message; of other sites nothing is found."""
    with FakeDatabase() as database:
        follows = SiteFollows(database)
        row = FollowRow(
            site="hq",
            follow=Follow(
                since_ms=NOW_MS - DAY_MS,
                every_ms=300_000,
                begun_ms=NOW_MS,
                trusted_ms=NOW_MS,
                next_ms=NOW_MS,
            ),
            every="5m",
            message_ms=NOW_MS,
        )
        assert row == await put(follows) == await follows.find("hq")
        assert None is await follows.find("other")
        other = await put(follows, "other")
        assert [row, other] == await follows.all()
        found = await database.batch([follows.all_statement()])
        assert [row, other] == follows.found(found[0].rows)
        assert [True, False] == [await follows.delete("hq"), await follows.delete("hq")]
        assert [other] == await follows.all()


async def test_a_new_follow_goes_on_from_what_is_left() -> None:
    """As if it had read that itself; one that goes on already takes nothing over."""
    with FakeDatabase() as database:
        follows = SiteFollows(database)
        read = (Range(NOW_MS - 9 * DAY_MS, NOW_MS - 8 * DAY_MS), Range(NOW_MS - DAY_MS, NOW_MS - 9))
        heritage = Heritage(read, NOW_MS - 7 * DAY_MS)
        follow = (await take(follows, heritage)).follow
        assert (NOW_MS, NOW_MS - 7 * DAY_MS, read, None) == (
            *(follow.begun_ms, follow.trusted_ms, follow.read, follow.last_round),
        )
        other = Heritage((Range(0, 1),), 5)
        assert follow == (await take(follows, other)).follow


async def test_how_far_it_has_come_is_kept_for_who_holds_the_lease() -> None:
    """All of it, and through a change of what is followed."""
    with FakeDatabase() as database:
        follows = SiteFollows(database)
        await put(follows)
        row = await follows.claim("hq", "mine", NOW_MS)
        assert row is not None
        follow = msgspec.structs.replace(
            row.follow,
            next_ms=NOW_MS + 300_000,
            backfill_ms=NOW_MS + 7,
            read=(Range(NOW_MS - DAY_MS, NOW_MS - 60_000),),
            last_round=Range(NOW_MS - DAY_MS, NOW_MS),
            failures=2,
            backfill_failures=3,
            pace=2.5,
        )
        grown = msgspec.structs.replace(
            row.with_counts(3, 900, NOW_MS - 5, NOW_MS), follow=follow, error="no luck"
        )
        kept = await follows.keep(grown, "mine", NOW_MS + 1_000)
        assert msgspec.structs.replace(grown, lease_until_ms=NOW_MS + 1_000 + LEASE_MS) == kept
        assert kept == await follows.find("hq")
        assert None is await follows.keep(grown, "another", NOW_MS)
        # A shorter interval that somebody has put meanwhile brings the next round nearer.
        changed = await put(follows, every_ms=60_000, since_ms=0)
        assert (0, NOW_MS, 0) == (
            changed.follow.since_ms,
            changed.follow.next_ms,
            changed.follow.backfill_ms,
        )
        kept = await follows.keep(grown, "mine", NOW_MS + 1_000)
        assert kept is not None
        assert (0, 60_000, NOW_MS + 61_000, NOW_MS) == (
            kept.follow.since_ms,
            kept.follow.every_ms,
            kept.follow.next_ms,
            kept.follow.begun_ms,
        )
        assert follow.read == kept.follow.read


async def test_a_lease_is_one_consumer_s_until_it_ends() -> None:
    """It ends by itself, lives on when renewed, and one of a clock set back counts for nothing."""
    with FakeDatabase() as database:
        follows = SiteFollows(database)
        assert None is await follows.claim("hq", "one", NOW_MS)
        await put(follows)
        assert await follows.claim("hq", "one", NOW_MS)
        late_ms = NOW_MS + LEASE_MS
        assert None is await follows.claim("hq", "two", late_ms - 1)
        assert await follows.renew("hq", "one", NOW_MS + 1)
        assert not await follows.renew("hq", "two", NOW_MS + 1)
        assert None is await follows.claim("hq", "two", late_ms)
        assert await follows.claim("hq", "two", late_ms + 1)
        assert not await follows.renew("hq", "one", late_ms + 2)
        # Two reads at an instant that has not come yet.
        assert None is await follows.claim("hq", "three", late_ms - SKEW_MS + 1)
        early_ms = late_ms - SKEW_MS - HOUR_MS
        assert await follows.claim("hq", "three", early_ms)
        # A lease that is let go of is anybody's.
        await follows.release("hq", "two", NOW_MS)
        assert None is await follows.claim("hq", "four", early_ms)
        await follows.release("hq", "three", NOW_MS)
        assert await follows.claim("hq", "four", early_ms)


async def test_whose_message_should_have_come_long_ago() -> None:
    """Unless somebody reads the site, or another message was sent since."""
    with FakeDatabase() as database:
        follows = SiteFollows(database)
        for number, site in enumerate(("a", "b", "c")):
            await put(follows, site, now_ms=NOW_MS - number)

        async def quiet(now_ms: int, limit: int = 9) -> list[tuple[str, int]]:
            return await follows.quiet(now_ms=now_ms, before_ms=now_ms - 10, limit=limit)

        assert [("c", 0), ("b", 0)] == await quiet(NOW_MS + 9)
        assert [("c", 0)] == await quiet(NOW_MS + 9, 1)
        await follows.claim("c", "mine", NOW_MS)
        assert [("b", 0), ("a", 0)] == await quiet(NOW_MS + 10)
        await follows.mark_sent([("b", NOW_MS + DAY_MS)])
        assert [("a", 0)] == await quiet(NOW_MS + 10)
        later_ms = NOW_MS + DAY_MS + 10
        assert [("c", 0), ("a", 0), ("b", 1)] == await quiet(later_ms)
        await follows.release("c", "mine", NOW_MS + DAY_MS + 1)
        assert [("a", 0), ("b", 1)] == await quiet(later_ms)
        # Who comes counts from 0 again; who had nothing to do changes nothing.
        await follows.claim("b", "mine", later_ms)
        await follows.release("b", "mine", None)
        assert [("a", 0), ("b", 0)] == await quiet(later_ms)


def test_pages_and_samples_are_counted_by_day() -> None:
    """Those of the last whole day are told, on the first those so far; some days are kept."""
    row = FollowRow(
        site="hq", follow=Follow(since_ms=0, every_ms=1, begun_ms=0, next_ms=0), every="5m"
    )
    assert (0, 0) == row.a_day(NOW_MS)
    row = row.with_counts(1, 100, None, NOW_MS + 5)
    assert (None, (1, 100)) == (row.newest_ms, row.a_day(NOW_MS + 9))
    row = row.with_counts(2, 50, 7, NOW_MS + 9).with_counts(5, 500, 6, NOW_MS + DAY_MS)
    assert (7, (3, 150)) == (row.newest_ms, row.a_day(NOW_MS + DAY_MS))
    assert (5, 500) == row.a_day(NOW_MS + 2 * DAY_MS)
    for day in range(20):
        row = row.with_counts(day, 0, None, NOW_MS + day * DAY_MS)
    assert DAYS_KEPT == len(row.days)
    assert (19, 0) == row.days[NOW_MS + 19 * DAY_MS]
