"""Jobs against an upstream like the real one: how often it is asked, and what is said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from demo.traits import FAITHFUL
from fakes.upstream import FakeUpstream, LoggedRequest
from integration.harness.client import Client, until
from integration.harness.worker_server import WorkerServer

DAY_MS = 86_400_000
START_MS = 1_735_689_600_000
PAGE_SIZE = 50_000
PER_DAY = 288
# Short pauses, so that an upstream that dies is asked again soon.
RETRIES = 1
VARIABLES = {
    "UPSTREAM_PAGE_SIZE": str(PAGE_SIZE),
    "UPSTREAM_RETRY_DELAY": "10",
    "UPSTREAM_MAX_RETRIES": str(RETRIES),
    "RETRY_DELAY": "10",
}
ENDED = ("completed", "failed", "cancelled")
PAGES, CALLS = "timeseries", "points_timeseries"
UNKNOWN = "no point of any site"


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    """A faithful upstream, whatever the others are like: the counts are those of its ways."""
    with FakeUpstream(traits=FAITHFUL) as server:
        yield server


@pytest.fixture(scope="module")
def client(upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Sends requests to a Worker of its own."""
    folder = tmp_path_factory.mktemp("real-jobs")
    with WorkerServer(
        folder, upstream=upstream.url, token=upstream.token, variables=VARIABLES
    ).healthy() as server:
        yield server.client


def make(upstream: FakeUpstream, site: str, *, points: int, days: int) -> list[str]:
    """Give the upstream a site with samples every five minutes; returns its points."""
    return upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + days * DAY_MS, points=points
    )


def question(
    site: str, points: Sequence[str], days: int, *, first_day: int = 0
) -> dict[str, object]:
    """Return the body of a question for days of some points."""
    start_ms = START_MS + first_day * DAY_MS
    return {
        "site": site,
        "points": list(points),
        "start_time": start_ms,
        "end_time": start_ms + days * DAY_MS,
        "route": "queued",
    }


def submit(
    client: Client, site: str, points: Sequence[str], days: int, *, first_day: int = 0
) -> str:
    """Queue a job; returns its id."""
    asked = question(site, points, days, first_day=first_day)
    answer = client.post("/api/timeseries", asked)
    assert 202 == answer.status, answer.text
    return str(answer.json()["jobId"])


def ended(client: Client, job_id: str) -> tuple[dict[str, Any], list[int]]:
    """Return a job once it has ended, and the progress that was seen; it never fell."""
    shares = [0]

    def look() -> dict[str, Any] | None:
        job: dict[str, Any] = client.get(f"/api/jobs/{job_id}").json()
        assert shares[-1] <= job["progress"], shares
        shares.append(job["progress"])
        return job if job["status"] in ENDED else None

    return until(look, 60, what=f"end of {job_id}"), shares


def completed(client: Client, job_id: str) -> dict[str, Any]:
    """Return a job that has completed."""
    job, _ = ended(client, job_id)
    assert "completed" == job["status"], job
    return job


def assert_exact(
    client: Client, upstream: FakeUpstream, site: str, job: dict[str, Any], days: int
) -> dict[str, Any]:
    """See that a job's known points have what the upstream has; returns the document's data."""
    data: dict[str, Any] = client.get(job["dataUrl"]).json()["data"]
    for name, found in data.items():
        if name != UNKNOWN:
            expected = upstream.expected(site, name, START_MS, START_MS + days * DAY_MS)
            assert (expected, None) == (found["samples"], found["error"]), name
    return data


def places(requests: Sequence[LoggedRequest]) -> Counter[tuple[object, ...]]:
    """Return how often each page, or each call's names and times, was answered whole."""
    return Counter(
        (each.names, each.params["start_time"], each.params["end_time"], each.params.get("cursor"))
        for each in requests
        if each.status == 200 and not each.faults
    )


