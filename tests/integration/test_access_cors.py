"""Which other origins' pages may call, and what every answer says to browsers."""

from __future__ import annotations

import pytest

from building_vitals.api.cors import EXPOSED_HEADERS, SECURITY_HEADERS
from integration.harness.client import Client
from integration.harness.keyed_worker import ORIGIN, KeyedWorker

EVIL = "https://dashboard.example.evil.example"
PATHS = ("/api/timeseries", "/api/jobs/x", "/api/cache", "/api/health", "/openapi.json")


@pytest.mark.parametrize("path", PATHS)
def test_preflight_of_an_allowed_origin(keyed: KeyedWorker, path: str) -> None:
    """A page of an allowed origin may send the key, the methods and the headers it needs."""
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "authorization, content-type, x-api-key, if-none-match",
    }
    answer = keyed.client(None).request("OPTIONS", path, headers=asked)
    assert (204, b"") == (answer.status, answer.wire)
    assert ORIGIN == answer.headers["Access-Control-Allow-Origin"]
    methods = set(answer.headers["Access-Control-Allow-Methods"].split(", "))
    assert {"GET", "HEAD", "POST", "DELETE"} <= methods
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "content-type", "x-api-key", "if-none-match"} <= set(allowed)
    assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", [EVIL, "null", "http://dashboard.example", "", "*"])
def test_other_origins_are_told_nothing(keyed: KeyedWorker, origin: str) -> None:
    """An origin that is not listed gets no CORS header, and caches keep its answer apart."""
    for method in ("OPTIONS", "GET"):
        answer = keyed.client("reader").request(
            method, "/api/timeseries", keyed.question(), headers={"Origin": origin}
        )
        assert answer.status in {200, 204}
        assert [] == [name for name in answer.headers if name.startswith("Access-Control")]
        assert "Origin" in answer.headers["Vary"]


def test_answers_and_failures_can_be_read_by_pages(keyed: KeyedWorker) -> None:
    """Answers of every status show an allowed origin's page the headers it may need."""
    question = keyed.question()
    answers = {
        200: keyed.client("reader").get("/api/timeseries", question, headers={"Origin": ORIGIN}),
        400: keyed.client("reader").get("/api/timeseries", headers={"Origin": ORIGIN}),
        401: keyed.client(None).get("/api/timeseries", headers={"Origin": ORIGIN}),
        403: keyed.client("stranger").get("/api/timeseries", question, headers={"Origin": ORIGIN}),
        404: keyed.client("reader").get("/api/none", headers={"Origin": ORIGIN}),
        405: keyed.client("reader").request("PUT", "/api/jobs", headers={"Origin": ORIGIN}),
    }
    for status, answer in answers.items():
        assert status == answer.status
        assert ORIGIN == answer.headers["Access-Control-Allow-Origin"], status
        assert EXPOSED_HEADERS == answer.headers["Access-Control-Expose-Headers"]
        assert "Origin" in answer.headers["Vary"]
    assert {"Accept", "Accept-Encoding", "Origin"} <= set(
        ", ".join(answers[200].headers.get_all("Vary", [])).split(", ")
    )


def test_every_answer_is_careful(keyed: KeyedWorker, client: Client) -> None:
    """No answer may be guessed at, framed or run, whatever its status."""
    answers = [
        keyed.ask("reader"),
        keyed.client(None).get("/api/timeseries"),
        keyed.client("reader").get("/api/none"),
        keyed.client(None).request("OPTIONS", "/api/timeseries"),
        keyed.client(None).get("/api/health"),
        client.get("/openapi.json"),
    ]
    for answer in answers:
        for name, value in SECURITY_HEADERS:
            assert value == answer.headers[name]
        assert "Server" not in answer.headers or "Python" not in answer.headers["Server"]


def test_without_a_list_no_origin_is_let_in(client: Client) -> None:
    """Where none is configured, only the Worker's own pages may call."""
    answer = client.get("/api/health", headers={"Origin": ORIGIN})
    assert [] == [name for name in answer.headers if name.startswith("Access-Control")]
