"""The formats over HTTP: each says the same as the JSON, compressed or not, and cut to a chart."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes.brute_levels import finest
from fakes.upstream import FakeUpstream
from fakes.upstream_series import Wire
from integration.harness.client import Answer, Client
from integration.harness.oracle import (
    CONTENT_TYPES,
    DAY_MS,
    FORMATS,
    MINUTE_MS,
    START_MS,
    Question,
    assert_same_data,
    cache_of,
    loose_samples,
)

# Values that each format has its own trouble with.
TROUBLE: tuple[Wire, ...] = (
    *("45.50", "-0", "1e5", None, True, False, "occupied", "", "null", "true", "a,b", 'say "hi"'),
    *("two\nlines", "two\r\nlines", "=1+1", "+cmd", "-x", "@a", "\ttab", "'quoted'", "21 °C 🔥"),
    *(7, 2.5, "9007199254740993", "]", "],[1,2", "{}", "\u2028", "\\", "\x7f"),
)
ACCEPTED = (
    ("text/csv", "csv"),
    ("application/x-ndjson", "ndjson"),
    ("application/msgpack", "msgpack"),
    ("application/json", "json"),
    ("*/*", "json"),
    ("text/html,application/xhtml+xml,*/*;q=0.8", "json"),
    ("image/png", "json"),
    ("text/csv;q=0.5, application/json;q=0.4", "csv"),
    ("text/csv;q=0, */*", "json"),
    ("text/*", "csv"),
)


@pytest.fixture
def trouble(upstream: FakeUpstream, site: str) -> Question:
    """Two points with values that are hard to write, one without samples."""
    names = [f'{site} "a", b', f"{site} =plain", f"{site} none"]
    values = dict(enumerate(TROUBLE))
    upstream.set_points(
        site,
        {
            names[0]: [(START_MS + at * MINUTE_MS, value) for at, value in values.items()],
            names[1]: [(START_MS + at * 1500, value) for at, value in values.items()],
            names[2]: [],
        },
    )
    return Question(site, names, START_MS, START_MS + DAY_MS)


@pytest.mark.parametrize("output", FORMATS)
def test_every_format_has_the_same_data(
    client: Client, upstream: FakeUpstream, trouble: Question, output: str
) -> None:
    """Direct, missed and hit, with gzip and without: the same samples in every format."""
    for route in ("direct", "cached", "cached"):
        bodies = []
        for is_gzip in (True, False):
            answer = trouble.ask(client, route, gzip=is_gzip, format=output)
            assert_same_data(upstream, trouble, answer, output)
            assert ("gzip" if is_gzip else None) == answer.headers.get("Content-Encoding")
            assert "Accept" in answer.headers["Vary"]
            bodies.append(answer.body)
        if output in ("csv", "ndjson"):
            assert bodies[0] == bodies[1]


@pytest.mark.parametrize("output", FORMATS)
def test_gzip_accepts_our_gzip(
    client: Client, trouble: Question, tmp_path: Path, output: str
) -> None:
    """The program gzip finds one whole file in what is sent as gzip."""
    for number, route in enumerate(("direct", "cached", "cached")):
        file = tmp_path / f"{number}.gz"
        file.write_bytes(trouble.ask(client, route, format=output).wire)
        done = subprocess.run(  # noqa: S603 - our own file
            ["gzip", "-t", str(file)],  # noqa: S607 - whichever there is
            capture_output=True,
            check=False,
        )
        assert (0, b"") == (done.returncode, done.stderr)


@pytest.mark.parametrize("encodings", ["gzip, br", "br, gzip, deflate", "br;q=1.0, gzip;q=0.8, *"])
def test_gzip_is_called_gzip(client: Client, trouble: Question, encodings: str) -> None:
    """Whatever else a client takes, what it gets is labelled as what it is."""
    # Of other formats the local proxy makes Brotli for those who take it.
    answer = trouble.ask(client, headers={"Accept-Encoding": encodings}, format="ndjson")
    assert "gzip" == answer.headers["Content-Encoding"]
    assert b'"point"' in gzip.decompress(answer.wire)


@pytest.mark.parametrize("encodings", ["", "identity", "br", "gzip;q=0, *", "deflate, identity"])
@pytest.mark.parametrize("output", FORMATS)
def test_who_takes_no_gzip_gets_none(
    client: Client, upstream: FakeUpstream, trouble: Question, output: str, encodings: str
) -> None:
    """Clients that do not take gzip get plain bytes in every format."""
    takes_br = "br" in encodings and output == "json"
    for route in ("direct", "cached", "cached"):
        answer = trouble.ask(client, route, headers={"Accept-Encoding": encodings}, format=output)
        assert 200 == answer.status
        # The local proxy makes Brotli of JSON for those who take it; that is not ours.
        assert ("br" if takes_br else None) == answer.headers.get("Content-Encoding")
        if not takes_br:
            assert_same_data(upstream, trouble, answer, output)


@pytest.mark.parametrize(("accept", "output"), ACCEPTED)
def test_accept_chooses_the_format(
    client: Client, upstream: FakeUpstream, trouble: Question, accept: str, output: str
) -> None:
    """Without `format` the Accept header decides, and JSON where it says nothing of use."""
    answer = trouble.ask(client, headers={"Accept": accept})
    assert_same_data(upstream, trouble, answer, output)
    parameter = trouble.ask(client, headers={"Accept": accept}, format="ndjson")
    assert CONTENT_TYPES["ndjson"] == parameter.headers["Content-Type"]


def test_csv_to_the_byte(client: Client, upstream: FakeUpstream, site: str) -> None:
    """The rows of CSV are what RFC 4180 says, and null is not empty text."""
    name = f'{site} 1,"x"'
    values = ["45.50", None, "", "a,b", 'say "hi"', "two\nlines", True, "=1+1", "-5"]
    upstream.set_points(site, {name: [(START_MS + at, each) for at, each in enumerate(values)]})
    text = Question(site, [name], START_MS, START_MS + 9).ask(client, format="csv").text
    point = f'"{site} 1,""x"""'
    fields = ["45.50", "", '""', '"a,b"', '"say ""hi"""', '"two\nlines"', "true", "'=1+1", "-5"]
    rows = [f"2025-01-01T00:00:00.00{at}Z,{point},{field}\r\n" for at, field in enumerate(fields)]
    assert "time,point,value\r\n" + "".join(rows) == text


