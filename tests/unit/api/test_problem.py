"""Tests of failures as problem documents."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from building_vitals import errors
from building_vitals.api.problem import TITLES, problem_document, problem_headers
from building_vitals.errors import (
    AppError,
    CorruptSegment,
    Gone,
    InvalidRequest,
    MethodNotAllowed,
    Problem,
    RateLimited,
    Unauthorized,
    Unavailable,
    UpstreamError,
    UpstreamSiteUnknown,
    UpstreamTimeout,
)


def document_of(error: Exception) -> dict[str, Any]:
    """Return the problem document as JSON has it."""
    document: dict[str, Any] = msgspec.to_builtins(problem_document(error, "r1"))
    return document


def test_document_has_every_field_of_the_contract() -> None:
    """Type, title, status, detail, request id, and detail again for older clients."""
    assert document_of(Gone("result has expired")) == {
        "type": "urn:building-vitals:problem:gone",
        "title": "Expired",
        "status": 410,
        "detail": "result has expired",
        "requestId": "r1",
        "error": "result has expired",
    }


def test_invalid_request_lists_its_problems() -> None:
    """A 400 tells every problem, field by field."""
    error = InvalidRequest([Problem("site", "missing"), Problem("points", "missing")])
    document = document_of(error)
    assert 400 == document["status"]
    assert "site: missing; points: missing" == document["detail"]
    assert document["errors"] == [
        {"field": "site", "message": "missing"},
        {"field": "points", "message": "missing"},
    ]


@pytest.mark.parametrize(
    ("error", "status", "upstream_status"),
    [
        (UpstreamError("x", upstream_status=500), 502, 500),
        (UpstreamSiteUnknown("x", upstream_status=404), 404, 404),
        (UpstreamTimeout("x"), 504, None),
    ],
)
def test_upstream_status_is_told_where_known(
    error: UpstreamError, status: int, upstream_status: int | None
) -> None:
    """A failure of the upstream says what it answered, if it did."""
    document = document_of(error)
    assert status == document["status"]
    assert upstream_status == document.get("upstreamStatus")
    assert (upstream_status is None) == ("upstreamStatus" not in document)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret"),
        KeyError("secret"),
        RecursionError("secret"),
        AppError("secret"),
        CorruptSegment("segment secret is corrupt"),
    ],
)
def test_unexpected_failures_tell_nothing(error: Exception) -> None:
    """Whatever went wrong inside stays inside."""
    document = document_of(error)
    assert 500 == document["status"]
    assert "secret" not in str(document)
    assert [] == problem_headers(error)


def test_broken_text_can_be_written() -> None:
    """Half of a surrogate pair in a message does not break the answer."""
    error = InvalidRequest([Problem("\ud800", "not \udfff")])
    assert b"not ?" in msgspec.json.encode(problem_document(error, "r1"))


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (Gone("x"), []),
        (RateLimited("x", retry_after_s=7), [("Retry-After", "7")]),
        (RateLimited("x", retry_after_s=0), [("Retry-After", "1")]),
        (RateLimited("x"), [("Retry-After", "10")]),
        (UpstreamError("x", retry_after_s=30), [("Retry-After", "30")]),
        (MethodNotAllowed("x", ("GET", "HEAD")), [("Allow", "GET, HEAD")]),
        (Unauthorized("x"), [("WWW-Authenticate", "Bearer")]),
        (ValueError("x"), []),
    ],
)
def test_headers_say_what_to_do(error: Exception, headers: list[tuple[str, str]]) -> None:
    """When to come back, what is allowed, how to give a key."""
    assert headers == problem_headers(error)


def test_every_error_has_a_title() -> None:
    """No class of the tree is answered with its bare code."""
    classes = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, AppError) and each is not CorruptSegment
    ]
    assert len(classes) > 10
    assert {each.code for each in classes} == set(TITLES)


def test_what_a_part_said_itself_is_not_told() -> None:
    """Of a part that is down strangers hear which one it is, not the names of its tables."""
    document = document_of(Unavailable("D1 refused: no such column: key_hash"))
    assert "D1 refused" == document["detail"] == document["error"]
    document = document_of(Unavailable("the binding DB is missing"))
    assert "the binding DB is missing" == document["detail"]
