"""The quota's row, shared by all isolates."""

from __future__ import annotations

from building_vitals.instants import MINUTE_MS
from building_vitals.upstream.quota_table import UpstreamQuotas
from fakes.database import FakeDatabase


async def test_clocks_that_disagree_share_the_later_minute() -> None:
    """An isolate whose clock is behind does not open an earlier minute again."""
    database = FakeDatabase()
    quotas = UpstreamQuotas(database)
    for minute_ms, granted in ((MINUTE_MS, 6), (0, 4), (MINUTE_MS, 0)):
        taken = await quotas.take(
            6, limit=10, is_queued=False, minute_ms=minute_ms, now_ms=minute_ms
        )
        assert granted == taken.granted
    assert [{"minute_ms": MINUTE_MS, "used": 10}] == database.look(
        "SELECT minute_ms, used FROM upstream_quota"
    )
