"""Tests of `/api/me` from request to reply."""

from __future__ import annotations

from building_vitals.access.caller import Caller
from fakes.api_calls import called, document_of, headers_of
from fakes.job_world import JobWorld
from fakes.virtual_time import in_virtual_time


@in_virtual_time
async def test_a_key_sees_its_rights() -> None:
    """Its identity, role and sites, and what it may ask for; nobody keeps the answer."""
    async with JobWorld() as world:
        reader = Caller(key_id="k1", is_admin=False, sites=frozenset({"lab", "hq"}))
        reply = await called(world, "GET /api/me", caller=reader)
        document = await document_of(reply)
        assert "no-store" == headers_of(reply)["Cache-Control"]
        assert ["keyId", "role", "sites", "limits", "authMode"] == list(document)
        assert ("k1", "reader", ["hq", "lab"]) == (
            *(document["keyId"], document["role"], document["sites"]),
        )
        limits = document["limits"]
        assert (5000, 7305, 1_048_576, 60) == (
            *(limits["points"], limits["days"], limits["bodyBytes"], limits["wait"]),
        )
        assert (30_000_000, 3_000_000) == (limits["fetchedAtOnce"], limits["fetchedPerMinute"])


@in_virtual_time
async def test_without_keys_everybody_is_an_administrator() -> None:
    """All sites, and no limit of what is fetched."""
    async with JobWorld() as world:
        document = await document_of(await called(world, "GET /api/me"))
        assert ("open", "admin", "*", "open") == (
            *(document["keyId"], document["role"], document["sites"], document["authMode"]),
        )
        assert document["limits"]["fetchedAtOnce"] is None
        assert 401 == (await called(world, "GET /api/me", caller=None)).status
