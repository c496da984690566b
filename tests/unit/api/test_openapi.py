"""Tests of the API's description: it is valid, whole, and agrees with validation and answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import schemathesis
from schemathesis.core.result import Ok

from building_vitals.api import parameters as p
from building_vitals.api.openapi import openapi_document
from building_vitals.api.parameters import Parameter
from building_vitals.api.problem import problem_document
from building_vitals.api.requests import parse_body
from building_vitals.api.routes import ENDPOINTS
from building_vitals.errors import InvalidRequest, Problem, RateLimited, UpstreamError
from building_vitals.names import SITE_PATTERN

DOCUMENT = openapi_document(ENDPOINTS, "1.2.3", timeout_ms_max=12_345)
(BODY,) = (each.body for each in ENDPOINTS if each.route == "POST /api/timeseries")
OPERATIONS = {
    ("get", "/openapi.json"): "open",
    ("get", "/api/health"): "open",
    ("get", "/api/timeseries"): "keyed",
    ("post", "/api/timeseries"): "keyed",
    ("get", "/api/jobs"): "keyed",
    ("get", "/api/jobs/{id}"): "keyed",
    ("delete", "/api/jobs/{id}"): "keyed",
    ("get", "/api/jobs/{id}/data"): "keyed",
    ("get", "/api/jobs/{id}/events"): "keyed",
    ("get", "/api/me"): "keyed",
    ("get", "/api/sites"): "keyed",
    ("get", "/api/sites/{site}/points"): "keyed",
    ("put", "/api/sites/{site}/follow"): "keyed",
    ("get", "/api/sites/{site}/follow"): "keyed",
    ("delete", "/api/sites/{site}/follow"): "keyed",
    ("get", "/api/stats"): "keyed",
    ("get", "/api/upstream"): "keyed",
    ("get", "/api/queue/dlq/stats"): "keyed",
    ("get", "/api/queue/dlq/failures"): "keyed",
    ("post", "/api/queue/dlq/failures/{jobId}/retry"): "keyed",
    ("get", "/api/cache/objects"): "keyed",
    ("delete", "/api/cache"): "keyed",
    ("post", "/api/maintenance/run"): "keyed",
}


def operation(method: str, path: str) -> dict[str, Any]:
    """Return an operation of the document."""
    return DOCUMENT["paths"][path][method]  # type: ignore[no-any-return]


def validator(name: str) -> Any:
    """Return a validator for a schema of the document."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": f"#/components/schemas/{name}",
        "components": DOCUMENT["components"],
    }
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def references(node: object) -> Iterator[str]:
    """Yield every reference in the document."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def test_every_path_of_the_contract_is_there() -> None:
    """The document has the contract's operations and no others."""
    found = {
        (method, path): "open" if described.get("security") == [] else "keyed"
        for path, item in DOCUMENT["paths"].items()
        for method, described in item.items()
    }
    assert OPERATIONS == found


def test_document_is_json_that_others_can_read() -> None:
    """It survives JSON, and a foreign reader understands each of its operations."""
    assert DOCUMENT == json.loads(json.dumps(DOCUMENT))
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    read = [each for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert len(OPERATIONS) == len(read)


def test_references_lead_somewhere_and_nothing_is_left_over() -> None:
    """Every reference is defined; every component is used."""
    time_range = set(references(DOCUMENT))
    defined = {
        f"#/components/{kind}/{name}"
        for kind in ("headers", "responses", "schemas")
        for name in DOCUMENT["components"][kind]
    }
    assert defined == time_range


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        (
            "get",
            "/api/timeseries",
            "200 202 304 400 401 403 404 413 429 500 502 503 504",
        ),
        ("post", "/api/timeseries", "200 202 400 401 403 404 408 413 429 500 502 503 504"),
        ("get", "/api/jobs/{id}/data", "200 304 400 401 403 404 409 410 413 429 500 502 503 504"),
        ("delete", "/api/jobs/{id}", "200 400 401 403 404 409 429 500 503"),
        ("get", "/api/health", "200 400 403 500 503"),
    ],
)
def test_statuses_are_those_of_the_contract(method: str, path: str, statuses: str) -> None:
    """Each operation names every status that it can answer with."""
    assert statuses.split() == sorted(operation(method, path)["responses"])


def test_operations_have_names_of_their_own() -> None:
    """Generated clients need one name for each."""
    names = [operation(*key)["operationId"] for key in OPERATIONS]
    assert len(names) == len(set(names))


