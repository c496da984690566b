"""Tests of who may call from a browser."""

from __future__ import annotations

import pytest

from building_vitals.api.cors import SECURITY_HEADERS, cors_headers, parse_policy

ORIGIN = "https://dash.example"


@pytest.mark.parametrize("preflight", [True, False])
@pytest.mark.parametrize("origin", [None, ORIGIN, "null"])
def test_nobody_else_may_call_by_default(origin: str | None, preflight: bool) -> None:
    """With an empty var no CORS header is sent at all."""
    assert [] == cors_headers(parse_policy(" , "), origin, preflight=preflight)


@pytest.mark.parametrize(
    "text",
    [ORIGIN, f" {ORIGIN}/ ", f"http://other.example:8080, {ORIGIN}", "HTTPS://Dash.Example"],
)
def test_listed_origin_may_call(text: str) -> None:
    """A listed origin is named, and what it may read is said."""
    headers = dict(cors_headers(parse_policy(text), ORIGIN, preflight=False))
    assert ORIGIN == headers["Access-Control-Allow-Origin"]
    assert "Origin" == headers["Vary"]
    assert {"ETag", "Location", "Retry-After", "Server-Timing", "X-Cache-Status"} <= set(
        headers["Access-Control-Expose-Headers"].split(", ")
    )


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://dash.example",
        "https://dash.example.evil.example",
        "https://evil-dash.example",
        "https://dash.example:8443",
        "https://dash.example\r\nX-Evil: 1",
    ],
)
@pytest.mark.parametrize("preflight", [True, False])
def test_other_origins_may_not(origin: str | None, preflight: bool) -> None:
    """An origin that is not listed gets no permission; caches are told that it depends."""
    assert [("Vary", "Origin")] == cors_headers(parse_policy(ORIGIN), origin, preflight=preflight)


def test_preflight_names_methods_and_headers() -> None:
    """A preflight allows every method and header of the API, for a while."""
    headers = dict(cors_headers(parse_policy(ORIGIN), ORIGIN, preflight=True))
    assert "GET, HEAD, POST, PUT, DELETE, OPTIONS" == headers["Access-Control-Allow-Methods"]
    assert (
        "Authorization, X-API-Key, Content-Type, If-None-Match, Accept, Prefer"
        == headers["Access-Control-Allow-Headers"]
    )
    assert int(headers["Access-Control-Max-Age"]) > 0


@pytest.mark.parametrize("origin", [None, "null", ORIGIN])
def test_star_lets_everybody_call_without_credentials(origin: str | None) -> None:
    """`*` is answered as such, and never with credentials."""
    headers = dict(cors_headers(parse_policy(f"{ORIGIN},*"), origin, preflight=False))
    assert "*" == headers["Access-Control-Allow-Origin"]
    assert "Vary" not in headers
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize(
    "entry", ["dash.example", "https://dash.example/path", "https://*.example", "https:", "null"]
)
def test_entries_that_are_no_origins_let_nobody_in(entry: str) -> None:
    """A mistake in the var opens nothing."""
    policy = parse_policy(f"{entry},{ORIGIN}")
    assert frozenset([ORIGIN]) == policy.origins
    assert [("Vary", "Origin")] == cors_headers(policy, entry, preflight=False)


def test_security_headers_are_there() -> None:
    """Answers are not sniffed, framed, referred from or run."""
    headers = dict(SECURITY_HEADERS)
    assert "nosniff" == headers["X-Content-Type-Options"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert len(headers) == len(SECURITY_HEADERS)
