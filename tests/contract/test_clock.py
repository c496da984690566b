"""The Clock of the real runtime."""

from __future__ import annotations

import uuid

from contract.remote import Remote
from fakes.upstream import FakeUpstream


async def test_after_a_turn_a_request_is_out(remote: Remote) -> None:
    """What was started before a long computation has arrived before it ends."""
    site = f"turn-{uuid.uuid4().hex}"
    with FakeUpstream() as upstream:
        ended_ms = await remote.call("clock.turn", url=f"{upstream.url}/sites/{site}")
        [request] = upstream.log(site)

    assert request.time_ms < ended_ms
