"""The arithmetic of the quota."""

from __future__ import annotations

import pytest

from building_vitals.upstream.quota import grant_size


@pytest.mark.parametrize(("limit", "size"), [(1, 1), (10, 1), (60, 3), (200, 10), (9999, 10)])
def test_grants_are_small(limit: int, size: int) -> None:
    """A grant is a twentieth of a minute's requests, from one to ten."""
    assert size == grant_size(limit)
