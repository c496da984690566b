"""
Random sequences of requests, purges and faults, every answer compared with the upstream's data.

The same seed gives the same requests. Separate because several Workers go through them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from fakes.upstream import FakeUpstream
from fakes.upstream_series import Wire
from integration.harness.client import Answer, Client, until
from integration.harness.oracle import (
    DAY_MS,
    FORMATS,
    HOUR_MS,
    START_MS,
    Question,
    assert_problem,
    assert_same_data,
    loose_samples,
)

DAYS = 6
POINTS = 8
INTERVAL_MS = 900_000
BURST = 6
# What may strike some requests: failures, and habits that must not matter.
FAULTS = (
    *("429", "500", "503", "cut", "invalid_json", "invalid_utf8", "wrong_shape", "html"),
    *("reset", "no_cursor", "repeating_cursor", "unordered", "duplicates", "outside_range"),
    *("time_formats", "ignores_point_names", "gzip", "empty_pages", "nan_literals"),
)
STATES = ("off", "on", "alarm", "", "a,b")


def fill_site(upstream: FakeUpstream, site: str, seed: int) -> list[str]:
    """Give a site points of all kinds, with outages and duplicates; returns their names."""
    chance = random.Random(seed)
    points: dict[str, list[tuple[int, Wire]]] = {}
    for number in range(POINTS):
        name = f"{site}/{number}{', listed' if number == 5 else ''}"
        samples: list[tuple[int, Wire]] = []
        start = chance.randrange(0, 40)
        for at in range(start, DAYS * 96 - start):
            if chance.random() < 0.1:
                continue
            value: Wire = f"{chance.gauss(70, 9):.2f}"
            if number == 1:
                value = chance.choice(STATES)
            elif chance.random() < 0.02:
                value = None
            if chance.random() < 0.05:
                samples.append((START_MS + at * INTERVAL_MS, "-1.00"))
            samples.append((START_MS + at * INTERVAL_MS, value))
        points[name] = [] if number == 7 else samples
    upstream.set_points(site, points)
    return list(points)


class RandomSequence:
    """
    One run of a sequence.

    Attributes:
        seen: How often each cache status came, "error" and "bad" among them.
    """

    def __init__(
        self, client: Client, upstream: FakeUpstream, site: str, *, seed: int, worst: int
    ) -> None:
        """
        Args:
            client: Sends to the Worker.
            upstream: Where the Worker fetches.
            site: A new one; its points are made.
            seed: Of all that is random.
            worst: Most requests in a row that a fault strikes; 0 for no faults at all.
        """
        self.seen: Counter[str] = Counter()
        self._client, self._upstream, self._site = client, upstream, site
        self._chance = random.Random(seed)
        self._worst = worst
        self._points = fill_site(upstream, site, seed)

    def use(self, client: Client) -> None:
        """Go on with another Worker."""
        self._client = client

    def run(self, count: int) -> None:
        """Send so many requests, each after what may happen in between."""
        for number in range(count):
            chance = self._chance.random()
            if chance < 0.06:
                self._purge()
            elif chance < 0.16 and self._worst:
                kind = self._chance.choice(FAULTS)
                self._upstream.faults.times(self._site, kind, self._chance.randint(1, self._worst))
            elif chance < 0.20:
                self._burst(number)
            self._judge(number, *self._ask())

    def finish(self) -> None:
        """Without further faults, see that every point is right from end to end."""
        self._upstream.faults.clear(self._site)
        question = Question(self._site, self._points, START_MS - DAY_MS, START_MS + 7 * DAY_MS)

        def is_new() -> bool:
            answer = question.ask(self._client)
            return answer.status == 200 and answer.headers["X-Cache-Status"] != "stale"

        # A failure is remembered for some seconds.
        until(is_new, what="answer without a failure")
        for output in FORMATS:
            assert_same_data(
                self._upstream, question, question.ask(self._client, format=output), output
            )

    def _question(self) -> Question:
        names = self._chance.sample(self._points, self._chance.choice((1, 2, 3, POINTS)))
        start_ms = START_MS - HOUR_MS + self._chance.randrange(0, DAYS * 24) * HOUR_MS
        start_ms += self._chance.choice((0, 0, 0, 1, -1, 450_000))
        length_ms = self._chance.choice((1, HOUR_MS, 6 * HOUR_MS, DAY_MS, DAY_MS, 2 * DAY_MS))
        return Question(self._site, names, start_ms, start_ms + length_ms)

    def _ask(self) -> tuple[Question, dict[str, object], Answer]:
        question, more = self._question(), self._options()
        gzip = self._chance.random() < 0.6
        route = self._chance.choice(("cached",) * 8 + ("direct",))
        return question, more, question.ask(self._client, route, gzip=gzip, **more)

    def _options(self) -> dict[str, object]:
        more: dict[str, object] = {"format": self._chance.choice(("json", *FORMATS))}
        if self._chance.random() < 0.1:
            more = {"format": "json", "max_points": self._chance.choice((2, 7, 50))}
        return more

    def _judge(
        self, number: int, question: Question, more: dict[str, object], answer: Answer
    ) -> None:
        if answer.status != 200:
            # Honest only where a fault was made to last longer than patience.
            assert self._worst, (number, answer.text)
            assert_problem(answer, 502, 504)
            self.seen["error"] += 1
            return
        status = answer.headers["X-Cache-Status"]
        self.seen[status] += 1
        if status == "stale":
            assert self._worst, (number, answer.text)
            if "json" == more["format"]:
                _judge_stale(self._upstream, question, answer, is_chosen="max_points" in more)
        elif "max_points" in more:
            _judge_chosen(self._upstream, question, answer, int(str(more["max_points"])))
        else:
            assert_same_data(self._upstream, question, answer, str(more["format"]))

    def _burst(self, number: int) -> None:
        """Ask several questions at once, some of them the same."""
        questions = [self._question() for _ in range(BURST // 2)] * 2
        with ThreadPoolExecutor(BURST) as pool:
            answers = list(pool.map(lambda each: each.ask(self._client), questions))
        for question, answer in zip(questions, answers, strict=True):
            self._judge(number, question, {"format": "json"}, answer)

    def _purge(self) -> None:
        """Make the cache forget the site, some points, or some time."""
        kind = self._chance.randrange(3)
        params: list[tuple[str, object]] = [("site", self._site)]
        if kind == 1:
            params += [("point", each) for each in self._chance.sample(self._points, 2)]
        elif kind == 2:
            start_ms = START_MS + self._chance.randrange(DAYS) * DAY_MS
            params += [("start_time", start_ms), ("end_time", start_ms + DAY_MS)]
        answer = self._client.delete("/api/cache", params)
        assert 200 == answer.status, answer.text


def _judge_stale(
    upstream: FakeUpstream, question: Question, answer: Answer, *, is_chosen: bool
) -> None:
    """See that a stale answer has only the truth, and all of it but what it says it lacks."""
    document = answer.json()
    missing = document["_meta"]["cache"]["missing"]
    for name in question.points:
        every: Sequence[list[object]] = loose_samples(upstream, question, name)
        kept = document["data"][name]["samples"]
        assert all(sample in every for sample in kept), (question, name)
        lacking = [int(str(sample[0])) for sample in every if sample not in kept]
        assert is_chosen or all(
            any(start <= ms < end for start, end in missing) for ms in lacking
        ), (question, name)


def _judge_chosen(
    upstream: FakeUpstream, question: Question, answer: Answer, max_points: int
) -> None:
    data = answer.json()["data"]
    for name in question.points:
        every: Sequence[list[object]] = loose_samples(upstream, question, name)
        kept = data[name]["samples"]
        assert min(len(every), max_points) >= len(kept)
        assert all(sample in every for sample in kept)
        assert kept[:1] == every[:1]
        assert kept[-1:] == every[-1:]
