"""
What can be wrong with an upstream's answer, one small function a wart.

A wart gets the exchange and the answer as it would be, and returns another. Warts that alter
samples leave the right result unchanged: a client that sorts, filters, cuts to the range and lets
the last duplicate win still gets what `FakeUpstream.expected` says.
"""

import gzip
import json
import random
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from threading import Event
from typing import Any

from demo.cursors import decode_cursor, encode_cursor
from demo.instants import BUCKET_MS, DAY_MS, MINUTE_MS, iso_text, naive_text, parse_ms
from demo.messages import Reply, Request, json_reply
from demo.routes import Call
from demo.sources import Position
from demo.traits import FAITHFUL

LOGIN_PATH = "/login"
AFTER_EMPTY = "after-"
SCROLL = "scroll-"
DEPTH = 2500
PADDING = b" " * 65_536
BOMB_BYTES = 300_000_000
HTML_PAGE = b"<!DOCTYPE html><html><head><title>Error</title></head><body>Sorry.</body></html>"


@dataclass(frozen=True, slots=True)
class WireReply(Reply):
    """
    A reply that is not sent as it should be.

    Attributes:
        cut_bytes: Send so many bytes of the body, then close.
        is_reset: Send nothing, reset the connection.
        pause_ms: Send the body in ten parts with this pause between.
        chunks: Sent in place of the body, without a length.
    """

    cut_bytes: int | None = None
    is_reset: bool = False
    pause_ms: int = 0
    chunks: Callable[[], Iterator[bytes]] | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    One request that a wart is about to spoil.

    Attributes:
        number: How often this fault has struck, from 1.
        options: What the test gave the fault.
        released: Set when the test releases hanging requests, or the server stops.
        memory: What this fault keeps from one strike to the next.
    """

    request: Request
    call: Call
    number: int
    options: Mapping[str, Any]
    released: Event
    memory: dict[str, Any]

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


RETRY_FORMS = {
    "imf": "%a, %d %b %Y %H:%M:%S GMT",
    "rfc850": "%A, %d-%b-%y %H:%M:%S GMT",
    "asctime": "%a %b %e %H:%M:%S %Y",
}


def refusal_for_now(status: int) -> Wart:
    """
    Return the wart that answers with a status and says when to come back.

    Its options: status; retry_after_s (no header without it); form (seconds, or imf, rfc850,
    asctime: the three forms of an HTTP date).
    """

    def refuse(exchange: Exchange, _answer: Answer) -> Reply:
        headers = {}
        retry_after_s = exchange.options.get("retry_after_s")
        if retry_after_s is not None:
            form = exchange.options.get("form", "seconds")
            headers["Retry-After"] = str(retry_after_s)
            if form != "seconds":
                moment = datetime.now(UTC) + timedelta(seconds=retry_after_s)
                headers["Retry-After"] = moment.strftime(RETRY_FORMS[form])
        return json_reply(
            {"message": "too many requests"},
            status=exchange.options.get("status", status),
            headers=headers,
        )

    return refuse


def cut_body(exchange: Exchange, answer: Answer) -> Reply:
    """Announce the whole body, send half of it, close."""
    reply = answer(exchange.request)
    return WireReply(reply.status, reply.body, reply.headers, cut_bytes=len(reply.body) // 2)


def dies_large(exchange: Exchange, answer: Answer) -> Reply:
    """Close in the middle of a body with more than option samples (1000) samples."""
    reply = answer(exchange.request)
    if reply.samples <= exchange.options.get("samples", 1000):
        return reply
    return WireReply(reply.status, reply.body, reply.headers, cut_bytes=len(reply.body) // 2)


def endless_body(exchange: Exchange, _answer: Answer) -> Reply:
    """A document that ends only when it is released, sent as fast as the client reads."""
    headers = {"Content-Type": "application/json"}

    def chunks() -> Iterator[bytes]:
        yield b'{"point_samples":['
        while not exchange.released.is_set():
            yield PADDING

    return WireReply(200, b"", headers, chunks=chunks)


def gzip_bomb(exchange: Exchange, answer: Answer) -> Reply:
    """The answer behind blanks that gzip makes small; option: bytes of them (300,000,000)."""
    reply = answer(exchange.request)
    body = _bomb(exchange.options.get("bytes", BOMB_BYTES)) + gzip.compress(reply.body)
    return replace(reply, body=body, headers={**reply.headers, "Content-Encoding": "gzip"})


@lru_cache(maxsize=2)
def _bomb(length: int) -> bytes:
    """Return a gzip member of so many blanks, made without ever holding them."""
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(PADDING) for _ in range(length // len(PADDING))]
    parts.append(packer.compress(PADDING[: length % len(PADDING)]))
    return b"".join([*parts, packer.flush()])


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
        same = exchange.cursor or _cursor(Position(exchange.start_ms))
        page.update(next_cursor=same, has_more=True)

    return _edited(exchange, answer, edit)


def cursor_cycle(exchange: Exchange, answer: Answer) -> Reply:
    """The cursor after the second page leads back to the first."""
    first = _cursor(Position(exchange.start_ms))

    def edit(page: dict[str, Any]) -> None:
        if exchange.cursor not in (None, first) or not page["has_more"]:
            page.update(next_cursor=first, has_more=True)

    return _edited(exchange, answer, edit)


def scroll_id(exchange: Exchange, answer: Answer) -> Reply:
    """The cursor of a walk is the same on all its pages; the server knows where the walk is."""
    request = exchange.request
    walk = exchange.cursor
    if walk is None:
        walk = f"{SCROLL}{exchange.number}"
        exchange.memory[walk] = None
    else:
        request = _with_params(request, cursor=exchange.memory.get(walk))

    def edit(page: dict[str, Any]) -> None:
        if page["has_more"]:
            exchange.memory[walk] = following_cursor(
                page["point_samples"], request.params.get("cursor")
            )
            page["next_cursor"] = walk

    return _edited(replace(exchange, request=request), answer, edit)


def following_cursor(samples: Samples, cursor: str | None) -> str:
    """
    Return the right cursor to the samples behind a page, which the service's own may not be.

    Args:
        samples: Of the page, one at least.
        cursor: The one that led to the page.
    """
    last_ms = parse_ms(samples[-1]["time"])
    skip = sum(parse_ms(sample["time"]) == last_ms for sample in samples)
    start = decode_cursor(cursor) if cursor else None
    if start is not None and start.ms == last_ms:
        skip += start.skip
    return _cursor(Position(last_ms, skip))


def _cursor(position: Position) -> str:
    """Return a cursor to a position; upstreams of all traits take it."""
    return encode_cursor(Position(0), position, FAITHFUL)


def no_cursor(exchange: Exchange, answer: Answer) -> Reply:
    """`has_more` without a cursor."""
    return _edited(exchange, answer, lambda page: page.update(next_cursor=None, has_more=True))


def empty_pages(exchange: Exchange, answer: Answer) -> Reply:
    """An empty page, with a cursor of its own, before each page."""
    cursor = exchange.cursor
    if cursor and cursor.startswith(AFTER_EMPTY):
        return answer(exchange.request)
    following = AFTER_EMPTY + (cursor or _cursor(Position(exchange.start_ms)))
    return json_reply({"point_samples": [], "next_cursor": following, "has_more": True})


def past_empty_page(request: Request) -> Request:
    """Return a request as it is after an empty page, also when that wart is gone by then."""
    cursor = request.params.get("cursor", "")
    if not cursor.startswith(AFTER_EMPTY):
        return request
    return _with_params(request, cursor=cursor.removeprefix(AFTER_EMPTY))


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


def bad_times(exchange: Exchange, answer: Answer) -> Reply:
    """
    Times that are hard to read, of samples that come before the true ones with another value.

    With the option replaces, in place of the true ones, and only times that have a meaning.
    """

    def edit(samples: Samples) -> Samples:
        result: Samples = []
        for number, sample in enumerate(samples):
            ms = parse_ms(sample["time"])
            readable = readable_times(ms)
            if exchange.options.get("replaces"):
                result.append({**sample, "time": readable[number % len(readable)]})
                continue
            times = [*readable, *unreadable_times(ms)]
            odd = {"value": "-66666.6", "time": times[number % len(times)]}
            result += [{**sample, **odd}, sample]
        return result

    return _edited_samples(exchange, answer, edit)


def readable_times(ms: int) -> list[str]:
    """Return spellings of an instant that few readers of times take, each with a meaning."""
    text = naive_text(ms)
    whole, _, fraction = text.partition(".")
    spellings = []
    if ms % DAY_MS == 0:
        spellings.append(f"{iso_text(ms - DAY_MS)[:10]}T24:00:00")
    if ms % MINUTE_MS == 0:
        spellings.append(f"{iso_text(ms - MINUTE_MS)[:-3]}60Z")
    if not fraction:
        spellings.append(whole.replace("-", "").replace(":", "") + "Z")
    spellings += [
        f"{whole}.{fraction or '0':0<13}",
        f"{whole}.{fraction or '0':0<13}Z",
        text.replace("T", " "),
    ]
    return spellings


def unreadable_times(ms: int) -> list[object]:
    """Return times without a meaning, and one that may be taken for the instant alone."""
    text = naive_text(ms)
    return [f"{text} UTC", "yesterday", "", ms, f"{text[:5]}13-45{text[10:]}", f"{text}.5.5"]


def null_fields(exchange: Exchange, answer: Answer) -> Reply:
    """Before each third sample one more, whose name, time or value is null in turn."""

    def edit(samples: Samples) -> Samples:
        fields = ("name", "time", "value")
        result: Samples = []
        for number, sample in enumerate(samples):
            if number % 3 == 0:
                result.append({**sample, "value": "-55555.5", fields[number // 3 % 3]: None})
            result.append(sample)
        return result

    return _edited_samples(exchange, answer, edit)


def deep_value(exchange: Exchange, answer: Answer) -> Reply:
    """One more sample before the others, whose value is nested; option: depth (2500)."""
    reply = answer(exchange.request)
    if reply.status != 200 or not reply.samples:
        return reply
    depth = exchange.options.get("depth", DEPTH)
    # By hand: the standard library gives up on such nesting.
    first = json.loads(reply.body)["point_samples"][0]
    name, moment = json.dumps(first["name"]), json.dumps(first["time"])
    deep = f'{{"name":{name},"value":{"[" * depth}{"]" * depth},"time":{moment}}},'
    body = reply.body.replace(b'"point_samples":[', b'"point_samples":[' + deep.encode(), 1)
    return replace(reply, body=body, samples=reply.samples + 1)


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
    "429": refusal_for_now(429),
    "retry_after": refusal_for_now(503),
    "cut": cut_body,
    "dies_large": dies_large,
    "endless_body": endless_body,
    "gzip_bomb": gzip_bomb,
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
    "scroll_id": scroll_id,
    "no_cursor": no_cursor,
    "empty_pages": empty_pages,
    "endless_empty_pages": endless_empty_pages,
    "ignores_point_names": ignores_point_names,
    "unordered": unordered,
    "duplicates": duplicates,
    "nan_literals": nan_literals,
    "outside_range": outside_range,
    "time_formats": time_formats,
    "bad_times": bad_times,
    "null_fields": null_fields,
    "deep_value": deep_value,
}
