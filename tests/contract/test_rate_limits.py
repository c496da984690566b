"""The RateLimiter on the real binding, and without one."""

from __future__ import annotations

from contract.remote import Remote


async def test_each_key_has_its_limit(remote: Remote, prefix: str) -> None:
    """Past its limit a key is refused, while another is let through."""
    # A period may end in between, so twice the limit are sent.
    taken = [await remote.call("limit.take", binding="LIMIT", key=prefix) for _ in range(7)]
    assert [True] * 3 == taken[:3]
    assert False in taken
    assert await remote.call("limit.take", binding="LIMIT", key=f"{prefix}other")


async def test_missing_binding_limits_nobody(remote: Remote, prefix: str) -> None:
    """Without the binding everybody is let through."""
    assert [True] * 7 == [
        await remote.call("limit.take", binding="MISSING", key=prefix) for _ in range(7)
    ]
