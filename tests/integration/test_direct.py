"""The direct route: what the upstream has, to the last digit, however it is asked for."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest

from demo.instants import parse_ms
from demo.sites import SITES, demo_site
from demo.sources import Position, Query
from demo.traits import KIND
from fakes.upstream import FakeUpstream, RawJson
from fakes.upstream_series import Wire
from integration.harness.client import Answer, Client
from integration.harness.oracle import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    Question,
    assert_exact,
    cache_of,
    spelled,
)

REQUESTS = 200
DEMO_DAYS = 3
# Time of a question, from a part of a second to more than all there is.
LENGTHS_MS = (1, 999, MINUTE_MS, 7 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS, 5 * DAY_MS)
_RAW_VALUE = re.compile(r'"value":(.+),"time":"[^"]+"}')

# What an upstream may send as a value, and the JSON text that must come of it.
VALUES: tuple[tuple[Wire, str], ...] = (
    ("45.50", "45.50"),
    ("100", "100"),
    ("-0", "-0"),
    ("-0.0", "-0.0"),
    ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
    ("12345678901234567890123", "12345678901234567890123"),
    ("1e5", "1e5"),
    ("1E-7", "1E-7"),
    (RawJson("45.50"), "45.50"),
    (RawJson("1.0"), "1.0"),
    (RawJson("0.30000000000000004"), "0.30000000000000004"),
    (RawJson("9007199254740993"), "9007199254740993"),
    ("+5", "5"),
    (".5", "0.5"),
    ("5.", "5"),
    (" 7.10 ", "7.10"),
    ("NaN", "null"),
    ("-Infinity", "null"),
    ("1e999", '"1e999"'),
    ("12E-4567", '"12E-4567"'),
    ("0E5", "0E5"),
    (RawJson("1e999"), "null"),
    (None, "null"),
    (True, "true"),
    (False, "false"),
    ("true", '"true"'),
    ("occupied", '"occupied"'),
    ("", '""'),
    ("007", '"007"'),
    ("0x1F", '"0x1F"'),
    ("1,5", '"1,5"'),
    ("1_000", '"1_000"'),
    ('say "hi"\n\\', r'"say \"hi\"\n\\"'),
    ("21 °C, грею 🔥", '"21 °C, грею 🔥"'),
)


def copy_demo_site(upstream: FakeUpstream, site: str) -> list[str]:
    """Give *site* some days of the demo's first site, values byte by byte; returns its points."""
    item, source = demo_site(SITES[0], KIND)
    demo = str(item["name"])
    end_ms = START_MS + DEMO_DAYS * DAY_MS
    points: dict[str, list[tuple[int, Wire]]] = {
        str(point["name"]).replace(demo, site): [] for point in source.points
    }
    page = source.page(Query(None, START_MS, end_ms), Position(START_MS), 10**9, end_ms)
    for text in page.items:
        sample = json.loads(text)
        raw = _RAW_VALUE.search(text)
        assert raw is not None
        points[sample["name"].replace(demo, site)].append(
            (parse_ms(sample["time"]), RawJson(raw[1]))
        )
    upstream.set_points(site, points)
    return list(points)


def ask_at_random(
    client: Client, question: Question, chance: random.Random
) -> tuple[Answer, dict[str, object]]:
    """Ask by GET or POST, times in one of many spellings; returns the answer and what was sent."""
    sent: dict[str, object] = {
        "start_time": spelled(question.start_ms, chance),
        "end_time": spelled(question.end_ms, chance),
        "route": "direct",
    }
    gzip = chance.random() < 0.5
    if chance.random() < 0.4:
        document = question.document(**sent)
        return client.post("/api/timeseries", document, accepts_gzip=gzip), document
    if not any("," in point for point in question.points) and chance.random() < 0.7:
        sent |= {"site": question.site, "points": ",".join(question.points)}
        return client.get("/api/timeseries", sent, accepts_gzip=gzip), sent
    parameters = question.parameters(**sent)
    return client.get("/api/timeseries", parameters, accepts_gzip=gzip), dict(parameters)


def random_question(site: str, points: list[str], chance: random.Random) -> Question:
    """Return some points over some range, which may begin before all data or end behind it."""
    names = chance.sample(points, chance.choice((1, 1, 2, 3, 6)))
    if chance.random() < 0.15:
        names.append(f"{site}/nobody/knows this")
    start_ms = START_MS - DAY_MS + chance.randrange((DEMO_DAYS + 1) * DAY_MS)
    start_ms -= start_ms % chance.choice((1, 1000, 5 * MINUTE_MS, HOUR_MS))
    return Question(site, names, start_ms, start_ms + chance.choice(LENGTHS_MS))


