"""What asks the upstream: under which limits, by what the invocation is for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from building_vitals.isolate import Isolate
from building_vitals.upstream_services import UpstreamServices
from fakes.http import ScriptedHttp, answer
from fakes.virtual_time import in_virtual_time
from fakes.world import World

SITES = answer(200, {"items": [{"name": "hq"}], "page": 1, "pages": 1})


def make_app(world: World, *, is_queued: bool = False, **settings: Any) -> UpstreamServices:
    """Return the services over a world's stand-ins, with an upstream that lists one site."""
    platform = msgspec.structs.replace(world.app.platform, http=ScriptedHttp(otherwise=SITES))
    changed = msgspec.structs.replace(world.settings, **settings)
    return UpstreamServices(platform, Isolate(), changed, is_queued=is_queued)


@in_virtual_time
async def test_without_a_limit_nobody_counts_requests_upstream() -> None:
    """A limit of 0 is none: the database hears of no request."""
    async with World() as world:
        await make_app(world, upstream_requests_per_minute=0).upstream.list_sites()
        assert {} == world.database.failures.calls
        await make_app(world, upstream_requests_per_minute=100).upstream.list_sites()
        assert [{"used": 5}] == world.database.look("SELECT used FROM upstream_quota")


@pytest.mark.parametrize(
    ("is_queued", "left"),
    [pytest.param(False, (4, 0), id="requests"), pytest.param(True, (0, 4), id="jobs")],
)
@in_virtual_time
async def test_jobs_have_a_grant_of_their_own(is_queued: bool, left: tuple[int, int]) -> None:
    """What a consumer was granted is not spent by charts, nor the reverse."""
    async with World() as world:
        app = make_app(world, is_queued=is_queued, upstream_requests_per_minute=100)
        await app.upstream.list_sites()
        assert left == (app.isolate.grant.left, app.isolate.queued_grant.left)