@pytest.mark.parametrize("output", FORMATS)
def test_nothing_in_every_format(
    client: Client, upstream: FakeUpstream, site: str, output: str
) -> None:
    """No samples at all are a header, no lines, or points with count 0."""
    upstream.set_points(site, {"a": [], "b": []})
    question = Question(site, ["b", "a"], START_MS, START_MS + DAY_MS)
    for route in ("direct", "cached", "cached"):
        for is_gzip in (True, False):
            answer = question.ask(client, route, gzip=is_gzip, format=output)
            assert_same_data(upstream, question, answer, output)
            nothing = {"csv": b"time,point,value\r\n", "ndjson": b""}
            assert nothing.get(output, answer.body) == answer.body


def test_messagepack_has_the_structure_of_json(client: Client, trouble: Question) -> None:
    """Decoded, MessagePack is the JSON document, `_meta` included."""
    trouble.ask(client)
    packed = msgspec.msgpack.decode(trouble.ask(client, format="msgpack").body)
    plain = trouble.ask(client).json()
    assert plain["data"] == packed["data"]
    for document in (plain, packed):
        for fickle in ("requestId", "duration", "timestamp"):
            document["_meta"].pop(fickle)
    assert plain["_meta"] == packed["_meta"]


def read_samples(answer: Answer, output: str) -> dict[str, list[list[Any]]]:
    """Return the samples of an answer by point; times of rows in epoch milliseconds."""
    assert 200 == answer.status, answer.text
    if output in ("json", "msgpack"):
        document = answer.json() if output == "json" else msgspec.msgpack.decode(answer.body)
        assert document["_meta"]["downsampled"] is True
        counts = [each["count"] for each in document["data"].values()]
        assert sum(counts) == document["_meta"]["samplesCount"]
        assert counts == [len(each["samples"]) for each in document["data"].values()]
        return {name: each["samples"] for name, each in document["data"].items()}
    found: dict[str, list[list[Any]]] = {}
    if output == "csv":
        rows = csv.DictReader(io.StringIO(answer.text, newline=""))
        parsed = [(row["point"], row["time"], json.loads(row["value"])) for row in rows]
    else:
        lines = [json.loads(line) for line in answer.text.splitlines()]
        parsed = [(line["point"], line["time"], line["value"]) for line in lines]
    for name, time, value in parsed:
        found.setdefault(name, []).append([epoch_ms(time), value])
    return found


def epoch_ms(time: str) -> int:
    """Return the epoch milliseconds of a time in these tests' first days."""
    day, clock = time.removesuffix("Z").split("T")
    hours, minutes, seconds = clock.split(":")
    minutes_since = (int(day[-2:]) - 1) * 1440 + int(hours) * 60 + int(minutes)
    return START_MS + minutes_since * MINUTE_MS + round(float(seconds) * 1000)


