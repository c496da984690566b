"""Tests of the route table: each path finds its endpoint, and each row is whole."""

from __future__ import annotations

import re

import pytest

from building_vitals.api import parameters as p
from building_vitals.api.cors import ALLOWED_METHODS
from building_vitals.api.endpoint import Endpoint
from building_vitals.api.router import Router
from building_vitals.api.routes import ENDPOINTS, ROUTER

IDS = [each.route for each in ENDPOINTS]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=IDS)
def test_every_endpoint_is_found(endpoint: Endpoint) -> None:
    """A path of the template leads to the row, with its open parts undecoded."""
    parts = [f"a%2F{n}.b" for n in range(len(endpoint.path_parameters))]
    path = endpoint.path
    for name, part in zip(endpoint.path_parameters, parts, strict=True):
        path = path.replace(f"{{{name}}}", part)
    found = ROUTER.find(path)
    assert found is not None
    resource, captured = found
    assert endpoint is resource.endpoints[endpoint.method]
    assert tuple(parts) == captured


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/api", "/api/", "/api/timeseries/", "/api/timeseries\n", "/API/timeseries"),
        *("/api/jobs/", "/api/jobs//data", "/api/jobs/a/b/data", "/api/jobs/a/data/"),
        *("/openapiXjson", "/api/jobs/{id}", "/api/sites/{site}/points/x", "x/api/health"),
    ],
)
def test_other_paths_lead_nowhere(path: str) -> None:
    """Neither a part nor a neighbour of a path is the path; a template's text is no template."""
    found = ROUTER.find(path)
    assert found is None or ("{id}",) == found[1]


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/api/timeseries", "GET, POST, HEAD, OPTIONS"),
        ("/api/jobs/x", "GET, DELETE, HEAD, OPTIONS"),
        ("/api/cache", "DELETE, OPTIONS"),
        ("/api/health", "GET, HEAD, OPTIONS"),
    ],
)
def test_allow_lists_the_methods_of_a_path(path: str, allow: str) -> None:
    """GET brings HEAD with it, and every path answers OPTIONS."""
    found = ROUTER.find(path)
    assert found is not None
    assert allow == found[0].allow


def test_browsers_may_use_every_method() -> None:
    """A preflight allows all that the table has."""
    assert {each.method for each in ENDPOINTS} <= set(ALLOWED_METHODS.split(", "))


def test_no_two_rows_are_the_same() -> None:
    """A method of a path stands in one row, and an operation has a name of its own."""
    assert len(ENDPOINTS) == len({each.route for each in ENDPOINTS})
    assert len(ENDPOINTS) == len({each.operation_id for each in ENDPOINTS})


def test_statistics_name_endpoints_without_their_open_parts() -> None:
    """A label never depends on the request."""
    assert {"GET /api/jobs/*/data", "POST /api/queue/dlq/failures/*/retry"} <= {
        each.label for each in ENDPOINTS
    }
    assert all(re.fullmatch(r"[A-Z]+ [a-z/.*]+", each.label) for each in ENDPOINTS)


def test_what_may_be_refused_is_described() -> None:
    """Every endpoint can answer 400: at least to a parameter that it does not have."""
    for each in ENDPOINTS:
        assert 400 in each.failing, each.label


def test_only_administrators_see_the_work_of_others() -> None:
    """The rows that need no administrator are these."""
    readers = {each.path for each in ENDPOINTS if each.role in ("reader", "owner")}
    assert all(
        path.startswith(("/api/timeseries", "/api/jobs", "/api/sites", "/api/me"))
        for path in readers
    )
    assert {"/api/health", "/openapi.json"} == {
        each.path for each in ENDPOINTS if each.role == "anybody"
    }


def test_a_router_is_made_of_any_rows() -> None:
    """Dispatch follows from the rows alone."""
    router = Router(each for each in ENDPOINTS if each.path == "/api/jobs/{id}")
    assert None is router.find("/api/timeseries")
    found = router.find("/api/jobs/7")
    assert found is not None
    assert {"GET", "DELETE"} == set(found[0].endpoints)


def test_a_body_has_the_parameters_of_the_query() -> None:
    """A POST can name all that a GET can, but for the second way to name points."""
    get, post = (each for each in ENDPOINTS if each.path == "/api/timeseries")
    assert set(get.parameters) - {p.POINT} == set(post.parameters)
