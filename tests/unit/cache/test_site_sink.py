"""What takes the pages of a whole site."""

from __future__ import annotations

import pytest

from building_vitals.cache.fetch_plan import UpstreamQuery
from building_vitals.cache.fetcher import FetchOutcome
from building_vitals.cache.site_sink import SiteSink
from building_vitals.errors import Unavailable, UpstreamError
from building_vitals.ranges import Range
from building_vitals.series.folding import Folder
from fakes.history import PageSample
from fakes.kept_site import KeptSite
from fakes.virtual_time import EPOCH_MS

FETCH = UpstreamQuery(("a",), Range(0, 60_000))


def page(*seconds: int, points: str = "ab") -> list[PageSample]:
    """Return a page of some points with a sample at each second."""
    return [
        PageSample(point, "1", f"1970-01-01T00:00:{n:02}Z") for n in seconds for point in points
    ]


def sink(kept: KeptSite) -> SiteSink:
    """Return the sink of a fetch of one point."""
    return SiteSink(Folder(FETCH.points, FETCH.time_range), "site", FETCH, kept)


async def test_everything_on_the_pages_is_stored_as_it_becomes_complete() -> None:
    """Points that nobody asked for, too; each part begins where the one before ended."""
    kept, outcome = KeptSite(), FetchOutcome(EPOCH_MS)
    site = sink(kept)
    site.add_page(page(1, 2))
    await site.store(outcome)
    assert [] == kept.kept
    site.advance(None, 2_000)
    await site.store(outcome)
    site.add_page(page(30, points="ac"))
    site.advance(None, 99_000)
    await site.store(outcome, is_last=True)
    assert [
        (Range(0, 2_000), {"a": 1, "b": 1}),
        (Range(2_000, 60_000), {"a": 2, "b": 1, "c": 1}),
    ] == kept.kept
    assert (3, [FETCH.time_range]) == (outcome.samples, outcome.fetched)
    assert ["a", "a"] == [each.point for each in outcome.segments]


async def test_after_something_was_not_stored_nothing_is() -> None:
    """What comes later would leave a hole that passes for known."""
    kept, outcome = KeptSite(taken=1, refused=1), FetchOutcome(EPOCH_MS)
    site = sink(kept)
    site.add_page(page(1))
    site.advance(None, 10_000)
    await site.store(outcome)
    site.advance(None, 20_000)
    with pytest.raises(Unavailable):
        await site.store(outcome)
    site.advance(None, 30_000)
    await site.store(outcome)
    await site.store(outcome, is_last=True)
    assert (1, [Range(0, 10_000)]) == (len(kept.kept), outcome.fetched)


def test_what_cannot_be_read_is_counted_of_points_asked_for() -> None:
    """Others are nobody's concern."""
    folder = Folder(FETCH.points, FETCH.time_range)
    site = SiteSink(folder, "site", FETCH, KeptSite())
    site.add_page([PageSample(point, "1", "soon") for point in "abb"])
    assert 1 == folder.unreadable


async def test_a_sample_of_a_time_that_has_passed_is_a_fault() -> None:
    """Of any point: what was stored of all of them would be wrong."""
    site = sink(KeptSite())
    site.add_page(page(1))
    site.advance(None, 10_000)
    await site.store(FetchOutcome(EPOCH_MS))
    with pytest.raises(UpstreamError, match="time it had passed"):
        site.add_page(page(2, points="b"))


async def test_what_is_held_in_frames_is_stored_together() -> None:
    """As one series of each point, known over the whole block, wherever its samples lie in it."""
    kept, outcome = KeptSite(), FetchOutcome(EPOCH_MS)
    site = sink(kept)
    for at, points in ((1, "ab"), (2, "ac"), (3, "a")):
        site.add_page(page(at, points=points))
        site.advance(None, at * 1000 + 1)
        site.hold()
    assert 5 == site.framed_samples
    await site.store(outcome, is_last=True)
    assert 0 == site.framed_samples
    [(known, counts)] = kept.kept
    assert (Range(0, 3_001), {"a": 3, "b": 1, "c": 1}) == (known, counts)
    [series] = [each for each in kept.series if each.point == "a"]
    assert [1_000, 2_000, 3_000] == [frame.first_ms for frame in series.series.frames]
    assert {known} == {each.known for each in kept.series}
