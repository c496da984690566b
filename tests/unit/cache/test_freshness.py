"""How long what was fetched counts as known."""

from __future__ import annotations

import pytest

from builders import FRESHNESS


@pytest.mark.parametrize(
    ("end_ms", "fetched_ms", "lives_ms"),
    [
        pytest.param(10_000, 12_000, 24_000, id="just settled"),
        pytest.param(10_001, 12_000, 1_000, id="a millisecond too young"),
        pytest.param(12_000, 12_000, 1_000, id="up to the fetch"),
        pytest.param(0, 12_000, 24_000, id="old"),
    ],
)
def test_expiry(end_ms: int, fetched_ms: int, lives_ms: int) -> None:
    """What was old when it was fetched is kept long, what was young is kept shortly."""
    assert (lives_ms == 24_000) == FRESHNESS.is_settled(end_ms, fetched_ms)
    assert fetched_ms + lives_ms == FRESHNESS.expires_ms(end_ms, fetched_ms)
