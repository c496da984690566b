"""The cached route: what is known is not fetched again, and every answer says exactly what was."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fakes.upstream import FakeUpstream
from integration.harness.client import Answer, Client, until
from integration.harness.oracle import (
    DAY_MS,
    HOUR_MS,
    START_MS,
    Question,
    assert_exact,
    assert_problem,
    cache_of,
    exact_samples,
    iso,
    read_iso,
)

PER_DAY = 288
DAYS = 30
# What may be fetched twice where fifty fetch at once: who waits asks for the own part when that is
# sooner than somebody else's fetch seems to be, and a busy machine makes that look late.
OVERLAP_WASTE = 1.1
# Points of a site for each that is asked for: with few others, its pages would be as cheap.
SITE_SHARE = 3


class Chart:
    """
    A site with points at 5 minutes, whose answers are checked by what the upstream has and saw.

    Attributes:
        points: Those of the site's points that are asked for.
    """

    def __init__(self, client: Client, upstream: FakeUpstream, site: str, points: int = 3) -> None:
        self.client, self.upstream, self.site = client, upstream, site
        self.points = upstream.add_generated(
            site, start_ms=START_MS, end_ms=START_MS + DAYS * DAY_MS, points=SITE_SHARE * points
        )[:points]

    def question(self, start: float, end: float, points: list[str] | None = None) -> Question:
        """Return the question for points over days from the start on."""
        names = self.points if points is None else points
        return Question(
            self.site, names, START_MS + round(start * DAY_MS), START_MS + round(end * DAY_MS)
        )

    def ask(
        self, start: float, end: float, points: list[str] | None = None
    ) -> tuple[str, list[list[float]], int, int, int]:
        """
        Ask, and see that the answer is exact and tells what really went upstream.

        Returns:
            Status, ranges fetched in days from the start, samples fetched, samples from the cache,
            requests.
        """
        question = self.question(start, end, points)
        seen, sent = self.upstream.requests_for(self.site), self.upstream.samples_sent(self.site)
        answer = question.ask(self.client)
        assert_exact(self.upstream, question, answer)
        status, fetched, count, cached, requests = cache_of(answer)
        assert requests == self.upstream.requests_for(self.site) - seen
        assert count == self.upstream.samples_sent(self.site) - sent
        days = [[(ms - START_MS) / DAY_MS for ms in each] for each in fetched]
        return status, days, count, cached, requests


@pytest.fixture
def chart(client: Client, upstream: FakeUpstream, site: str) -> Chart:
    """A site with three points."""
    return Chart(client, upstream, site)


def test_a_miss_and_then_hits(chart: Chart) -> None:
    """The first request fetches all, at one go; every later one nothing."""
    count = 3 * PER_DAY
    assert ("miss", [[2, 3]], count, 0, 1) == chart.ask(2, 3)
    for _ in range(5):
        assert ("hit", [], 0, count, 0) == chart.ask(2, 3)


def test_a_part_of_what_is_known_is_a_hit(chart: Chart) -> None:
    """Any part of a known range, and any of its points, is known."""
    chart.ask(2, 5)
    assert ("hit", [], 0, 3 * PER_DAY, 0) == chart.ask(3, 4)
    assert ("hit", [], 0, 3 * 36, 0) == chart.ask(2.5, 2.625)
    assert ("hit", [], 0, PER_DAY, 0) == chart.ask(2, 3, chart.points[1:2])
    assert ("hit", [], 0, 2 * PER_DAY, 0) == chart.ask(4, 5, chart.points[::-2])


def test_of_a_range_that_slides_only_the_new_is_fetched(chart: Chart) -> None:
    """Forwards and backwards, an overlapping range fetches what sticks out."""
    chart.ask(5, 8)
    assert ("partial", [[8, 9]], 3 * PER_DAY, 6 * PER_DAY, 1) == chart.ask(6, 9)
    assert ("partial", [[4, 5]], 3 * PER_DAY, 6 * PER_DAY, 1) == chart.ask(4, 7)
    assert ("partial", [[9, 9.25]], 3 * 72, 3 * 72, 1) == chart.ask(8.75, 9.25)
    assert ("hit", [], 0, 3 * 5.25 * PER_DAY, 0) == chart.ask(4, 9.25)


def test_holes_are_filled(chart: Chart) -> None:
    """Between two known ranges the gap is fetched, and around a known one both sides are."""
    chart.ask(1, 2)
    chart.ask(3, 4)
    assert ("partial", [[2, 3]], 3 * PER_DAY, 6 * PER_DAY, 1) == chart.ask(1, 4)
    assert ("partial", [[0, 1], [4, 5]], 6 * PER_DAY, 9 * PER_DAY, 2) == chart.ask(0, 5)


def test_only_new_points_are_fetched(chart: Chart) -> None:
    """One more point fetches that point, for the whole range, and no other."""
    chart.ask(0, 2, chart.points[:2])
    found = chart.ask(0, 2)
    assert ("partial", [[0, 2]], 2 * PER_DAY, 4 * PER_DAY, 1) == found
    assert (chart.points[2],) == chart.upstream.fetches(chart.site)[-1].names


def test_points_that_miss_different_times(chart: Chart) -> None:
    """Of points known over different ranges each fetches its own gaps, those alike together."""
    first, second, third = chart.points
    chart.ask(0, 2, [first])
    chart.ask(1, 3, [second])
    status, fetched, count, cached, requests = chart.ask(0, 3)
    assert ("partial", [[0, 3]], 5 * PER_DAY, 4 * PER_DAY) == (status, fetched, count, cached)
    assert requests <= 3
    assert ("hit", [], 0, 9 * PER_DAY, 0) == chart.ask(0, 3, [third, first, second])


def test_two_sites_are_two(client: Client, upstream: FakeUpstream, site: str) -> None:
    """What is known of a point at its own site is never given to who asks at another."""
    upstream.set_points(f"{site}-1", {"p": [(START_MS, "1.0")]})
    upstream.set_points(f"{site}-2", {"q": [(START_MS, "2.0")]})
    for status in ("miss", "hit"):
        for number, own in ((1, "p"), (2, "q")):
            question = Question(f"{site}-{number}", ["p", "q"], START_MS, START_MS + DAY_MS)
            answer = question.ask(client)
            data = assert_exact(upstream, question, answer)["data"]
            assert {own: 1} == {name: each["count"] for name, each in data.items() if each["count"]}
            assert status == answer.headers["X-Cache-Status"]


def test_nothing_is_known_too(client: Client, upstream: FakeUpstream, site: str) -> None:
    """Ranges and points without samples are not fetched again."""
    chart = Chart(client, upstream, site)
    assert ("miss", [[-5, -3]], 0, 0, 1) == chart.ask(-5, -3)
    assert ("hit", [], 0, 0, 0) == chart.ask(-5, -3)
    assert ("hit", [], 0, 0, 0) == chart.ask(-4.5, -4)
    assert ("partial", [[-3, 1]], 3 * PER_DAY, 0, 1) == chart.ask(-5, 1)
    bare = Question(f"{site}-bare", ["known", "unknown"], START_MS, START_MS + DAY_MS)
    upstream.set_points(bare.site, {"known": [], "unknown": []})
    assert "miss" == cache_of(bare.ask(client))[0]
    assert ("hit", [], 0, 0, 0) == cache_of(bare.ask(client))
    assert {"known": 0, "unknown": 0} == {
        name: each["count"] for name, each in bare.ask(client).json()["data"].items()
    }


def test_the_future_is_never_known(client: Client, upstream: FakeUpstream, site: str) -> None:
    """Of a range that ends in the future, what has happened is answered and kept, nothing else."""
    now_ms = time.time_ns() // 1_000_000
    start_ms = now_ms - now_ms % HOUR_MS - 6 * HOUR_MS
    points = upstream.add_generated(
        site, start_ms=start_ms, end_ms=now_ms + DAY_MS, points=2, interval_s=60
    )
    question = Question(site, points, start_ms, now_ms + DAY_MS)
    answer = question.ask(client)
    status, fetched, count, cached, _ = cache_of(answer)
    after_ms = time.time_ns() // 1_000_000
    assert ("miss", 0) == (status, cached)
    ((fetched_start, fetched_end),) = fetched
    assert start_ms == fetched_start
    assert now_ms - 1000 <= fetched_end <= after_ms
    known = question._replace(end_ms=fetched_end)
    for name in points:
        expected = upstream.expected(site, name, start_ms, fetched_end)
        assert expected == answer.json()["data"][name]["samples"]
    until(lambda: ("hit", [], 0, count, 0) == cache_of(known.ask(client)), what="hit")

    def fetched_again() -> list[list[int]] | None:
        status, ranges, *_ = cache_of(question.ask(client))
        return ranges if status == "partial" else None

    # Later more has happened: that is fetched, with the last of what was young then.
    ((again_start, again_end),) = until(fetched_again, what="another fetch")
    assert start_ms < again_start <= fetched_end < again_end
    seen = upstream.requests_for(site)
    far = question._replace(start_ms=now_ms + HOUR_MS)
    status, fetched, count, cached, requests = cache_of(far.ask(client))
    assert ([], 0, 0, 0) == (fetched, count, cached, requests)
    assert seen == upstream.requests_for(site)
    assert {0} == {each["count"] for each in far.ask(client).json()["data"].values()}


def test_tags_last_from_the_miss_on(chart: Chart) -> None:
    """The same data have the same ETag, fetched or found; who has it gets 304 and no body."""
    question = chart.question(0, 2)
    tags = [question.ask(chart.client).headers["ETag"] for _ in range(4)]
    assert 1 == len(set(tags))
    seen = chart.upstream.requests_for(chart.site)
    for sent in (tags[0], f'"x", {tags[0]}', "*", tags[0].removeprefix("W/")):
        answer = question.ask(chart.client, headers={"If-None-Match": sent})
        assert (304, b"", tags[0]) == (answer.status, answer.wire, answer.headers["ETag"])
        assert "hit" == answer.headers["X-Cache-Status"]
    assert 200 == question.ask(chart.client, headers={"If-None-Match": '"other"'}).status
    assert seen == chart.upstream.requests_for(chart.site)
    assert "private, no-cache" == question.ask(chart.client).headers["Cache-Control"]


def test_what_differs_has_another_tag(chart: Chart) -> None:
    """Another range, point, order, format or choice of samples is another answer."""
    question = chart.question(0, 2)
    answers = [question.ask(chart.client)]
    answers += [question.ask(chart.client, format=each) for each in ("csv", "ndjson", "msgpack")]
    answers += [question.ask(chart.client, max_points=each) for each in (10, 11)]
    answers.append(chart.question(0, 1.5).ask(chart.client))
    answers.append(chart.question(0, 2, chart.points[:2]).ask(chart.client))
    answers.append(chart.question(0, 2, chart.points[::-1]).ask(chart.client))
    tags = [answer.headers["ETag"] for answer in answers]
    assert len(tags) == len(set(tags))
    assert all("Accept-Encoding" in answer.headers["Vary"] for answer in answers)


def test_tags_of_partial_answers_last(chart: Chart) -> None:
    """An answer that was fetched in parts has the tag that later hits have."""
    chart.ask(0, 1)
    question = chart.question(0, 2)
    first = question.ask(chart.client)
    assert "partial" == first.headers["X-Cache-Status"]
    assert first.headers["ETag"] == question.ask(chart.client).headers["ETag"]
    same = question.ask(chart.client, headers={"If-None-Match": first.headers["ETag"]})
    assert 304 == same.status


def purge(chart: Chart, **more: object) -> int:
    """Make the cache forget; returns how much it has forgotten."""
    answer = chart.client.delete("/api/cache", {"site": chart.site, **more})
    assert 200 == answer.status, answer.text
    assert ["deleted"] == list(answer.json())
    return int(answer.json()["deleted"])


def test_purge_of_a_site(chart: Chart) -> None:
    """After a purge all is fetched anew, and the tag is another; a second purge finds nothing."""
    tag = chart.question(0, 1).ask(chart.client).headers["ETag"]
    assert "hit" == chart.ask(0, 1)[0]
    assert 3 == purge(chart)
    assert ("miss", [[0, 1]], 3 * PER_DAY, 0, 1) == chart.ask(0, 1)
    assert 200 == chart.question(0, 1).ask(chart.client, headers={"If-None-Match": tag}).status
    assert 3 == purge(chart)
    assert 0 == purge(chart)
    nobody = chart.client.delete("/api/cache", {"site": f"{chart.site}-nobody"})
    assert (200, {"deleted": 0}) == (nobody.status, nobody.json())


def test_purge_of_points(chart: Chart) -> None:
    """Points that are purged are fetched anew, the others are not."""
    chart.ask(0, 1)
    assert 2 == purge(chart, points=",".join(chart.points[:2]))
    assert ("partial", [[0, 1]], 2 * PER_DAY, PER_DAY, 1) == chart.ask(0, 1)
    assert 1 == purge(chart, point=chart.points[2])
    assert ("hit", [], 0, 2 * PER_DAY, 0) == chart.ask(0, 1, chart.points[:2])
    assert "miss" == chart.ask(0, 1, chart.points[2:])[0]
    assert 0 == purge(chart, point="no such point")


def test_purge_of_a_range(chart: Chart) -> None:
    """Of a range that is purged, all is forgotten, and nothing beside it."""
    chart.ask(0, 1)
    chart.ask(2, 3)
    times = {"start_time": START_MS + 2 * DAY_MS, "end_time": START_MS + 3 * DAY_MS}
    assert 3 == purge(chart, **times)
    assert "hit" == chart.ask(0, 1)[0]
    assert "miss" == chart.ask(2, 3)[0]
    assert 3 == purge(chart, start_time=iso(START_MS + 2 * DAY_MS))
    # A share of the samples that is no whole number.
    assert 3 == purge(chart, start_time=START_MS + 1_234_567, end_time=START_MS + 1_234_568)
    assert 6 == purge(chart, end_time=iso(START_MS + DAY_MS // 4))
    assert ("partial", [[0, 0.25]], 3 * 72, 3 * 216, 1) == chart.ask(0, 1)
    assert "hit" == chart.ask(0, 1)[0]


def test_five_minutes_purged_are_five_minutes_fetched(chart: Chart) -> None:
    """Of ten days one sample of one point; all formats and ranges around it stay right."""
    chart.ask(0, 10)
    start_ms = START_MS + 5 * DAY_MS
    times = {"start_time": start_ms, "end_time": start_ms + 300_000}
    assert 1 == purge(chart, point=chart.points[1], **times)
    cut = [[5, 5 + 300_000 / DAY_MS]]
    assert ("partial", cut, 1, 3 * 10 * PER_DAY - 1, 1) == chart.ask(0, 10)
    assert "hit" == chart.ask(0, 10)[0]
    assert "hit" == chart.ask(4.9, 5.1)[0]


@pytest.mark.parametrize("other", ["no such point", "a point of the site"])
def test_a_purge_of_another_point_leaves_compaction_alone(chart: Chart, other: str) -> None:
    """What is brought together after nine fills stays known, whatever else was purged."""
    asked, beside = chart.points[:1], chart.points[1:2]
    for day in range(9):
        chart.ask(day, day + 1, asked)
    chart.ask(0, 1, beside)
    purge(chart, point=beside[0] if other == "a point of the site" else other)
    for _ in range(4):
        assert "hit" == chart.ask(0, 9, asked)[0]
        time.sleep(1.2)


def test_purge_stops_what_is_under_way(chart: Chart) -> None:
    """What was being fetched when a purge came is answered but not kept."""
    chart.upstream.latency_ms[chart.site] = 400
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(chart.question(0, 1).ask, chart.client)
        until(lambda: chart.upstream.fetches(chart.site), what="fetch")
        purge(chart)
        assert_exact(chart.upstream, chart.question(0, 1), asked.result())
    chart.upstream.latency_ms.pop(chart.site)
    assert "miss" == chart.ask(0, 1)[0]


def test_purge_of_something_else_stops_nothing(chart: Chart) -> None:
    """What was being fetched when another point, or another range, was purged is kept."""
    chart.upstream.latency_ms[chart.site] = 400
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(chart.question(0, 1).ask, chart.client)
        until(lambda: chart.upstream.fetches(chart.site), what="fetch")
        purge(chart, point="another")
        purge(chart, start_time=iso(START_MS + 2 * DAY_MS))
        assert_exact(chart.upstream, chart.question(0, 1), asked.result())
    chart.upstream.latency_ms.pop(chart.site)
    assert "hit" == chart.ask(0, 1)[0]


def test_a_job_completes_while_others_are_purged(chart: Chart) -> None:
    """A purge of another point a few times a second: nothing is fetched twice."""
    chart.upstream.latency_ms[chart.site] = 1_000
    asked = chart.question(0, 10).ask(chart.client, "queued")
    assert 202 == asked.status, asked.text

    def is_over() -> bool:
        purge(chart, point="another")
        status = chart.client.get(asked.json()["statusUrl"]).json()["status"]
        return status in ("completed", "failed")

    until(is_over, what="job")
    chart.upstream.latency_ms.pop(chart.site)
    assert "completed" == chart.client.get(asked.json()["statusUrl"]).json()["status"]
    assert 3 * 10 * PER_DAY == chart.upstream.samples_sent(chart.site)
    assert "hit" == chart.ask(0, 10)[0]


def objects_of(client: Client, prefix: str, limit: int = 1000) -> list[dict[str, Any]]:
    """Return the objects below a prefix, read page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = client.get(
            "/api/cache/objects", {"prefix": prefix, "limit": limit, "cursor": cursor}
        )
        assert 200 == answer.status, answer.text
        page = answer.json()
        assert len(page["objects"]) <= limit
        found += page["objects"]
        cursor = page["nextCursor"]
        if cursor is None:
            return found
        assert len(page["objects"]) == limit


