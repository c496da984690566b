"""Requests beyond the limits: a clear refusal that names all that is wrong, and nothing costly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakes.api_calls import called, document_of
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time

DAY_MS = 86_400_000
WORDS = "+".join(f"word{n}" for n in range(10_000))
SAMPLES = f"site=hq&start_time={EPOCH_MS - DAY_MS}&end_time={EPOCH_MS}"
BODY = {"site": "hq", "start_time": EPOCH_MS - DAY_MS, "end_time": EPOCH_MS}
MANY = ",".join(f"p{n}" for n in range(5_001))
LISTS = ("/api/jobs", "/api/cache/objects", "/api/queue/dlq/failures")
BEYOND: list[tuple[str, str, set[str]]] = [
    *((f"GET {path}", f"limit={n}", {"limit"}) for path in LISTS for n in (0, 1_001, 10**30)),
    ("GET /api/jobs", f"limit=1e3&cursor={'x' * 3_000}&status=x", {"limit", "cursor", "status"}),
    ("GET /api/cache/objects", f"prefix={'x' * 1_025}&limit=-1", {"prefix", "limit"}),
    ("GET /api/sites/hq/points", "per_page=100000", {"per_page"}),
    ("GET /api/sites/hq/points", f"search={WORDS}", {"search"}),
    (
        "GET /api/sites/hq/points",
        f"per_page=0&page=100001&search={'x' * 513}",
        {"per_page", "page", "search"},
    ),
    ("GET /api/jobs/job_1/data", "max_points=100001", {"max_points"}),
    ("GET /api/jobs/job_1/data", "format=xml&max_points=1", {"format", "max_points"}),
    ("GET /api/timeseries", f"{SAMPLES}&points={MANY}", {"points"}),
    (
        "GET /api/timeseries",
        f"{SAMPLES}&points={MANY}&max_points=999999&timeout=99999&route=queued",
        {"points", "max_points", "timeout"},
    ),
    ("DELETE /api/cache", f"site=hq&points={MANY}", {"points"}),
]


async def refused(world: JobWorld, status: int, route: str, query: str = "", **more: Any) -> Any:
    """Return the problem document of a request that has cost nothing."""
    reply = await called(world, route, query, **more)
    document = await document_of(reply)
    assert status == reply.status, document
    for port in (world.database, world.objects):
        assert {} == port.failures.calls
    assert ([], []) == (world.upstream.asked, world.crashes)
    return document


@pytest.mark.parametrize(("route", "query", "fields"), BEYOND, ids=range(len(BEYOND)))
@in_virtual_time
async def test_a_query_beyond_the_limits(route: str, query: str, fields: set[str]) -> None:
    """400, each parameter named with what it may be, at no cost."""
    async with JobWorld() as world:
        document = await refused(world, 400, route, query)
        errors = document["errors"]
        assert sorted(fields) == sorted({each["field"] for each in errors})
        assert all("allowed" in each["message"] for each in errors)
        # A refusal is no place for what was sent: it stays short.
        assert len(json.dumps(document)) < 2_000


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        pytest.param({"points": [f"p{n}" for n in range(90_000)]}, 400, {"points"}, id="in 1 MiB"),
        pytest.param({"points": [str(n) for n in range(10**6)]}, 413, set(), id="a million"),
        pytest.param({"points": ["a" * 2**20]}, 413, set(), id="one of a megabyte"),
        pytest.param(
            {"points": ["a" * 513] * 1_000, "max_points": 10**9, "start_time": EPOCH_MS * 10},
            400,
            {"points", "max_points", "end_time"},
            id="all of it wrong",
        ),
        pytest.param({"points": [[]] * 100_000}, 400, {"body"}, id="no names"),
    ],
)
@in_virtual_time
async def test_a_body_beyond_the_limits(
    body: dict[str, Any], status: int, fields: set[str]
) -> None:
    """400 or 413, at no cost, whatever the number of points."""
    async with JobWorld() as world:
        sent = json.dumps(BODY | body, separators=(",", ":")).encode()
        route = "POST /api/timeseries"
        document = await refused(world, status, route, body=sent, content_type="application/json")
        named = {each["field"].split("[")[0] for each in document.get("errors", [])}
        assert fields == named
        assert len(json.dumps(document)) < 200_000
