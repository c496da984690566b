"""Plans of fetches carried out: some side by side, and none begun after a failure."""

from __future__ import annotations

from typing import Any

import pytest

from builders import FRESHNESS
from building_vitals.cache.fetch_plan import UpstreamQuery
from building_vitals.cache.fetcher import FETCHES_MAX, GapFetcher
from building_vitals.cache.need import Need
from building_vitals.errors import UpstreamError
from building_vitals.ranges import Range
from fakes.history import History
from fakes.virtual_time import EPOCH_MS, LoopClock, in_virtual_time

HOUR = Range(EPOCH_MS - 3_600_000, EPOCH_MS)
NEED = Need("site", ("p0",), HOUR, now_ms=EPOCH_MS, deadline_ms=EPOCH_MS + 30_000)


def queries(count: int) -> list[UpstreamQuery]:
    """Return queries for an hour of a point each."""
    return [UpstreamQuery((f"p{n}",), HOUR) for n in range(count)]


@in_virtual_time
async def test_some_fetches_run_side_by_side() -> None:
    """Four at once, so nine of a second each take three; all of them are counted."""
    upstream = History(LoopClock())
    upstream.page_ms = 1000
    fetched = await GapFetcher(upstream, FRESHNESS).fetch(NEED, queries(9), EPOCH_MS)
    begun = [each.at_ms - EPOCH_MS for each in upstream.asked]
    assert [0] * FETCHES_MAX + [1000] * FETCHES_MAX + [2000] == begun
    assert (9, None, EPOCH_MS) == (fetched.requests, fetched.failure, fetched.fetched_ms)
    assert 9 * 12 == fetched.samples
    assert {f"p{n}" for n in range(9)} == {each.point for each in fetched.point_series}


@in_virtual_time
async def test_after_a_failure_no_fetch_is_begun() -> None:
    """Those under way end by themselves, what they bring is kept, the first failure is told."""
    upstream = History(LoopClock())
    upstream.page_ms = 1000
    upstream.failing = lambda asking, _: asking.points[0] in ("p1", "p2")
    fetched = await GapFetcher(upstream, FRESHNESS).fetch(NEED, queries(9), EPOCH_MS)
    asked = sorted(each.points[0] for each in upstream.asked)
    assert ["p0", "p1", "p2", "p3"] == asked
    assert "upstream answered 503" == str(fetched.failure)
    assert {"p0", "p3"} == {each.point for each in fetched.point_series}
    assert 2 == fetched.requests


@in_virtual_time
async def test_samples_that_cannot_be_read_are_counted() -> None:
    """Over all fetches; what came with them is there."""
    upstream = History(LoopClock())
    upstream.untimed = {"p0", "p2"}
    fetched = await GapFetcher(upstream, FRESHNESS).fetch(NEED, queries(3), EPOCH_MS)
    assert (2, 3 * 12) == (fetched.unreadable, fetched.samples)


@in_virtual_time
async def test_other_exceptions_pass() -> None:
    """A fault of ours is not taken for one of the upstream."""

    class Broken:
        async def fetch_samples(self, *_: Any, **__: Any) -> Any:
            raise LookupError("ours")

    with pytest.raises(LookupError):
        await GapFetcher(Broken(), FRESHNESS).fetch(NEED, queries(1), EPOCH_MS)


@in_virtual_time
async def test_the_need_goes_along() -> None:
    """Site, deadline and whoever hears of pages reach the upstream as they are."""
    heard: list[dict[str, Any]] = []

    class Ear:
        async def fetch_samples(self, site: str, *_: Any, **options: Any) -> Any:
            heard.append({"site": site, **options})
            raise UpstreamError("enough")

    async def on_page(_: Any) -> None:
        """Hear nothing."""

    await GapFetcher(Ear(), FRESHNESS).fetch(NEED, queries(1), EPOCH_MS, on_page)
    assert [{"site": "site", "deadline_ms": NEED.deadline_ms, "on_page": on_page}] == heard