def test_objects_are_listed_page_by_page(chart: Chart) -> None:
    """Each fill is one object that says what it holds; pages of any size give the same list."""
    # Longer than what lies in rows.
    for part in range(4):
        chart.ask(7 * part, 7 * part + 6)
    prefix = f"timeseries/{chart.site}/"
    found = until(
        lambda: len(listed := objects_of(chart.client, prefix)) == 4 and listed, what="objects"
    )
    keys = [each["key"] for each in found]
    assert sorted(set(keys)) == keys
    for each in found:
        assert {"key", "size", "uploaded", "points", "samples"} == set(each)
        assert (3, 3 * 6 * PER_DAY) == (each["points"], each["samples"])
        assert 0 < each["size"] <= 8 * 3 * 6 * PER_DAY
        assert abs(read_iso(each["uploaded"]) - time.time() * 1000) < HOUR_MS
        # A key holds the site and nothing else that a user could choose.
        assert "VAV" not in each["key"]
    for limit in (1, 2, 3, 4):
        assert found == objects_of(chart.client, prefix, limit)
    purge(chart)
    until(lambda: not objects_of(chart.client, prefix), what="removal of the objects")


def ask_at_once(chart: Chart, questions: list[Question]) -> list[Answer]:
    """Ask all questions at the same time."""
    with ThreadPoolExecutor(len(questions)) as pool:
        return list(pool.map(lambda question: question.ask(chart.client), questions))


