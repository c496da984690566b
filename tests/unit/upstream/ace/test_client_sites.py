"""Tests of what the client remembers of sites."""

from __future__ import annotations

import pytest

from building_vitals.errors import UpstreamError
from building_vitals.ports import HttpAnswer
from building_vitals.upstream.ace import client as client_module
from fakes.ace import FOUND, Bench
from fakes.http import SentRequest, answer

MISSING = answer(404, {})


def without_points(sent: SentRequest) -> HttpAnswer:
    """Answer that there is such a site, and no list of its points."""
    return answer(404, {}) if sent.path.endswith("/configured_points") else FOUND


def site_questions(bench: Bench) -> int:
    """Return how often the upstream was asked for a site."""
    return sum(not sent.path.endswith("/configured_points") for sent in bench.http.requests)


async def test_known_site_is_believed_for_some_minutes() -> None:
    """The upstream is asked again only once the memory is old."""
    bench = Bench(otherwise=without_points)
    await bench.client.list_points("hq")
    bench.clock.advance(client_module.SITE_KNOWN_MS - 1)
    await bench.client.list_points("hq")

    assert 1 == site_questions(bench)
    bench.clock.advance(1)
    await bench.client.list_points("hq")
    assert 2 == site_questions(bench)


async def test_fault_is_not_remembered_as_an_answer() -> None:
    """A site that could not be asked about is asked about again."""
    bench = Bench(answer(404, {}), answer(401, b""), answer(404, {}), FOUND)
    with pytest.raises(UpstreamError, match="401"):
        await bench.client.list_points("hq")
    assert [] == await bench.client.list_points("hq")


async def test_memory_of_sites_is_bounded() -> None:
    """Asking about ever new sites does not grow the memory."""
    bench = Bench(otherwise=without_points)
    for number in range(3 * client_module.SITES_REMEMBERED_MAX):
        await bench.client.list_points(f"site-{number}")

    assert len(bench.client._sites) <= client_module.SITES_REMEMBERED_MAX
