"""
Questions for samples, and answers compared with the upstream's data to the last digit.

Separate because all tests of the routes ask the same way and must judge by the same rule, which is
written here a second time, plainer than in the Worker.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from fakes.upstream import FakeUpstream
from fakes.upstream_series import Wire, wire_text
from integration.harness.client import Answer, Client

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
# 2025-01-01, a Wednesday.
START_MS = 1_735_689_600_000
PROBLEM_TYPE = "application/problem+json"
FORMATS = ("json", "csv", "ndjson", "msgpack")
CONTENT_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "msgpack": "application/msgpack",
}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


class Digits(NamedTuple):
    """A number as it is written: 45.50 is not 45.5."""

    text: str


class Question(NamedTuple):
    """What is asked for: points over a half-open range."""

    site: str
    points: Sequence[str]
    start_ms: int
    end_ms: int

    def parameters(self, **more: object) -> list[tuple[str, object]]:
        """Return it as the parameters of a query; *more* replace or follow."""
        own: dict[str, object] = {
            "site": self.site,
            "start_time": self.start_ms,
            "end_time": self.end_ms,
        }
        return [*(own | more).items(), *(("point", point) for point in self.points)]

    def document(self, **more: object) -> dict[str, object]:
        """Return it as the body of a POST; *more* replace or follow."""
        own = {"site": self.site, "start_time": self.start_ms, "end_time": self.end_ms}
        return {**own, "points": list(self.points), **more}

    def ask(
        self, client: Client, route: str | None = "cached", *, gzip: bool = True, **more: Any
    ) -> Answer:
        """Ask by GET; the headers of *more* go into the request, the rest into the query."""
        headers: Mapping[str, str] = more.pop("headers", {})
        if route is not None:
            more["route"] = route
        return client.get(
            "/api/timeseries", self.parameters(**more), headers=headers, accepts_gzip=gzip
        )


def read_exact(text: str | bytes) -> Any:
    """Return JSON with every number as Digits; NaN and infinities are refused."""
    return json.loads(text, parse_float=Digits, parse_int=Digits, parse_constant=_refuse)


def _refuse(name: str) -> None:
    raise ValueError(f"not JSON: {name}")


def exact_value(value: Wire) -> Any:
    """
    Return what must be answered for a value, numbers as Digits.

    Only for data without looser spellings of numbers (`+5`, `.5`, NaN), which have tests of their
    own.
    """
    if isinstance(value, str):
        return _exact_text(value)
    read = json.loads(wire_text(value), parse_float=Digits, parse_int=Digits)
    return _exact_text(read) if isinstance(read, str) else read


# A made-up series has few values, again and again.
@lru_cache(maxsize=65_536)
def _exact_text(text: str) -> Digits | str:
    return Digits(text) if _NUMBER.fullmatch(text) else text


def exact_samples(upstream: FakeUpstream, question: Question, point: str) -> list[list[Any]]:
    """Return the [ms, value] that must be answered for a point, numbers as Digits."""
    sent = upstream.samples(question.site, point, question.start_ms, question.end_ms)
    newest = dict(sent)
    return [[Digits(str(ms)), exact_value(newest[ms])] for ms in sorted(newest)]


def error_of(upstream: FakeUpstream, question: Question, point: str) -> str | None:
    """Return what an answer must say is wrong with a point: that the site does not have it."""
    return None if upstream.has_point(question.site, point) else "unknown point"


def without_hint(error: str | None) -> str | None:
    """Return what an answer says is wrong with a point, without the name that may be near."""
    return None if error is None else error.partition("; the nearest is ")[0]


def assert_exact(upstream: FakeUpstream, question: Question, answer: Answer) -> dict[str, Any]:
    """
    See that a JSON answer has the upstream's data to the last digit, and tells the truth of itself.

    Returns:
        The document with numbers as Python has them.
    """
    assert 200 == answer.status, answer.text
    document: dict[str, Any] = answer.json()
    found = read_exact(answer.body)["data"]
    names = list(dict.fromkeys(question.points))
    assert names == list(found)
    samples = 0
    for name in names:
        expected = exact_samples(upstream, question, name)
        assert expected == found[name]["samples"], (question, name)
        assert {"samples", "count", "error"} == set(found[name])
        assert Digits(str(len(expected))) == found[name]["count"]
        assert error_of(upstream, question, name) == without_hint(found[name]["error"])
        samples += len(expected)
    assert samples == document["_meta"]["samplesCount"]
    _assert_meta(question, answer, document["_meta"])
    return document


def _assert_meta(question: Question, answer: Answer, meta: dict[str, Any]) -> None:
    names = list(dict.fromkeys(question.points))
    days = (question.end_ms - question.start_ms) / DAY_MS
    assert question.site == meta["site"]
    assert iso(question.start_ms) == meta["startTime"]
    assert iso(question.end_ms) == meta["endTime"]
    assert abs(len(names) * days * 100 - meta["estimatedSamples"]) <= 0.5
    assert answer.headers["X-Request-Id"] == meta["requestId"]
    assert answer.headers["X-Route-Type"] == meta["routeType"]
    assert answer.headers["X-Cache-Status"] == meta["cache"]["status"]
    assert answer.headers["X-Cache-Hit"] == json.dumps(meta["cacheHit"])
    assert meta["cacheHit"] == (meta["cache"]["status"] in ("hit", "stale"))
    assert answer.headers["X-Request-Duration"].isdigit()
    assert "total;dur=" in answer.headers["Server-Timing"]
    assert isinstance(meta["duration"], int)
    assert read_iso(meta["timestamp"]) > START_MS


def assert_problem(answer: Answer, *statuses: int) -> dict[str, Any]:
    """See that an answer is a problem document of one of these statuses; returns it."""
    assert answer.status in statuses, (answer.status, answer.text[:500])
    assert PROBLEM_TYPE == answer.headers["Content-Type"]
    assert "no-store" == answer.headers["Cache-Control"]
    document: dict[str, Any] = answer.json()
    assert answer.status == document["status"]
    assert answer.headers["X-Request-Id"] == document["requestId"]
    assert document["error"] == document["detail"] != ""
    assert {"type", "title"} <= set(document)
    assert "data" not in document
    assert "Traceback" not in answer.text
    return document


def cache_of(answer: Answer) -> tuple[str, list[list[int]], int, int, int]:
    """Return status, ranges fetched, samples fetched and from cache, and upstream requests."""
    cache = answer.json()["_meta"]["cache"]
    return (
        cache["status"],
        cache["fetched"],
        cache["samplesFetched"],
        cache["samplesFromCache"],
        cache["upstreamRequests"],
    )


def assert_same_data(
    upstream: FakeUpstream, question: Question, answer: Answer, output: str
) -> None:
    """See that an answer of any format has the upstream's data."""
    assert 200 == answer.status, answer.text
    assert CONTENT_TYPES[output] == answer.headers["Content-Type"]
    if output == "json":
        assert_exact(upstream, question, answer)
        return
    names = list(dict.fromkeys(question.points))
    rows = [
        (iso(int(ms.text)), name, value)
        for name in names
        for ms, value in exact_samples(upstream, question, name)
    ]
    if output == "csv":
        head, *found = csv.reader(io.StringIO(answer.text, newline=""))
        assert ["time", "point", "value"] == head
        assert [[time, cell(name), cell(value)] for time, name, value in rows] == found
    elif output == "ndjson":
        *texts, rest = answer.text.split("\n")
        assert "" == rest
        lines = [read_exact(text) for text in texts]
        assert [{"point": n, "time": t, "value": v} for t, n, v in rows] == lines
    else:
        document = msgspec.msgpack.decode(answer.body)
        assert names == list(document["data"])
        assert {name: loose_samples(upstream, question, name) for name in names} == {
            name: each["samples"] for name, each in document["data"].items()
        }
        assert {name: error_of(upstream, question, name) for name in names} == {
            name: without_hint(each["error"]) for name, each in document["data"].items()
        }
        assert len(rows) == document["_meta"]["samplesCount"]