def test_parameters_say_what_validation_checks() -> None:
    """Bounds, choices and patterns are those of the definitions, down to the configured one."""
    described = {each["name"]: each for each in operation("get", "/api/timeseries")["parameters"]}
    assert {"site", "start_time"} == {
        name for name, each in described.items() if each.get("required")
    }
    assert f"^{SITE_PATTERN}$" == described["site"]["schema"]["pattern"]
    assert 12_345 == described["timeout"]["schema"]["maximum"]
    body = DOCUMENT["components"]["schemas"]["TimeseriesRequest"]["properties"]
    assert 5000 == body["points"]["maxItems"]
    assert ["json", "csv", "ndjson", "msgpack"] == described["format"]["schema"]["enum"]
    assert (2, 100_000) == (
        described["max_points"]["schema"]["minimum"],
        described["max_points"]["schema"]["maximum"],
    )


SITE_TEXTS = ["a", "a.b", "", "..", "a b", "a\n", "x" * 128, "x" * 129]
POINT_TEXTS = ["a", "a, b", "", "a\n", "\x7f", "🔥" * 512, "x" * 513, "\u0085", " "]


@pytest.mark.parametrize(
    ("parameter", "text"),
    [(p.SITE, text) for text in SITE_TEXTS] + [(p.POINT, text) for text in POINT_TEXTS],
)
def test_schema_and_validation_agree(parameter: Parameter, text: str) -> None:
    """A text is valid for the description when it is for the validation."""
    document = {
        "site": "s",
        "points": ["p"],
        "start_time": 1_735_689_600_000,
        "end_time": 1_735_689_600_001,
    } | ({"site": text} if parameter is p.SITE else {"points": [text]})
    is_described = validator("TimeseriesRequest").is_valid(document)
    try:
        parse_body(
            json.dumps(document).encode(), None, BODY, timeout_ms_max=1, now_ms=1_790_812_800_000
        )
        is_taken = True
    except InvalidRequest:
        is_taken = False
    assert is_taken == is_described


def test_examples_are_valid_requests() -> None:
    """The body shown is one that works."""
    (example,) = DOCUMENT["components"]["schemas"]["TimeseriesRequest"]["examples"]
    assert validator("TimeseriesRequest").is_valid(example)
    assert ("Zone Air Temperature, Wall Sensor",) == (
        parse_body(
            json.dumps(example).encode(), None, BODY, timeout_ms_max=1, now_ms=1_790_812_800_000
        ).points
    )


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("InvalidRequestDocument", InvalidRequest([Problem("site", "missing")])),
        ("ProblemDocument", RateLimited("too many")),
        ("ProblemDocument", UpstreamError("down", upstream_status=503)),
        ("ProblemDocument", RuntimeError("x")),
    ],
)
def test_problem_documents_are_as_described(name: str, error: Exception) -> None:
    """What the Worker answers to a failure is what the document says."""
    validator(name).validate(msgspec.to_builtins(problem_document(error, "r1")))


def test_answer_of_the_contract_is_as_described() -> None:
    """An answer of the documented form is valid, one with a broken sample is not."""
    time = "2025-01-01T00:00:00.000Z"
    cache = {
        "status": "partial",
        "samplesFromCache": 1,
        "samplesFetched": 3,
        "upstreamRequests": 1,
        "fetched": [[1, 2]],
    }
    meta = {
        "requestId": "r",
        "site": "s",
        "startTime": time,
        "endTime": time,
        "routeType": "cached",
        "cacheHit": False,
        "cache": cache,
        "estimatedSamples": 100,
        "missingSamples": 75,
        "samplesCount": 4,
        "unreadableSamples": 0,
        "duration": 5,
        "timestamp": time,
    }
    samples = [[1, 72.5], [2, "occupied"], [3, None], [4, True], [5, 6, 7.5, None]]
    data = {"__proto__": {"samples": samples, "count": 4, "error": None}}
    answers = validator("TimeseriesAnswer")
    answers.validate({"data": data, "_meta": meta})
    for wrong in ([1], [1, 2, [3]], ["1", 2], [1, [2]], [1.5, 2], [1] * 11):
        broken = {"p": {"samples": [wrong], "count": 1, "error": None}}
        assert not answers.is_valid({"data": broken, "_meta": meta})
    assert not answers.is_valid({"data": data, "_meta": meta | {"startTime": "yesterday"}})


@pytest.mark.parametrize("path", ["/api/timeseries", "/api/jobs/{id}/data"])
def test_every_parameter_that_is_read_is_described(path: str) -> None:
    """Also those of a job's result, which has a choice of format and samples too."""
    names = {each["name"] for each in operation("get", path)["parameters"]}
    assert {"format", "max_points", "If-None-Match"} <= names


def test_the_configured_time_out_is_in_the_body_too() -> None:
    """The bound of the configuration holds for both methods."""
    members = DOCUMENT["components"]["schemas"]["TimeseriesRequest"]["properties"]
    assert 12_345 == members["timeout"]["maximum"]


def test_descriptions_are_for_readers_of_the_api() -> None:
    """A schema is described by one paragraph, without the fields' names in the code."""
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert "Attributes:" not in schema.get("description", ""), name
        assert "\n" not in schema.get("description", ""), name
