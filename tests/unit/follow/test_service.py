"""How a follow goes, as its document says it."""

from __future__ import annotations

import msgspec

from building_vitals.follow.follows_table import SiteFollows
from building_vitals.follow.service import document, followed_sites
from building_vitals.instants import DAY_MS, HOUR_MS, format_instant
from building_vitals.ranges import Range
from fakes.database import FakeDatabase

NOW_MS = 1_767_225_600_000


async def test_a_document_tells_what_the_row_has() -> None:
    """Instants as text, times in whole seconds; what nobody knows yet is null."""
    with FakeDatabase() as database:
        follows = SiteFollows(database)
        row = await follows.put(
            "hq", since_ms=NOW_MS - DAY_MS, every_ms=300_000, every="5m", now_ms=NOW_MS
        )
        new = document(row, NOW_MS + 1_999)
        assert ("backfilling", 1, None, None, None) == (
            new.state,
            new.lag_seconds,
            new.newest_sample,
            new.backfill.until,
            new.backfill.eta_seconds,
        )
        half = Range(NOW_MS - 12 * HOUR_MS, NOW_MS)
        follow = msgspec.structs.replace(
            row.follow, read=(half,), last_round=half, pace=HOUR_MS, backfill_failures=1
        )
        grown = msgspec.structs.replace(
            row.with_counts(7, 900, NOW_MS - 5, NOW_MS), follow=follow, error="no luck"
        )
        found = document(grown, NOW_MS + 10_000)
        assert {
            "state": "failing",
            "lagSeconds": 10,
            "newestSample": format_instant(NOW_MS - 5),
            "since": format_instant(NOW_MS - DAY_MS),
            "every": "5m",
            "backfill": {
                "progress": 50,
                "until": format_instant(half.start_ms),
                # 12 hours of data, an hour in a millisecond.
                "etaSeconds": 1,
            },
            "pagesPerDay": 7,
            "samplesPerDay": 900,
            "error": "no luck",
        } == msgspec.to_builtins(found)
        [named] = followed_sites(database.look("SELECT * FROM site_follows"), NOW_MS)
        assert {"site": "hq", **msgspec.to_builtins(document(row, NOW_MS))} == {
            **msgspec.to_builtins(named)
        }
