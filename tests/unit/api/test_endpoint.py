"""Tests of what follows from a row of the route table."""

from __future__ import annotations

import pytest

from building_vitals.api import parameters as p
from building_vitals.api.endpoint import Answer, Endpoint, Role
from building_vitals.api.messages import Call, Reply


async def handler(call: Call) -> Reply:
    """Answer nothing."""
    return Reply(status=204, headers=[])


def endpoint(route: str, *, role: Role = "reader", **more: tuple[p.Parameter, ...]) -> Endpoint:
    """Return a row."""
    return Endpoint(
        route,
        handler,
        role=role,
        operation_id="x",
        tag="jobs",
        summary="X",
        answers={200: Answer("X."), 503: Answer("Y.")},
        failures=(404,),
        **more,
    )


def test_method_path_and_label_follow_from_the_route() -> None:
    """The statistics see `*` where the path is open."""
    row = endpoint("DELETE /api/a/{id}/b/{other}")
    assert ("DELETE", "/api/a/{id}/b/{other}", "DELETE /api/a/*/b/*", ["id", "other"]) == (
        *(row.method, row.path, row.label, row.path_parameters),
    )


@pytest.mark.parametrize(
    ("path", "captured"),
    [
        ("/a.b/1/c", ("1",)),
        ("/a.b/%2F/c", ("%2F",)),
        ("/aXb/1/c", None),
        ("/a.b/1/2/c", None),
        ("/a.b//c", None),
        ("/a.b/1/c\n", None),
    ],
)
def test_an_open_part_is_one_segment(path: str, captured: tuple[str, ...] | None) -> None:
    """It is never empty and never spans a slash; the rest of the template is plain text."""
    match = endpoint("GET /a.b/{id}/c").path_pattern.fullmatch(path)
    assert captured == (None if match is None else match.groups())


@pytest.mark.parametrize(
    ("role", "failing"),
    [("reader", [400, 401, 403, 404, 429, 500]), ("anybody", [400, 403, 404, 500])],
)
def test_failures_depend_on_the_role(role: Role, failing: list[int]) -> None:
    """Only keys can be refused; a status that is an answer is no failure."""
    assert failing == endpoint("GET /a", role=role).failing


def test_a_body_goes_before_a_query() -> None:
    """A handler reads its parameters from one place."""
    assert (p.SITE,) == endpoint("GET /a", query=(p.SITE,)).parameters
    assert (p.LIMIT,) == endpoint("POST /a", body=(p.LIMIT,)).parameters
