"""
Routes by what is missing, requests that wait for their jobs, and those who ask the same at once.

On the runtime without a proxy in between: a client that leaves is seen to leave.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlencode

import pytest

from bench.stack import Stack, running
from building_vitals.access.waits import WAITS_PER_KEY_MAX
from fakes.upstream import TIMESERIES
from integration.harness.client import Answer, Client, until
from integration.harness.leaving import leave

MINUTE_MS = 60_000
DAY_MS = 86_400_000
START_MS = 1_704_067_200_000
YEAR_MS = 365 * DAY_MS


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The Worker, listening by itself; what was just fetched is not asked for for a minute."""
    with running({"MIN_REFETCH": "60"}) as found:
        yield found


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    """Sends requests to the Worker."""
    return Client(f"http://127.0.0.1:{stack.ports['app']}")


def target_of(site: str, points: list[str], start_ms: int, end_ms: int, **options: object) -> str:
    """Return the target of a request."""
    parts = [("site", site), *(("point", point) for point in points)]
    parts += [("start_time", str(start_ms)), ("end_time", str(end_ms))]
    return "/api/timeseries?" + urlencode([*parts, *options.items()])


def asked(stack: Stack, site: str) -> list[tuple[int, int]]:
    """Return the ranges that the upstream was asked for."""
    found = stack.upstream.log(site, *TIMESERIES)
    return [each.range_ms for each in found if not each.is_comparison]


def jobs_of(client: Client, site: str) -> list[dict[str, object]]:
    """Return the jobs of a site."""
    found: list[dict[str, object]] = client.get("/api/jobs", {"site": site}).json()["jobs"]
    return found


def test_a_year_that_slides_is_never_a_job_again(stack: Stack, client: Client) -> None:
    """The first time it is a job; each minute after it 200, with a minute fetched."""
    site, upstream = "sliding", stack.upstream
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + YEAR_MS + DAY_MS, points=20, interval_s=3600
    )
    job = client.get(target_of(site, points, START_MS, START_MS + YEAR_MS)).json()
    assert 730_000 == job["estimatedSamples"]
    until(
        lambda: client.get(job["statusUrl"]).json()["status"] == "completed", 60, what="end of job"
    )
    for minutes in range(1, 3):
        start_ms, end_ms = (each + minutes * MINUTE_MS for each in (START_MS, START_MS + YEAR_MS))
        upstream.clear_log(site)
        answer = client.get(target_of(site, points, start_ms, end_ms))
        assert (200, "cached", "partial") == (
            answer.status,
            answer.headers["X-Route-Type"],
            answer.headers["X-Cache-Status"],
        )
        document = answer.json()
        meta = document["_meta"]
        assert (730_000, 1) == (meta["estimatedSamples"], meta["missingSamples"])
        assert [[end_ms - MINUTE_MS, end_ms]] == meta["cache"]["fetched"]
        assert 1 == len(asked(stack, site))
        for name in points:
            wanted = upstream.expected(site, name, start_ms, end_ms)
            assert wanted == document["data"][name]["samples"]

        def is_hit(target: str = target_of(site, points, start_ms, end_ms)) -> bool:
            return bool(client.get(target).json()["_meta"]["missingSamples"] == 0)

        assert until(is_hit, what="a hit")
    assert 1 == len(jobs_of(client, site))


def test_a_wait_ends_with_the_result_or_an_address(stack: Stack, client: Client) -> None:
    """202 while the job still runs, 200 with its result in the form asked for when it ends."""
    site, upstream = "waiting", stack.upstream
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 30 * DAY_MS, points=3
    )
    upstream.latency_ms[site] = 4000
    question = partial(target_of, site, points, START_MS, START_MS + 20 * DAY_MS, route="queued")
    early = client.get(question(wait=1))
    assert (202, "queued") == (early.status, early.json()["status"])
    answer = client.get(question(format="csv"), headers={"Prefer": "respond-async, wait=45"})
    assert (200, "wait=45", "queued") == (
        answer.status,
        answer.headers["Preference-Applied"],
        answer.headers["X-Route-Type"],
    )
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert 1 + 3 * 20 * 288 == len(answer.text.splitlines())
    # The first one keeps another form; what both want is fetched once.
    states = {job["jobId"]: job["status"] for job in jobs_of(client, site)}
    assert states.pop(early.json()["jobId"]) in ("processing", "completed")
    assert ["completed"] == list(states.values())
    wrong = client.get(question(wait=61, priority="urgent"))
    assert (400, ["priority", "wait"]) == (
        wrong.status,
        [each["field"] for each in wrong.json()["errors"]],
    )


