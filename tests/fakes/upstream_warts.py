"""
What can be wrong with an upstream's answer, one small function a wart.

A wart gets the exchange and the answer as it would be, and returns another. Warts that alter
samples leave the right result unchanged: a client that sorts, filters, cuts to the range and lets
the last duplicate win still gets what `FakeUpstream.expected` says.
"""

import gzip
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from threading import Event
from typing import Any

from demo.instants import BUCKET_MS, iso_text, parse_ms
from demo.messages import Reply, Request, json_reply
from demo.protocol import Call, encode_cursor
from demo.sources import Position

LOGIN_PATH = "/login"
AFTER_EMPTY = "after-"
HTML_PAGE = b"<!DOCTYPE html><html><head><title>Error</title></head><body>Sorry.</body></html>"


@dataclass(frozen=True, slots=True)
class WireReply(Reply):
    """
    A reply that is not sent as it should be.

    Attributes:
        cut_bytes: Send so many bytes of the body, then close.
        is_reset: Send nothing, reset the connection.
        pause_ms: Send the body in ten parts with this pause between.
    """

    cut_bytes: int | None = None
    is_reset: bool = False
    pause_ms: int = 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    One request that a wart is about to spoil.

    Attributes:
        number: How often this fault has struck, from 1.
        options: What the test gave the fault.
        released: Set when the test releases hanging requests, or the server stops.
    """

    request: Request
    call: Call
    number: int
    options: Mapping[str, Any]
    released: Event

    @property
    def start_ms(self) -> int:
        """The start of the range asked for."""
        return parse_ms(self.request.params["start_time"])

    @property
    def end_ms(self) -> int:
        """The end of the range asked for."""
        return parse_ms(self.request.params["end_time"])

    @property
    def cursor(self) -> str | None:
        """The cursor sent, if any."""
        return self.request.params.get("cursor")


Answer = Callable[[Request], Reply]
Wart = Callable[[Exchange, Answer], Reply]
Samples = list[dict[str, Any]]


def refusal(status: int) -> Wart:
    """Return the wart that answers with an error status."""

    def refuse(_exchange: Exchange, _answer: Answer) -> Reply:
        return json_reply({"message": f"made to fail with {status}"}, status=status)

    return refuse


def too_many_requests(exchange: Exchange, _answer: Answer) -> Reply:
    """429; options: retry_after_s (none without), is_date (as an HTTP date)."""
    headers = {}
    retry_after_s = exchange.options.get("retry_after_s")
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
        if exchange.options.get("is_date"):
            moment = datetime.now(UTC) + timedelta(seconds=retry_after_s)
            headers["Retry-After"] = format_datetime(moment, usegmt=True)
    return json_reply({"message": "too many requests"}, status=429, headers=headers)


def cut_body(exchange: Exchange, answer: Answer) -> Reply:
    """Announce the whole body, send half of it, close."""
    reply = answer(exchange.request)
    return WireReply(reply.status, reply.body, reply.headers, cut_bytes=len(reply.body) // 2)


def invalid_json(exchange: Exchange, answer: Answer) -> Reply:
    """Half of the document, as if it were whole."""
    reply = answer(exchange.request)
    return replace(reply, body=reply.body[: len(reply.body) // 2], samples=0)


def invalid_utf8(exchange: Exchange, answer: Answer) -> Reply:
    """JSON with a byte that is no UTF-8 inside a string."""
    reply = answer(exchange.request)
    return replace(reply, body=reply.body.replace(b'"name":"', b'"name":"\xff'), samples=0)


def wrong_shape(exchange: Exchange, _answer: Answer) -> Reply:
    """Valid JSON with status 200 that holds no samples."""
    return json_reply(exchange.options.get("document", {"error": "internal"}))


def html_page(exchange: Exchange, _answer: Answer) -> Reply:
    """An HTML page; option: status (200)."""
    return Reply(exchange.options.get("status", 200), HTML_PAGE, {"Content-Type": "text/html"})


def html_bad_gateway(_exchange: Exchange, _answer: Answer) -> Reply:
    """The HTML page of a proxy with status 502."""
    return Reply(502, HTML_PAGE, {"Content-Type": "text/html"})


def redirect(exchange: Exchange, _answer: Answer) -> Reply:
    """302 to a login page; option: location."""
    return Reply(302, b"", {"Location": exchange.options.get("location", LOGIN_PATH)})


def echo(exchange: Exchange, _answer: Answer) -> Reply:
    """
    Everything the request held, its headers above all, wherever an answer has room for it.

    Options: form (html, json, headers, time, cursor), status.
    """
    sent = exchange.request.headers
    # The secret first: of a long text the beginning is what gets passed on.
    heard = " ".join([sent.get("authorization", ""), *(f"{n}: {v}" for n, v in sent.items())])
    heard += f" {exchange.request.target}"
    form = exchange.options.get("form", "html")
    if form == "html":
        page = f"<html><body>{heard}</body></html>"
        return Reply(
            exchange.options.get("status", 200), page.encode(), {"Content-Type": "text/html"}
        )
    if form == "headers":
        headers = {"Location": f"/login?{heard}", "Retry-After": heard, "X-Heard": heard}
        return Reply(exchange.options.get("status", 302), heard.encode(), headers)
    if form == "json":
        return json_reply({"message": heard, "error": heard}, status=exchange.options["status"])
    asked = exchange.call.names
    sample = {"name": asked[0] if asked else heard, "value": "1", "time": heard}
    return json_reply(
        {
            "point_samples": [sample] if form == "time" else [],
            "next_cursor": heard if form == "cursor" else None,
            "has_more": form == "cursor",
        }
    )


def reset(_exchange: Exchange, _answer: Answer) -> Reply:
    """Reset the connection instead of answering."""
    return WireReply(0, b"", is_reset=True)


def hang(exchange: Exchange, _answer: Answer) -> Reply:
    """Answer nothing until released, then reset the connection."""
    exchange.released.wait()
    return WireReply(0, b"", is_reset=True)


def slow(exchange: Exchange, answer: Answer) -> Reply:
    """Answer late; option: delay_ms (1000)."""
    exchange.released.wait(exchange.options.get("delay_ms", 1000) / 1000)
    return answer(exchange.request)


def trickle(exchange: Exchange, answer: Answer) -> Reply:
    """Answer at once, but send the body in ten parts; option: pause_ms between them (100)."""
    reply = answer(exchange.request)
    pause_ms = exchange.options.get("pause_ms", 100)
    return WireReply(reply.status, reply.body, reply.headers, reply.samples, pause_ms=pause_ms)


def gzip_body(exchange: Exchange, answer: Answer) -> Reply:
    """The body gzipped, whether the client accepts it or not."""
    reply = answer(exchange.request)
    headers = {**reply.headers, "Content-Encoding": "gzip"}
    return replace(reply, body=gzip.compress(reply.body, 1), headers=headers)


def repeating_cursor(exchange: Exchange, answer: Answer) -> Reply:
    """The next cursor is always the one that was sent, so that one page comes for ever."""

    def edit(page: dict[str, Any]) -> None:
        same = exchange.cursor or encode_cursor(Position(exchange.start_ms))
        page.update(next_cursor=same, has_more=True)

    return _edited(exchange, answer, edit)


def cursor_cycle(exchange: Exchange, answer: Answer) -> Reply:
    """The cursor after the second page leads back to the first."""
    first = encode_cursor(Position(exchange.start_ms))

    def edit(page: dict[str, Any]) -> None:
        if exchange.cursor not in (None, first) or not page["has_more"]:
            page.update(next_cursor=first, has_more=True)

    return _edited(exchange, answer, edit)


def no_cursor(exchange: Exchange, answer: Answer) -> Reply:
    """`has_more` without a cursor."""
    return _edited(exchange, answer, lambda page: page.update(next_cursor=None, has_more=True))


def empty_pages(exchange: Exchange, answer: Answer) -> Reply:
    """An empty page, with a cursor of its own, before each page."""
    cursor = exchange.cursor
    if cursor and cursor.startswith(AFTER_EMPTY):
        return answer(_with_params(exchange.request, cursor=cursor.removeprefix(AFTER_EMPTY)))
    following = AFTER_EMPTY + (cursor or encode_cursor(Position(exchange.start_ms)))
    return json_reply({"point_samples": [], "next_cursor": following, "has_more": True})


def endless_empty_pages(exchange: Exchange, _answer: Answer) -> Reply:
    """Empty pages with ever new cursors."""
    following = f"empty-{exchange.number}"
    return json_reply({"point_samples": [], "next_cursor": following, "has_more": True})


def ignores_point_names(exchange: Exchange, answer: Answer) -> Reply:
    """The samples of the whole site, whatever the filter."""
    return answer(_with_params(exchange.request, point_names=None))


def unordered(exchange: Exchange, answer: Answer) -> Reply:
    """The samples of a page in disorder; duplicates keep theirs."""

    def edit(samples: Samples) -> Samples:
        groups: dict[tuple[str, int], Samples] = {}
        for sample in samples:
            groups.setdefault((sample["name"], parse_ms(sample["time"])), []).append(sample)
        mixed = list(groups.values())
        random.Random(len(samples)).shuffle(mixed)
        return [sample for group in mixed for sample in group]

    return _edited_samples(exchange, answer, edit)


def duplicates(exchange: Exchange, answer: Answer) -> Reply:
    """Every third sample twice, with another value first."""
    return _edited_samples(
        exchange,
        answer,
        lambda samples: _preceded(samples, every=3, value="-77777.7"),
    )


def nan_literals(exchange: Exchange, answer: Answer) -> Reply:
    """Every third sample twice, first with a bare NaN, which JSON does not know."""
    return _edited_samples(
        exchange,
        answer,
        lambda samples: _preceded(samples, every=3, value=float("nan")),
    )


def outside_range(exchange: Exchange, answer: Answer) -> Reply:
    """Samples before the start, at the end and after it, of the points of the page."""

    def edit(samples: Samples) -> Samples:
        names = dict.fromkeys(sample["name"] for sample in samples)
        early, late = (
            [
                {"name": name, "value": "-88888.8", "time": iso_text(ms)}
                for ms in times
                for name in names
            ]
            for times in (
                (exchange.start_ms - BUCKET_MS, exchange.start_ms - 1),
                (exchange.end_ms, exchange.end_ms + BUCKET_MS),
            )
        )
        return [*early, *samples, *late]

    return _edited_samples(exchange, answer, edit)


def time_formats(exchange: Exchange, answer: Answer) -> Reply:
    """Times in turn with Z, offsets and fractions of a second."""

    def edit(samples: Samples) -> Samples:
        return [
            {**sample, "time": _variant(parse_ms(sample["time"]), number)}
            for number, sample in enumerate(samples)
        ]

    return _edited_samples(exchange, answer, edit)


def _variant(ms: int, number: int) -> str:
    moment = datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
    india, pacific = timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))
    variants = (
        lambda: iso_text(ms),
        lambda: moment.isoformat(timespec="milliseconds"),
        lambda: moment.astimezone(india).isoformat(timespec="milliseconds"),
        lambda: moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        lambda: moment.astimezone(pacific).isoformat(timespec="microseconds"),
    )
    return variants[number % len(variants)]()


def _preceded(samples: Samples, *, every: int, value: object) -> Samples:
    result: Samples = []
    for number, sample in enumerate(samples):
        if number % every == 0:
            result.append({**sample, "value": value})
        result.append(sample)
    return result


def _with_params(request: Request, **changed: str | None) -> Request:
    params = {**request.params, **changed}
    kept = {name: value for name, value in params.items() if value is not None}
    return replace(request, params=kept)


def _edited(exchange: Exchange, answer: Answer, edit: Callable[[dict[str, Any]], object]) -> Reply:
    """Return the answer with its document changed in place by *edit*; errors stay as they are."""
    reply = answer(exchange.request)
    if reply.status != 200:
        return reply
    document = json.loads(reply.body)
    edit(document)
    body = json.dumps(document, separators=(",", ":")).encode()
    return replace(reply, body=body, samples=len(document["point_samples"]))


def _edited_samples(
    exchange: Exchange, answer: Answer, edit: Callable[[Samples], Samples]
) -> Reply:
    return _edited(
        exchange, answer, lambda page: page.update(point_samples=edit(page["point_samples"]))
    )


WARTS: dict[str, Wart] = {
    **{str(status): refusal(status) for status in (400, 401, 403, 404, 500, 502, 503, 504)},
    "429": too_many_requests,
    "cut": cut_body,
    "invalid_json": invalid_json,
    "invalid_utf8": invalid_utf8,
    "wrong_shape": wrong_shape,
    "html": html_page,
    "html_502": html_bad_gateway,
    "redirect": redirect,
    "echo": echo,
    "reset": reset,
    "hang": hang,
    "slow": slow,
    "trickle": trickle,
    "gzip": gzip_body,
    "repeating_cursor": repeating_cursor,
    "cursor_cycle": cursor_cycle,
    "no_cursor": no_cursor,
    "empty_pages": empty_pages,
    "endless_empty_pages": endless_empty_pages,
    "ignores_point_names": ignores_point_names,
    "unordered": unordered,
    "duplicates": duplicates,
    "nan_literals": nan_literals,
    "outside_range": outside_range,
    "time_formats": time_formats,
}