def test_a_job_of_a_whole_site_fetches_each_page_once(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """All points of a site are its pages, each asked for once, and progress moves with them."""
    points = make(upstream, site, points=400, days=4)
    upstream.latency_ms[site] = 400
    job, shares = ended(client, submit(client, site, points, 4))
    assert "completed" == job["status"], job
    assert 400 * 4 * PER_DAY == job["samplesCount"]
    found = places(upstream.log(site, PAGES))
    assert ({1}, 10) == (set(found.values()), len(found))
    assert (10, 0) == (upstream.requests_for(site, PAGES), upstream.requests_for(site, CALLS))
    between = {share for share in shares if 0 < share < 100}
    assert len(between) >= 3, shares
    assert points == list(assert_exact(client, upstream, site, job, 4))


def test_a_year_of_one_point_takes_three_requests(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """One point of a large site is asked for by its name, not by the pages of the whole site."""
    point = make(upstream, site, points=2174, days=365)[1000]
    upstream.latency_ms[site] = 200
    job = completed(client, submit(client, site, [point], 365))
    assert 365 * PER_DAY == job["samplesCount"]
    calls = upstream.log(site, CALLS)
    assert [(point,)] * 3 == [each.names for each in calls]
    assert {1} == set(places(calls).values())
    assert_exact(client, upstream, site, job, 365)


def test_an_unknown_point_among_known_ones_is_told(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """The job completes; each form of its data has the known points whole, and tells the other."""
    first, last, *_ = make(upstream, site, points=10, days=3)
    job = completed(client, submit(client, site, [first, UNKNOWN, last], 3))
    assert 2 * 3 * PER_DAY == job["samplesCount"]
    data = assert_exact(client, upstream, site, job, 3)
    assert [first, UNKNOWN, last] == list(data)
    assert {"samples": [], "count": 0, "error": "unknown point"} == data[UNKNOWN]
    fewer = client.get(job["dataUrl"], {"max_points": "50"}).json()["data"]
    assert "unknown point" == fewer[UNKNOWN]["error"]
    assert [None, None] == [fewer[name]["error"] for name in (first, last)]
    assert 0 == fewer[UNKNOWN]["count"] < fewer[first]["count"] <= 50
    head, *lines = client.get(job["dataUrl"], {"format": "csv"}).text.splitlines()
    assert ("time,point,value", 2 * 3 * PER_DAY) == (head, len(lines))
    assert not any(UNKNOWN in line for line in lines)
    again = client.post("/api/timeseries", question(site, [first, UNKNOWN, last], 3))
    assert (200, "hit") == (again.status, again.headers["X-Cache-Status"]), again.text
    assert data == again.json()["data"]
    assert [(first, last)] == [each.names for each in upstream.log(site, CALLS)]


def test_a_job_on_an_unknown_site_says_why(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """It fails at once, and its error names the site and what the upstream has against it."""
    job, _ = ended(client, submit(client, site, ["a", "b"], 2))
    assert ("failed", 0, 0) == (job["status"], job["retryCount"], job["progress"])
    assert f"the upstream knows no site '{site}'" in job["error"]
    assert 0 == upstream.requests_for(site, PAGES)
    assert 409 == client.get(f"/api/jobs/{job['jobId']}/data").status


def test_an_upstream_that_dies_in_the_middle_is_not_asked_twice(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """What had come before it died is kept: the next attempt goes on from there."""
    points = make(upstream, site, points=400, days=2)
    upstream.latency_ms[site] = 100
    upstream.faults.times(site, "503", RETRIES + 1, skip=3, on={PAGES})
    job = completed(client, submit(client, site, points, 2))
    assert 400 * 2 * PER_DAY == job["samplesCount"]
    requests = upstream.log(site, PAGES)
    assert ["503"] * (RETRIES + 1) == [kind for each in requests for kind in each.faults]
    assert {1} == set(places(requests).values())
    # The rows of one moment come again: where a range begins, it is asked for a second early.
    surplus = upstream.samples_sent(site) - job["samplesCount"]
    assert 0 <= surplus <= 2 * 400
    assert_exact(client, upstream, site, job, 2)


def test_groups_of_points_do_not_fetch_the_same_pages(
    client: Client, upstream: FakeUpstream, site: str
) -> None:
    """Jobs of an eighth, a half and all of a site's points ask little, and nothing twice."""
    points = make(upstream, site, points=400, days=12)
    asked = {}
    for number, count in enumerate((50, 200, 400)):
        upstream.clear_log(site)
        job = completed(client, submit(client, site, points[:count], 4, first_day=4 * number))
        assert count * 4 * PER_DAY == job["samplesCount"]
        requests = upstream.log(site, PAGES, CALLS)
        # Of calls by point, one may be compared with a page.
        ways = Counter(each.kind for each in requests)
        asked[count] = max(ways.values())
        print(f"{count} points of 400 over 4 days: {dict(ways)}")  # noqa: T201 - the counts
        assert {1} == set(places(requests).values())
    assert {50: 2, 200: 5, 400: 10} == asked
