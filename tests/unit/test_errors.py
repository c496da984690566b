"""What a failure may tell strangers."""

from __future__ import annotations

from building_vitals.errors import (
    InvalidRequest,
    NotFound,
    Problem,
    Unavailable,
    UpstreamError,
    public_detail,
)


def test_strangers_hear_which_part_is_down_and_not_why() -> None:
    """A part's own words, with names of tables and columns, stay behind the colon."""
    assert "D1 refused" == public_detail(Unavailable("D1 refused: no such table: api_keys"))
    assert "the binding DB is missing" == public_detail(Unavailable("the binding DB is missing"))


def test_all_else_is_told_as_it_is() -> None:
    """What concerns the request is the caller's to know."""
    assert "no such job: x" == public_detail(NotFound("no such job: x"))
    assert "upstream: 503" == public_detail(UpstreamError("upstream: 503"))
    problems = [Problem("a", "is missing"), Problem("b", "is 5")]
    assert "a: is missing; b: is 5" == public_detail(InvalidRequest(problems))