@pytest.mark.parametrize("output", FORMATS)
def test_peaks_stay_visible(client: Client, upstream: FakeUpstream, site: str, output: str) -> None:
    """At most N samples a point, all real, in order, with the first, the last and both extremes."""
    chance = random.Random(7)
    series = {
        f"{site}-{number}": [
            (START_MS + at * MINUTE_MS, f"{chance.gauss(50, 9):.2f}") for at in range(2000)
        ]
        for number in range(3)
    }
    series[f"{site}-0"][777] = (series[f"{site}-0"][777][0], "9999.00")
    series[f"{site}-0"][1234] = (series[f"{site}-0"][1234][0], "-9999.00")
    series[f"{site}-short"] = [(START_MS, "1.0"), (START_MS + MINUTE_MS, "2.0")]
    upstream.set_points(site, series)
    question = Question(site, list(series), START_MS, START_MS + 2 * DAY_MS)
    for route in ("direct", "cached", "cached"):
        for most in (2, 3, 4, 10, 97, 1000, 100_000):
            found = read_samples(
                question.ask(client, route, format=output, max_points=most), output
            )
            for name in series:
                every = loose_samples(upstream, question, name)
                kept = found[name]
                assert min(most, len(every)) >= len(kept)
                assert all(sample in every for sample in kept)
                assert sorted(kept) == kept
                assert (every[0], every[-1]) == (kept[0], kept[-1])
                if len(every) <= most:
                    assert every == kept
                if most >= 4:
                    values = [value for _, value in every]
                    assert {min(values), max(values)} <= {value for _, value in kept}
                if most >= 97:
                    # Buckets are used: not only the outline is left.
                    assert len(kept) > min(most, len(every)) / 3


def test_text_keeps_its_changes(client: Client, upstream: FakeUpstream, site: str) -> None:
    """Of a point of states, each change is there, however long it has lasted."""
    states = ["off"] * 500 + ["on"] * 3 + ["off"] * 700 + [None] * 40 + ["off"] * 300 + ["alarm"]
    upstream.set_points(
        site, {"p": [(START_MS + at * MINUTE_MS, state) for at, state in enumerate(states)]}
    )
    question = Question(site, ["p"], START_MS, START_MS + 2 * DAY_MS)
    found = question.ask(client, max_points=20).json()["data"]["p"]["samples"]
    changes = [
        [START_MS + at * MINUTE_MS, after]
        for at, (before, after) in enumerate(pairwise(states), start=1)
        if before != after
    ]
    assert len(found) <= 20
    assert all(change in found for change in changes)


def test_large_answers_are_streamed(client: Client, upstream: FakeUpstream, site: str) -> None:
    """Hundreds of thousands of samples come whole in every format, the length not told before."""
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 25 * DAY_MS, points=12, interval_s=60
    )
    question = Question(site, points, START_MS, START_MS + 25 * DAY_MS)
    samples = 12 * 25 * 1440
    expected = {name: loose_samples(upstream, question, name) for name in points}
    for status in ("miss", "hit"):
        answer = question.ask(client)
        assert (status, "chunked") == (
            answer.headers["X-Cache-Status"],
            answer.headers["Transfer-Encoding"],
        )
        data = answer.json()["data"]
        assert expected == {name: each["samples"] for name, each in data.items()}
        # Whether streamed or not, what the cache did is counted to the end.
        cached = samples if status == "hit" else 0
        assert (samples - cached, cached) == cache_of(answer)[2:4]
    lines = question.ask(client, format="csv").text.splitlines()
    last = f"2025-01-25T23:59:00.000Z,{points[-1]},"
    assert samples + 1 == len(lines)
    assert lines[-1].startswith(last)
    assert expected[points[-1]][-1][1] == float(lines[-1].removeprefix(last))
    assert samples == question.ask(client, format="ndjson", gzip=False).text.count("\n")
    cut = (START_MS + 5 * DAY_MS + 1_234_567, START_MS + 22 * DAY_MS - 7_654_321)
    for start_ms, end_ms in (cut, (START_MS, START_MS + 25 * DAY_MS)):
        few = Question(site, points[:2], start_ms, end_ms)
        for max_points in (50, 1_000):
            answer = few.ask(client, max_points=max_points)
            assert "hit" == answer.headers["X-Cache-Status"]
            found = answer.json()["data"]
            for name in few.points:
                plain = [
                    (ms, json.dumps(value))
                    for ms, value in expected[name]
                    if start_ms <= ms < end_ms
                ]
                assert finest(plain, max_points) == (
                    found[name]["level"],
                    [(ms, json.dumps(value)) for ms, value in found[name]["samples"]],
                )