def test_fifty_identical_misses_cost_one(chart: Chart) -> None:
    """Fifty clients that miss the same at once are served by one fetch."""
    chart.upstream.latency_ms[chart.site] = 200
    question = chart.question(0, 3)
    answers = ask_at_once(chart, [question] * 50)
    for answer in answers:
        assert_exact(chart.upstream, question, answer)
    assert 1 == chart.upstream.requests_for(chart.site)
    assert 1 == chart.upstream.requests_for(chart.site, "configured_points")
    assert 9 * PER_DAY == chart.upstream.samples_sent(chart.site)
    assert 1 == sum(cache_of(answer)[4] for answer in answers)
    assert 1 == len({answer.headers["ETag"] for answer in answers})


def test_misses_within_a_running_fetch_cost_nothing(chart: Chart) -> None:
    """Who asks for parts of what is being fetched waits for it."""
    chart.upstream.latency_ms[chart.site] = 500
    chance = random.Random(1)
    parts = []
    for _ in range(49):
        start, end = sorted(chance.sample(range(30), 2))
        points = chance.sample(chart.points, chance.randint(1, 3))
        parts.append(chart.question(start / 10, end / 10, points))
    whole = chart.question(0, 3)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(whole.ask, chart.client)
        until(lambda: chart.upstream.fetches(chart.site), what="fetch")
        answers = ask_at_once(chart, parts)
        assert_exact(chart.upstream, whole, first.result())
    for question, answer in zip(parts, answers, strict=True):
        assert_exact(chart.upstream, question, answer)
        assert "hit" == answer.headers["X-Cache-Status"]
    assert 1 == chart.upstream.requests_for(chart.site)