def cell(value: object) -> str:
    """Return the text of a CSV cell: digits as they are, nothing that a spreadsheet would run."""
    if isinstance(value, Digits):
        return value.text
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    text = str(value)
    return f"'{text}" if re.match(r"[\x00-\x1f=+\-@\uff0b\uff0d\uff1d\uff20]", text) else text


def loose_samples(upstream: FakeUpstream, question: Question, point: str) -> list[list[Any]]:
    """Return the [ms, value] of a point with numbers as Python has them."""
    return upstream.expected(question.site, point, question.start_ms, question.end_ms)


def iso(ms: int) -> str:
    """Return an instant as the API writes it."""
    moment = datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_iso(text: str) -> int:
    """Return the epoch milliseconds of an instant as the API writes it."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def spelled(ms: int, chance: random.Random) -> object:
    """Return an instant in one of the ways a client may write it."""
    moment = datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
    hours = timezone(timedelta(minutes=chance.choice((-570, -480, -60, 60, 120, 330, 345, 840))))
    ways = (
        lambda: ms,
        lambda: str(ms),
        lambda: iso(ms),
        lambda: iso(ms).removesuffix("Z"),
        lambda: moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        lambda: moment.astimezone(hours).isoformat(timespec="milliseconds"),
        lambda: moment.astimezone(hours).isoformat(timespec="milliseconds").replace("T", " "),
    )
    return chance.choice(ways)()
