"""Real meter data: what the files say comes out of every route, to the last digit."""

from __future__ import annotations

import csv
import gzip
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fakes.upstream import FakeUpstream
from integration.harness.client import Client, until
from integration.harness.oracle import DAY_MS, HOUR_MS, Digits, Question, cache_of, read_exact
from integration.test_direct import ask_at_random

DATA = Path(__file__).resolve().parents[1] / "data"
SITE = "real-meters"
REQUESTS = 200
LENGTHS_MS = (1, HOUR_MS, 25 * HOUR_MS, 7 * DAY_MS, 31 * DAY_MS)

Meters = dict[str, dict[int, str]]


@pytest.fixture(scope="module")
def meters(upstream: FakeUpstream) -> Meters:
    """The files' readings, by name and epoch milliseconds, which the upstream has too."""
    found: Meters = {}
    for path in sorted(DATA.glob("*.csv.gz")):
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            readings = found[path.name.removesuffix(".csv.gz")] = {}
            for row in list(csv.reader(file))[1:]:
                moment = datetime.fromisoformat(row[-2])
                if moment.tzinfo is None:
                    moment = moment.replace(tzinfo=UTC)
                readings[int(moment.timestamp()) * 1000] = row[-1]
    assert 5 == len(found)
    upstream.set_points(
        SITE,
        {
            name: [(ms, text or None) for ms, text in readings.items()]
            for name, readings in found.items()
        },
        interval_s=3600,
    )
    return found


def file_samples(meters: Meters, question: Question, name: str) -> list[list[Digits | None]]:
    """Return what a file says of a range; empty readings are null."""
    return [
        [Digits(str(ms)), Digits(text) if text else None]
        for ms, text in sorted(meters[name].items())
        if question.start_ms <= ms < question.end_ms
    ]


def all_of(meters: Meters) -> Question:
    """Return the question for everything."""
    times = [ms for readings in meters.values() for ms in readings]
    return Question(SITE, list(meters), min(times), max(times) + 1)


def test_random_questions_get_what_the_files_say(client: Client, meters: Meters) -> None:
    """Points, ranges, spellings: always the readings of the files, unchanged."""
    chance, whole, samples = random.Random(2), all_of(meters), 0
    for number in range(REQUESTS):
        names = chance.sample(whole.points, chance.choice((1, 1, 2, 5)))
        of_one = sorted(meters[names[0]])
        start_ms = chance.choice(of_one) + chance.choice((0, 0, 1, -1, 1_800_000))
        question = Question(SITE, names, start_ms, start_ms + chance.choice(LENGTHS_MS))
        answer, sent = ask_at_random(client, question, chance)
        assert 200 == answer.status, (number, sent, answer.text)
        found = read_exact(answer.body)["data"]
        assert names == list(found)
        for name in names:
            expected = file_samples(meters, question, name)
            assert expected == found[name]["samples"], (number, question)
            samples += len(expected)
    assert samples > 10 * REQUESTS


@pytest.mark.parametrize("number", range(5))
def test_whole_files_through_the_cache(client: Client, meters: Meters, number: int) -> None:
    """All years of a meter are a cached request: fetched once, found again, year by year too."""
    name = list(meters)[number]
    times = sorted(meters[name])
    question = Question(SITE, [name], times[0], times[-1] + 1)
    expected = file_samples(meters, question, name)
    assert len(expected) > 19_000
    for status in ("miss", "hit"):
        answer = question.ask(client, None)
        assert (status, "cached") == (cache_of(answer)[0], answer.headers["X-Route-Type"])
        assert expected == read_exact(answer.body)["data"][name]["samples"]
    for start_ms in range(times[0], times[-1], 100 * DAY_MS):
        part = question._replace(
            start_ms=start_ms, end_ms=min(start_ms + 100 * DAY_MS, question.end_ms)
        )
        answer = part.ask(client)
        assert "hit" == answer.headers["X-Cache-Status"]
        of_part = file_samples(meters, part, name)
        assert of_part == read_exact(answer.body)["data"][name]["samples"]


def test_all_files_as_one_job(client: Client, meters: Meters, upstream: FakeUpstream) -> None:
    """All years of all meters are a job; its result is what the files say."""
    client.delete("/api/cache", {"site": SITE})
    upstream.clear_log(SITE)
    question = all_of(meters)
    queued = client.post("/api/timeseries", question.document())
    assert 202 == queued.status, queued.text
    url = queued.json()["statusUrl"]
    job = until(
        lambda: (found := client.get(url).json())["status"] == "completed" and found,
        60,
        what="completed job",
    )
    readings = sum(len(each) for each in meters.values())
    assert readings == job["samplesCount"] == upstream.samples_sent(SITE)
    found = read_exact(client.get(job["dataUrl"]).body)["data"]
    for name in meters:
        assert file_samples(meters, question, name) == found[name]["samples"]
    again = question.ask(client, None)
    assert ("true", "cached") == (again.headers["X-Cache-Hit"], again.headers["X-Route-Type"])
