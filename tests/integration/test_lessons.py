"""What the system this one follows got wrong, as far as no other test looks for it."""

from __future__ import annotations

import itertools
import random
from functools import reduce

import pytest

from fakes.upstream import FakeUpstream
from integration.harness.brittle_worker import PAGE_SIZE, BrittleWorker
from integration.harness.client import Client, until
from integration.harness.oracle import (
    DAY_MS,
    HOUR_MS,
    START_MS,
    Question,
    assert_exact,
    assert_problem,
    cache_of,
)


def test_hours_of_a_day_are_told_apart(client: Client, upstream: FakeUpstream, site: str) -> None:
    """12:00 to 18:00 is not answered with 00:00 to 06:00 of the same day, in any order."""
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=2)
    hours = list(itertools.combinations(range(0, 25, 6), 2))
    random.Random(1).shuffle(hours)
    for first, last in hours * 2:
        question = Question(site, points, START_MS + first * HOUR_MS, START_MS + last * HOUR_MS)
        document = assert_exact(upstream, question, question.ask(client))
        times = [ms for ms, _ in document["data"][points[0]]["samples"]]
        assert times == list(range(question.start_ms, question.end_ms, 300_000))


def java_hash(text: str) -> int:
    """Return the 32 bits that the usual `31 * hash + character` makes of a text."""
    return reduce(lambda value, each: (31 * value + ord(each)) & 0xFFFFFFFF, text, 0)


def test_selections_with_the_same_short_hash_are_told_apart(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """Selections that collide in 32 bits, made on purpose, each get their own data."""
    names = ["".join(pairs) for pairs in itertools.product(("Aa", "BB", "C#"), repeat=3)]
    assert 1 == len({java_hash(name) for name in names})
    upstream.set_points(
        site, {name: [(START_MS, f"{number}.0")] for number, name in enumerate(names)}
    )
    selections = [[name] for name in names]
    selections += [list(pair) for pair in itertools.pairwise(names)]
    for status in ("miss", "hit"):
        tags = set()
        for selection in selections:
            question = Question(site, selection, START_MS, START_MS + DAY_MS)
            answer = question.ask(client)
            assert_exact(upstream, question, answer)
            assert answer.headers["X-Cache-Status"] == (status if len(selection) == 1 else "hit")
            tags.add(answer.headers["ETag"])
        assert len(selections) == len(tags)


def test_random_selections_are_told_apart(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """Hundreds of three-point selections of one site each get their own points."""
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=40, interval_s=7200
    )
    chance = random.Random(3)
    for _ in range(300):
        question = Question(site, chance.sample(points, 3), START_MS, START_MS + DAY_MS)
        assert_exact(upstream, question, question.ask(client))
    # Forty points were fetched, not nine hundred.
    assert 40 * 12 == upstream.samples_sent(site)


@pytest.mark.parametrize("route", ["direct", "cached"])
def test_there_is_no_last_page_but_the_last(brittle: BrittleWorker, site: str, route: str) -> None:
    """A result of more than a hundred pages is read to its end."""
    upstream, days = brittle.upstream, 10
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + days * DAY_MS, points=5
    )
    question = Question(site, points, START_MS, START_MS + days * DAY_MS)
    answer = question.ask(brittle.client, route)
    assert_exact(upstream, question, answer)
    assert 5 * days * 288 == cache_of(answer)[2] > 101 * PAGE_SIZE
    assert 5 * days * 288 / PAGE_SIZE <= cache_of(answer)[4] == upstream.requests_for(site)


def test_nothing_is_not_kept_for_long(brittle: BrittleWorker, site: str) -> None:
    """An answer without samples expires like any other, and then has those that came since."""
    upstream = brittle.upstream
    upstream.set_points(site, {"p": []})
    question = Question(site, ["p"], START_MS, START_MS + DAY_MS)
    document = assert_exact(upstream, question, question.ask(brittle.client))
    assert 0 == document["data"]["p"]["count"]
    upstream.add_samples(site, "p", [(START_MS, "45.50")])
    until(lambda: question.ask(brittle.client).json()["data"]["p"]["count"], what="the sample")
    assert_exact(upstream, question, question.ask(brittle.client))


def test_ninety_repeats_are_hits(client: Client, upstream: FakeUpstream, site: str) -> None:
    """What was stored is found, each time: the store is awaited by somebody."""
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=3)
    question = Question(site, points, START_MS, START_MS + DAY_MS)
    question.ask(client)
    statuses = [question.ask(client).headers["X-Cache-Status"] for _ in range(90)]
    assert ["hit"] * 90 == statuses
    assert 1 == upstream.requests_for(site)


def test_a_job_fetches_its_points_alone(client: Client, upstream: FakeUpstream, site: str) -> None:
    """Of a site with many points a job fetches those it is for, and each sample once."""
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=500, interval_s=3600
    )
    question = Question(site, points[100:160], START_MS, START_MS + DAY_MS)
    queued = client.post("/api/timeseries", question.document(route="queued"))
    assert 202 == queued.status, queued.text
    url = queued.json()["statusUrl"]
    job = until(
        lambda: (found := client.get(url).json())["status"] == "completed" and found,
        what="completed job",
    )
    assert_exact(upstream, question, client.get(job["dataUrl"]))
    assert 60 * 24 == upstream.samples_sent(site)
    asked = {name for one in upstream.log(site) for name in one.names or ()}
    assert set(question.points) == asked


def test_prototypes_are_points_like_others(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """Points that JavaScript objects have by nature are answered, also where there are none."""
    names = ["constructor", "__proto__", "toString", "valueOf"]
    upstream.set_points(site, {name: [] for name in [*names, "p"]})
    for route in ("direct", "cached", "cached"):
        question = Question(site, names, START_MS, START_MS + DAY_MS)
        document = assert_exact(upstream, question, question.ask(client, route))
        assert names == list(document["data"])


@pytest.mark.parametrize("site_name", ["..", ".", "%2e%2e", "a%2F..", "a\\..", "../sites"])
def test_sites_lead_nowhere_else(client: Client, upstream: FakeUpstream, site_name: str) -> None:
    """No site walks up the upstream's path: it is refused and the upstream hears nothing."""
    before = {name: len(logged) for name, logged in upstream.requests.items()}
    query = f"site={site_name}&points=a&start_time=2025-01-01&end_time=2025-01-02"
    for route in ("direct", "cached", "queued"):
        assert_problem(client.get(f"/api/timeseries?{query}&route={route}"), 400)
    odd = {
        name: logged
        for name, logged in upstream.requests.items()
        if name not in before and "." in name
    }
    assert {} == odd