def test_random_questions_get_the_upstreams_data(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """Points, ranges, spellings, GET and POST, gzip or not: always the upstream's own digits."""
    points = copy_demo_site(upstream, site)
    chance, samples = random.Random(20_250_101), 0
    for number in range(REQUESTS):
        question = random_question(site, points, chance)
        answer, sent = ask_at_random(client, question, chance)
        assert 200 == answer.status, (number, sent, answer.text)
        before = samples
        samples += assert_exact(upstream, question, answer)["_meta"]["samplesCount"]
        status, fetched, count, cached, requests = cache_of(answer)
        assert ("bypass", 0, samples - before) == (status, cached, count)
        assert [[question.start_ms, question.end_ms]] == fetched
        assert requests >= 1
        assert "ETag" not in answer.headers
        assert "no-store" == answer.headers["Cache-Control"]
    assert samples > 10 * REQUESTS


def test_values_keep_their_digits_and_types(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """Each kind of value the upstream may send becomes the JSON text that api.md says."""
    sent = {"p": [(START_MS + number, value) for number, (value, _) in enumerate(VALUES)]}
    upstream.set_points(site, sent)
    expected = ",".join(f"[{START_MS + number},{text}]" for number, (_, text) in enumerate(VALUES))
    question = Question(site, ["p"], START_MS, START_MS + len(VALUES))
    for route in ("direct", "cached", "cached"):
        for gzip in (True, False):
            answer = question.ask(client, route, gzip=gzip)
            assert 200 == answer.status, answer.text
            assert f'"samples":[{expected}]' in answer.text, route


def test_ranges_are_half_open(client: Client, upstream: FakeUpstream, site: str) -> None:
    """The sample at the start belongs to the range, the one at the end does not."""
    upstream.set_points(site, {"p": [(START_MS + number, str(number)) for number in range(5)]})
    for route in ("direct", "cached"):
        question = Question(site, ["p"], START_MS + 1, START_MS + 3)
        document = assert_exact(upstream, question, question.ask(client, route))
        assert [[START_MS + 1, 1], [START_MS + 2, 2]] == document["data"]["p"]["samples"]


@pytest.mark.parametrize(
    ("size", "route"),
    [
        pytest.param((9, 1), "direct", id="900 estimated"),
        pytest.param((10, 1), "cached", id="1,000 estimated"),
        pytest.param((1, 9), "direct", id="one point for nine days"),
        pytest.param((1, 10), "cached", id="one point for ten days"),
    ],
)
def test_size_decides_on_the_route(
    client: Client, upstream: FakeUpstream, site: str, size: tuple[int, int], route: str
) -> None:
    """Below 1,000 estimated samples a request is direct, from there on cached."""
    points, days = size
    end_ms = START_MS + days * DAY_MS
    names = upstream.add_generated(
        site, start_ms=START_MS, end_ms=end_ms, points=points, interval_s=3600
    )
    question = Question(site, names, START_MS, end_ms)
    answer = question.ask(client, None)
    assert_exact(upstream, question, answer)
    assert route == answer.headers["X-Route-Type"]


def test_above_a_hundred_thousand_it_is_queued(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """Above 100,000 estimated samples it becomes a job, and the direct route says what fits."""
    names = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + HOUR_MS, points=2, interval_s=900
    )
    question = Question(site, names, START_MS, START_MS + 501 * DAY_MS)
    assert 202 == question.ask(client, None).status
    answer = question.ask(client, "direct")
    assert (413, True) == (answer.status, "500 days of these points" in answer.text)
    shorter = question._replace(end_ms=START_MS + 500 * DAY_MS)
    answer = shorter.ask(client, "direct")
    assert "direct" == answer.headers["X-Route-Type"]
    assert_exact(upstream, shorter, answer)


def test_duplicate_points_count_once(client: Client, upstream: FakeUpstream, site: str) -> None:
    """A point named twice is answered once, in the place of its first name."""
    upstream.set_points(site, {name: [(START_MS, name)] for name in "abc"})
    answer = Question(site, ["c", "a", "c", "b", "a"], START_MS, START_MS + DAY_MS).ask(
        client, "direct"
    )
    document: dict[str, Any] = answer.json()
    assert ["c", "a", "b"] == list(document["data"])
    assert 300 == document["_meta"]["estimatedSamples"]
    assert 3 == document["_meta"]["samplesCount"]


def test_points_without_data_are_in_the_answer(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """A point that has no samples has count 0; one that the site does not have also says that."""
    upstream.set_points(site, {"empty": [], "filled": [(START_MS, "1")]})
    upstream.set_points(f"{site}-bare", {})
    question = Question(site, ["nowhere", "filled", "empty"], START_MS, START_MS + DAY_MS)
    assert_exact(upstream, question, question.ask(client, "direct"))
    none = Question(f"{site}-bare", ["a", "b"], START_MS, START_MS + DAY_MS).ask(client, "direct")
    nothing = {"samples": [], "count": 0, "error": "unknown point"}
    assert {"a": nothing, "b": nothing} == none.json()["data"]


def test_only_the_points_asked_for_are_fetched(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """The upstream is asked for the named points, with the token, and for the site's list."""
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=50)
    question = Question(site, points[3:6], START_MS, START_MS + DAY_MS)
    assert_exact(upstream, question, question.ask(client, "direct"))
    (asked,) = upstream.fetches(site)
    assert ("POST", "/api/points/get_timeseries") == (asked.method, asked.path)
    assert {"points": [{"name": name} for name in points[3:6]]} == json.loads(asked.body)
    assert {"start_time": "2024-12-31T23:59:59.000Z", "end_time": "2025-01-02T00:00:00.000Z"} == (
        asked.params
    )
    assert (question.start_ms, question.end_ms) == asked.range_ms
    assert 3 * 288 == upstream.samples_sent(site)
    (listed,) = upstream.log(site, "configured_points")
    assert f"Bearer {upstream.token}" == asked.headers["authorization"]
    assert f"Bearer {upstream.token}" == listed.headers["authorization"]
    assert [] == [each.kind for each in upstream.log(site) if each not in (asked, listed)]


def test_many_long_names_take_several_requests(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """More names than one call takes are shared out, and all are answered."""
    names = [f"{site}/{'long device name/' * 5}{number:04d}" for number in range(300)]
    upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + DAY_MS, interval_s=7200, names=names
    )
    question = Question(site, names, START_MS, START_MS + DAY_MS)
    answer = client.post("/api/timeseries", question.document(route="direct"))
    assert_exact(upstream, question, answer)
    assert 3 == cache_of(answer)[4] == upstream.requests_for(site)
    assert {100} == {len(one.names or ()) for one in upstream.fetches(site)}
    assert upstream.max_concurrency(site) <= 4