def test_fifty_overlapping_misses_fetch_each_sample_once(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """Of ranges and points that overlap at random, next to nothing is fetched twice."""
    chart = Chart(client, upstream, site, points=6)
    chart.upstream.latency_ms[site] = 50
    chance = random.Random(2)
    questions = []
    for _ in range(50):
        start = chance.randrange(0, 24) / 4
        points = chance.sample(chart.points, chance.randint(1, 6))
        questions.append(chart.question(start, start + chance.randrange(1, 9) / 4, points))
    for question, answer in zip(questions, ask_at_once(chart, questions), strict=True):
        assert_exact(upstream, question, answer)
    distinct = {
        (point, ms)
        for question in questions
        for point in question.points
        for (ms, _) in exact_samples(upstream, question, point)
    }
    assert len(distinct) <= upstream.samples_sent(site) <= OVERLAP_WASTE * len(distinct)
    before = upstream.samples_sent(site)
    for question in questions:
        assert "hit" == question.ask(client).headers["X-Cache-Status"]
    assert before == upstream.samples_sent(site)


def test_thirty_days_that_slide_are_fetched_once(chart: Chart) -> None:
    """A long range that slides day by day fetches each sample once, until the end."""
    for day in range(12):
        status, _, count, _, _ = chart.ask(day - 12, day + 12)
        assert ("miss" if day == 0 else "partial") == status
        assert count <= 3 * PER_DAY * (12 if day == 0 else 1)
    assert 3 * PER_DAY * 23 == chart.upstream.samples_sent(chart.site)


def test_reloads_every_five_minutes_stay_cheap(chart: Chart) -> None:
    """A chart that reloads is compacted: its tag still lasts, its data are exact."""
    for number in range(30):
        start = number / PER_DAY
        status, _, count, _, requests = chart.ask(start, start + 1)
        assert ("miss" if number == 0 else "partial", 1) == (status, requests)
        assert count == (3 * PER_DAY if number == 0 else 3)
    question = chart.question(29 / PER_DAY, 1 + 29 / PER_DAY)

    def is_settled() -> bool:
        tags = {question.ask(chart.client).headers["ETag"] for _ in range(3)}
        return len(tags) == 1

    until(is_settled, what="end of compaction")
    assert ("hit", [], 0, 3 * PER_DAY, 0) == chart.ask(29 / PER_DAY, 1 + 29 / PER_DAY)


def test_an_unknown_site_is_not_remembered(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """A site that is unknown is 404 and nothing of it is kept: once it is there, it is answered."""
    question = Question(site, ["p"], START_MS, START_MS + DAY_MS)
    assert_problem(question.ask(client), 404)
    upstream.set_points(site, {"p": [(START_MS, "1.0")]})
    answer = question.ask(client)
    assert_exact(upstream, question, answer)
    assert "miss" == answer.headers["X-Cache-Status"]


def test_hits_at_the_same_moment_have_their_own_ends(chart: Chart) -> None:
    """Answers that share their bytes in memory each tell their own request, and are whole."""
    question = chart.question(2, 20)
    chart.ask(2, 20)
    chart.ask(2, 20)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: question.ask(chart.client), range(80)))
    assert_exact(chart.upstream, question, answers[0])
    documents = [answer.json() for answer in answers]
    ends = [document.pop("_meta") for document in documents]
    assert documents == 80 * [documents[0]]
    assert [each.headers["X-Request-Id"] for each in answers] == [end["requestId"] for end in ends]
    assert 80 == len({each.headers["X-Request-Id"] for each in answers})
    assert {"hit"} == {each.headers["X-Cache-Status"] for each in answers}