def test_a_wait_for_a_job_that_fails_ends_with_its_failure(stack: Stack, client: Client) -> None:
    """Of a site that the upstream does not have: 404, and the job says the same."""
    answer = client.get(
        target_of("nowhere", ["a"], START_MS, START_MS + DAY_MS, route="queued", wait=45)
    )
    assert (404, "failed") == (answer.status, jobs_of(client, "nowhere")[0]["status"])
    assert "the job of this request has failed: " in answer.json()["detail"]


def test_who_leaves_frees_the_wait_and_not_the_job(stack: Stack, client: Client) -> None:
    """All places of a key are taken and left; soon others may wait, and the job is done."""
    site, upstream = "left", stack.upstream
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 30 * DAY_MS, points=3
    )
    upstream.latency_ms[site] = 8_000
    target = target_of(site, points, START_MS, START_MS + 20 * DAY_MS, route="queued", wait=45)
    go = partial(leave, stack.ports["app"], target, after_s=2.0)
    with ThreadPoolExecutor(WAITS_PER_KEY_MAX) as pool:
        came = list(pool.map(lambda _: go(), range(WAITS_PER_KEY_MAX)))
    assert {b""} == set(came)
    other = target.replace("wait=45", "priority=normal")

    def may_wait() -> bool:
        answer = client.get(other, headers={"Prefer": "wait=0"})
        return "Preference-Applied" in answer.headers or answer.status == 200

    assert until(may_wait, 60, what="a place")
    assert 200 == until(partial(_answered, client, target), 60, what="the result").status
    assert 1 == len(jobs_of(client, site)) == len(asked(stack, site))


def _answered(client: Client, target: str) -> Answer | None:
    answer = client.get(target)
    return answer if answer.status == 200 else None


def test_identical_direct_requests_are_one_fetch(stack: Stack, client: Client) -> None:
    """Whoever of them leaves; each has its own order and format."""
    site, upstream = "twins", stack.upstream
    points = upstream.add_generated(site, start_ms=START_MS, end_ms=START_MS + DAY_MS, points=2)
    # What is first is slow for reasons of its own.
    assert 200 == client.get(target_of(site, points, START_MS, START_MS + MINUTE_MS)).status
    upstream.latency_ms[site] = 5000
    upstream.clear_log(site)
    end_ms = START_MS + DAY_MS
    options = [{"format": name} for name in ("json", "csv", "ndjson")]
    targets = [target_of(site, points, START_MS, end_ms, **each) for each in options]
    targets.append(target_of(site, points[::-1], START_MS, end_ms))
    with ThreadPoolExecutor(8) as pool:
        leader = pool.submit(leave, stack.ports["app"], targets[0], after_s=1.5)
        until(lambda: bool(asked(stack, site)), what="the fetch of the first")
        answers = list(pool.map(client.get, targets))
        assert b"" == leader.result()
    assert [200] * 4 == [each.status for each in answers]
    assert points == list(answers[0].json()["data"])
    assert points[::-1] == list(answers[3].json()["data"])
    assert [1 + 2 * 288, 2 * 288] == [len(each.text.splitlines()) for each in answers[1:3]]
    for each in (answers[0], answers[3]):
        assert ("bypass", 2 * 288) == (
            each.headers["X-Cache-Status"],
            each.json()["_meta"]["cache"]["samplesFetched"],
        )
    assert 1 == len(asked(stack, site))


def test_a_chart_that_reloads_asks_for_nothing_in_vain(stack: Stack, client: Client) -> None:
    """What was fetched up to the present is all there is for as long as `MIN_REFETCH` says."""
    site, upstream = "reloading", stack.upstream
    now_ms = int(time.time() * 1000)
    points = upstream.add_generated(
        site, start_ms=now_ms - DAY_MS, end_ms=now_ms - DAY_MS // 2, points=2
    )
    statuses = []

    def reload() -> bool:
        end_ms = int(time.time() * 1000)
        target = target_of(site, points, end_ms - DAY_MS, end_ms, route="cached")
        statuses.append(client.get(target).headers["X-Cache-Status"])
        return statuses[-1] == "hit"

    until(reload, what="what the first has stored")
    before = len(asked(stack, site))
    assert all(reload() for _ in range(5))
    assert before == len(asked(stack, site))
