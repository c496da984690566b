"""Paths and their endpoints; tests of the table itself are those of `routes`."""

from __future__ import annotations

import pytest

from building_vitals.api.router import Router
from building_vitals.api.routes import ENDPOINTS

FOLLOW = "/api/sites/{site}/follow"


@pytest.mark.parametrize(
    ("path", "captured"),
    [
        ("/api/sites/hq/follow", ("hq",)),
        ("/api/sites/h%2Fq/follow", ("h%2Fq",)),
        ("/api/sites//follow", None),
        ("/api/sites/h/q/follow", None),
        ("/api/sites/hq/follow/", None),
    ],
)
def test_an_open_part_of_a_path_is_one_segment(path: str, captured: tuple[str, ...] | None) -> None:
    """Undecoded, and never empty; all methods of the path are its resource."""
    found = Router(each for each in ENDPOINTS if each.path == FOLLOW).find(path)
    assert captured == (None if found is None else found[1])
    if found is not None:
        assert {"PUT", "GET", "DELETE"} == set(found[0].endpoints)
        assert "PUT, GET, DELETE, HEAD, OPTIONS" == found[0].allow
