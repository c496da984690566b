"""What holds for every HttpClient, on plain sockets or on the runtime's `fetch`."""

from __future__ import annotations

import json
import uuid

import pytest

from contract.odd_server import OddServer, pattern
from contract.sender import Sender

MIB = 1024 * 1024
WAYS = ("length", "gzip", "end", "chunked")


def path(what: str) -> str:
    """Return a path that no other request has."""
    return f"/{what}/{uuid.uuid4().hex}"


async def test_a_request_goes_out_as_it_is(sender: Sender, server: OddServer) -> None:
    """Method, target, headers and body arrive; status, headers in lower case and body come back."""
    target = path("echo") + "?a=%2F%2C&b=1:2"
    sent = await sender.outcome(
        server.url + target,
        method="POST",
        headers={"authorization": "Bearer x", "content-type": "application/json"},
        body='{"é": "☃"}'.encode(),
    )

    assert sent.answer is not None
    heard = json.loads(sent.answer.body)
    assert (200, "yes") == (sent.answer.status, sent.answer.headers["x-odd"])
    assert ("POST", target, '{"é": "☃"}') == (heard["method"], heard["path"], heard["body"])
    assert ("Bearer x", "application/json") == (heard["authorization"], heard["content-type"])


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 429, 500, 503])
async def test_every_status_is_an_answer(sender: Sender, server: OddServer, status: int) -> None:
    """Faults are answers, and redirects are not followed."""
    sent = await sender.outcome(f"{server.url}{path('status')}?status={status}")

    assert sent.answer is not None
    assert (status, b"") == (sent.answer.status, sent.answer.body)
    assert "/echo/elsewhere" == sent.answer.headers["location"]


async def test_an_answer_may_have_no_body(sender: Sender, server: OddServer) -> None:
    """204 is an answer of no bytes."""
    sent = await sender.outcome(server.url + path("nothing"))

    assert sent.answer is not None
    assert (204, b"") == (sent.answer.status, sent.answer.body)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [0, 1, 70_000, MIB, MIB + 1, 5 * MIB + 3])
async def test_bodies_are_whole(sender: Sender, server: OddServer, way: str, size: int) -> None:
    """Whatever its size and however it is sent, a body is complete."""
    sent = await sender.outcome(f"{server.url}{path('body')}?way={way}&size={size}")

    assert sent.answer is not None
    assert pattern(size) == sent.answer.body


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("limit", [1, 70_000, MIB, 2 * MIB])
async def test_bodies_may_be_as_large_as_the_limit(
    sender: Sender, server: OddServer, way: str, limit: int
) -> None:
    """As many bytes as allowed are whole; one more is too large."""
    url = f"{server.url}{path('body')}?way={way}"
    allowed = await sender.outcome(f"{url}&size={limit}", body_max=limit)
    refused = await sender.outcome(f"{url}&size={limit + 1}", body_max=limit)

    assert allowed.answer is not None
    assert pattern(limit) == allowed.answer.body
    assert "HttpTooLarge" == refused.failure
    assert str(limit) in refused.text


@pytest.mark.parametrize("what", ["cut", "cut_chunks"])
async def test_a_cut_body_is_a_failure(sender: Sender, server: OddServer, what: str) -> None:
    """A body that ends before its end is no answer, and not the same as none that began."""
    sent = await sender.outcome(server.url + path(what))

    assert "HttpCut" == sent.failure


async def test_a_refused_connection_is_a_failure(sender: Sender) -> None:
    """Where nobody listens there is no answer."""
    sent = await sender.outcome("http://127.0.0.1:1/")

    assert "HttpFailure" == sent.failure


@pytest.mark.parametrize("what", ["endless", "bomb"])
async def test_too_large_a_body_is_not_read_on(
    sender: Sender, server: OddServer, what: str
) -> None:
    """Past the limit the connection is closed, while the work goes on that asked."""
    target = path(what)
    sent = await sender.outcome(
        server.url + target, body_max=2 * MIB, ending=server.ending_of(target)
    )

    assert ("HttpTooLarge", "closed") == (sent.failure, sent.ending)


@pytest.mark.parametrize("what", ["silent", "stalled", "trickle", "trickle?length"])
async def test_an_answer_that_is_late_is_not_awaited(
    sender: Sender, server: OddServer, what: str
) -> None:
    """At the deadline the connection is closed, with or without a status or some of the body."""
    kind, _, query = what.partition("?")
    target = path(kind)
    sent = await sender.outcome(
        f"{server.url}{target}?{query}=1", timeout_ms=400, ending=server.ending_of(target)
    )

    assert ("HttpTimeout", "closed") == (sent.failure, sent.ending)
    assert "400 ms" in sent.text


@pytest.mark.parametrize("what", ["silent", "stalled", "trickle"])
async def test_a_request_that_is_given_up_ends(
    sender: Sender, server: OddServer, what: str
) -> None:
    """When its task is cancelled, the connection is closed, while the work goes on."""
    target = path(what)
    sent = await sender.given_up(server.url + target, after_ms=400, ending=server.ending_of(target))

    assert ("CancelledError", "closed") == (sent.failure, sent.ending)
