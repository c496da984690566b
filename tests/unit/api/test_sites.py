"""Tests of `/api/sites` from request to reply."""

from __future__ import annotations

from typing import Any

from building_vitals.access.caller import Caller
from fakes.api_calls import called, document_of, headers_of
from fakes.job_world import JobWorld
from fakes.virtual_time import in_virtual_time


class Listings:
    """An upstream that has two sites with three points each."""

    async def list_sites(self, *, deadline_ms: int | None = None) -> list[dict[str, Any]]:
        """List the sites."""
        return [{"name": "hq", "city": "Graz"}, {"name": "lab"}]

    async def list_points(
        self, site: str, *, deadline_ms: int | None = None
    ) -> list[dict[str, Any]]:
        """List the points."""
        return [{"name": f"{site}/{name}"} for name in ("Temp", "temp2", "flow")]


READER = Caller(key_id="r", is_admin=False, sites=frozenset({"hq"}))


@in_virtual_time
async def test_a_key_sees_its_own_sites() -> None:
    """The list is the key's own, so no shared cache may keep it."""
    async with JobWorld() as world:
        vars(world.app)["upstream"] = Listings()
        reply = await called(world, "GET /api/sites", caller=READER)
        page = await document_of(reply)
        assert (1, [{"name": "hq", "city": "Graz"}]) == (page["total"], page["items"])
        assert "private, no-cache" == headers_of(reply)["Cache-Control"]


@in_virtual_time
async def test_points_are_searched_and_paged() -> None:
    """The parameters of the row reach the list, and the log line names the site."""
    async with JobWorld() as world:
        vars(world.app)["upstream"] = Listings()
        query = "search=TEMP&page=2&per_page=1"
        reply = await called(world, "GET /api/sites/hq/points", query, caller=READER)
        assert {
            "page": 2,
            "pages": 2,
            "per_page": 1,
            "total": 2,
            "items": [{"name": "hq/temp2"}],
        } == await document_of(reply)
        assert "hq" == world.lines[-1]["site"]


@in_virtual_time
async def test_other_sites_are_refused() -> None:
    """A site that the key may not read is refused, a name that is none is a problem."""
    async with JobWorld() as world:
        vars(world.app)["upstream"] = Listings()
        for path, status in (("lab", 403), ("..", 400), ("hq", 200)):
            reply = await called(world, f"GET /api/sites/{path}/points", caller=READER)
            assert status == reply.status
