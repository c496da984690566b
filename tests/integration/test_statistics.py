"""What the Worker says of itself, against what its clients, its upstream and its log have seen."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from fakes.upstream import FakeUpstream
from integration.harness.client import Answer, Client, until
from integration.harness.state_files import opened, rows
from integration.harness.worker_server import WorkerServer

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
START_MS = 1_767_225_600_000
LIMIT = 6000
GRANT = 10
VARIABLES = {
    # Objects are what is counted.
    "SLIVER_BYTES": "0",
    "UPSTREAM_PAGE_SIZE": "10000",
    "UPSTREAM_RETRY_DELAY": "5",
    "UPSTREAM_MAX_RETRIES": "1",
    "RETRY_DELAY": "10",
    "MAX_RETRIES": "1",
    "UPSTREAM_REQUESTS_PER_MINUTE": str(LIMIT),
}
SITES = ("stats-main", "stats-plain", "stats-down", "stats-slow", "stats-orphan")
MAIN, PLAIN, DOWN, SLOW, ORPHAN = SITES
NOWHERE = "stats-nowhere"
SEGMENTS, BLOCKS = "timeseries/", "blocks/"
CRON = "/cdn-cgi/local/scheduled?cron=*/5+*+*+*+*&format=json"
OLD_OBJECTS, SEGMENTS_EACH, OLD_REQUESTS = 3000, 3, 10_000


@dataclass
class Seen:
    """
    One answer as its client saw it.

    Attributes:
        route: By which it should be counted.
    """

    route: str
    site: str
    answer: Answer

    @property
    def is_hit(self) -> bool:
        """Whether the headers say that nothing came from upstream."""
        return self.answer.headers.get("X-Cache-Hit") == "true"


@dataclass
class Traffic:
    """
    What was asked, and what the Worker then said of it.

    Attributes:
        stats: The document of /api/stats.
        objects: All objects of samples in the bucket.
        views: Rows of the four views, by name.
        analytics: Rows of request_analytics.
        durations: Of each request, by its id, from the Worker's log.
    """

    client: Client
    points: dict[str, list[str]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    jobs: dict[str, list[str]] = field(default_factory=dict)
    stats: dict[str, Any] = field(default_factory=dict)
    objects: list[dict[str, Any]] = field(default_factory=list)
    views: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    analytics: list[dict[str, Any]] = field(default_factory=list)
    durations: dict[str, int] = field(default_factory=dict)

    def ask(self, site: str, route: str, days: float, points: int = 1, **more: Any) -> Answer:
        """Ask for days from the start on."""
        headers = more.pop("headers", None)
        params: list[tuple[str, object]] = [
            ("site", site),
            ("route", route),
            ("start_time", START_MS),
            ("end_time", START_MS + round(days * DAY_MS)),
            *(("point", name) for name in self.points.get(site, ["p"])[:points]),
            *more.items(),
        ]
        answer = self.client.get("/api/timeseries", params, headers=headers)
        self.seen.append(Seen(route, site, answer))
        return answer

    def job(self, site: str, days: float) -> str:
        """Queue a job; return its id."""
        answer = self.ask(site, "queued", days, points=3)
        assert 202 == answer.status, answer.text
        return str(answer.json()["jobId"])

    def ended(self, job_id: str, status: str) -> None:
        """Wait until a job has ended as it should."""

        def look() -> bool:
            found = self.client.get(f"/api/jobs/{job_id}").json()["status"]
            assert found in (status, "queued", "processing", "retrying"), found
            return bool(found == status)

        until(look, 60, what=f"job {status}")
        self.jobs.setdefault(status, []).append(job_id)

    def of_route(self, route: str) -> list[Seen]:
        """Return the answers of a route."""
        return [each for each in self.seen if each.route == route]

    def durations_of(self, route: str) -> list[int]:
        """Return the durations of a route's requests."""
        ids = [str(each.answer.headers["X-Request-Id"]) for each in self.of_route(route)]
        return sorted(self.durations[request_id] for request_id in ids)


@pytest.fixture(scope="module")
def server(
    upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerServer]:
    """A Worker of its own: nobody else's requests are in its statistics."""
    folder = tmp_path_factory.mktemp("statistics")
    with WorkerServer(
        folder, upstream=upstream.url, token=upstream.token, variables=VARIABLES
    ).healthy() as started:
        yield started


@pytest.fixture(scope="module")
def traffic(server: WorkerServer, upstream: FakeUpstream) -> Traffic:
    """Requests of every kind, and all that the Worker says of them afterwards."""
    traffic = Traffic(server.client)
    for site in SITES:
        # A fourth point of one site is asked for by nobody.
        names = upstream.add_generated(
            site, start_ms=START_MS, end_ms=START_MS + 30 * DAY_MS, points=3 + (site == PLAIN)
        )
        traffic.points[site] = names[:3]
    send_requests(traffic, upstream)
    run_jobs(traffic, upstream)
    count = len(traffic.seen)
    until(
        lambda: (
            rows(server.state, "SELECT sum(weight) AS n FROM request_analytics")[0]["n"] == count
        ),
        what=f"{count} recorded requests",
    )
    answer = server.client.get("/api/stats")
    assert 200 == answer.status, answer.text
    traffic.stats = answer.json()
    traffic.objects = sample_objects(server.client)
    for view in ("v_active_jobs", "v_job_performance", "v_cache_performance", "v_request_stats"):
        traffic.views[view] = rows(server.state, f"SELECT * FROM {view}")
    traffic.analytics = rows(server.state, "SELECT * FROM request_analytics")
    for line in server.log.splitlines():
        if line.startswith('{"event":"request"'):
            said = json.loads(line)
            traffic.durations[said["requestId"]] = said["durationMs"]
    server.client.delete(f"/api/jobs/{traffic.jobs['active'][0]}")
    return traffic


def sample_objects(client: Client) -> list[dict[str, Any]]:
    """Return the objects that hold samples; beside them are the lists of the sites' points."""
    found: list[dict[str, Any]] = []
    for prefix in (SEGMENTS, BLOCKS):
        answer = client.get("/api/cache/objects", {"prefix": prefix, "limit": 1000})
        found += answer.json()["objects"]
    return found


def send_requests(traffic: Traffic, upstream: FakeUpstream) -> None:
    """Send direct and cached requests: misses, hits, partial ones, failures."""
    client = traffic.client
    for _ in range(2):
        assert 200 == traffic.ask(MAIN, "direct", 1).status
    assert 404 == traffic.ask(NOWHERE, "direct", 1).status
    statuses = [
        traffic.ask(MAIN, "cached", days, points=2).headers["X-Cache-Status"]
        for days in (10, 10, 15, 15)
    ]
    assert ["miss", "hit", "partial", "hit"] == statuses
    miss = traffic.ask(PLAIN, "cached", 20, points=3)
    etag = traffic.ask(PLAIN, "cached", 20, points=3).headers["ETag"]
    assert 200 == traffic.ask(PLAIN, "cached", 20, points=3, format="csv").status
    same = traffic.ask(PLAIN, "cached", 20, points=3, headers={"If-None-Match": etag})
    assert ("miss", 304) == (miss.headers["X-Cache-Status"], same.status)
    traffic.ask(ORPHAN, "cached", 2)
    upstream.faults.always(DOWN, "503")
    assert 502 == traffic.ask(DOWN, "cached", 3).status
    for bad in ({"site": ".."}, {"site": MAIN, "point": "p", "start_time": "x", "end_time": "y"}):
        assert 400 == client.get("/api/timeseries", bad).status
    assert 404 == client.get("/api/nothing").status


def run_jobs(traffic: Traffic, upstream: FakeUpstream) -> None:
    """Run jobs to every end, and leave one active."""
    client = traffic.client
    first = traffic.job(MAIN, 30)
    traffic.ended(first, "completed")
    for _ in range(2):
        answer = client.get(f"/api/jobs/{first}/data")
        traffic.seen.append(Seen("queued", MAIN, answer))
    assert 200 == traffic.ask(MAIN, "queued", 30, points=3).status
    second = traffic.job(PLAIN, 25)
    traffic.ended(second, "completed")
    traffic.ended(traffic.job(NOWHERE, 5), "failed")
    # Once its list is kept, a slow site takes nobody's time but its job's.
    assert 200 == client.get(f"/api/sites/{SLOW}/points").status
    upstream.latency_ms[SLOW] = 25_000
    cancelled = traffic.job(SLOW, 20)
    assert 200 == client.delete(f"/api/jobs/{cancelled}").status
    traffic.ended(cancelled, "cancelled")
    traffic.jobs["active"] = [traffic.job(SLOW, 30)]


def test_requests_are_those_the_clients_sent(traffic: Traffic) -> None:
    """Count, mean, p95 and hits of each route; refused requests are in none."""
    found = {each["route_type"]: each for each in traffic.stats["requests"]}
    assert {"direct", "cached", "queued"} == set(found)
    for route, said in found.items():
        seen = traffic.of_route(route)
        durations = traffic.durations_of(route)
        exact = durations[math.ceil(0.95 * len(durations)) - 1]
        assert len(seen) == said["count"]
        assert sum(each.is_hit for each in seen) == said["cache_hits"]
        mean = sum(durations) / len(durations)
        assert pytest.approx(mean, abs=0.006) == said["avg_duration"]
        assert exact <= said["p95_duration"] <= exact * 33 / 32


def test_hours_hold_the_same_requests(traffic: Traffic) -> None:
    """By the hour in which each came: as many, as many successes and hits, of each route."""
    came = {row["request_id"]: row["time_ms"] for row in traffic.analytics}
    counted: dict[tuple[int, str], list[int]] = {}
    for each in traffic.seen:
        time_ms = came[str(each.answer.headers["X-Request-Id"])]
        counts = counted.setdefault((time_ms - time_ms % HOUR_MS, each.route), [0, 0, 0])
        for n, counts_too in enumerate((True, each.answer.status < 400, each.is_hit)):
            counts[n] += counts_too
    hours = traffic.stats["hours"]
    said = {
        (round(datetime.fromisoformat(hour["start"]).timestamp() * 1000), route["routeType"]): [
            route[name] for name in ("requests", "successes", "cacheHits")
        ]
        for hour in hours
        for route in hour["routes"]
    }
    assert counted == said
    assert len(traffic.seen) == sum(hour["requests"] for hour in hours)
    slowest = max(each["p95_duration"] for each in traffic.stats["requests"])
    assert 0 < max(route["p95Duration"] for route in hours[-1]["routes"])
    assert slowest <= max(route["p95Duration"] for hour in hours for route in hour["routes"])
    first, last = hours[0]["start"], hours[-1]["start"]
    assert min(came.values()) - HOUR_MS < datetime.fromisoformat(first).timestamp() * 1000
    assert last[:13] == traffic.stats["timestamp"][:13]


def test_the_view_of_requests_agrees(traffic: Traffic) -> None:
    """v_request_stats has the same figures, and how many succeeded."""
    for row in traffic.views["v_request_stats"]:
        seen = traffic.of_route(row["route_type"])
        success = sum(each.answer.status < 400 for each in seen)
        [said] = [
            each for each in traffic.stats["requests"] if each["route_type"] == row["route_type"]
        ]
        assert said == {name: row[name] for name in said}
        assert success == row["success"]
        assert round(success / len(seen), 4) == row["success_rate"]
    assert 3 == len(traffic.views["v_request_stats"])


def test_the_cache_is_what_the_bucket_holds(traffic: Traffic) -> None:
    """Objects, sizes, ages, hit rate and compression."""
    cache = traffic.stats["cache"]
    sizes = [each["size"] for each in traffic.objects]
    assert (len(sizes), sum(sizes)) == (cache["totalObjects"], cache["totalSize"])
    assert round(sum(sizes) / 1_048_576, 2) == cache["totalSizeMB"]
    uploaded = sorted(each["uploaded"] for each in traffic.objects)
    # The row is written a moment after its object.
    assert uploaded[0] <= cache["oldestEntry"] < uploaded[1]
    # A block, the newest, counts from when its fetch began.
    assert uploaded[-2] <= cache["newestEntry"] <= traffic.stats["timestamp"]
    asked = [*traffic.of_route("cached"), *traffic.of_route("queued")]
    assert round(sum(each.is_hit for each in asked) / len(asked), 4) == cache["hitRate"]
    by_site = traffic.views["v_cache_performance"]
    original = sum(row["text_bytes"] for row in by_site)
    of_segments = sum(e["size"] for e in traffic.objects if e["key"].startswith(SEGMENTS))
    assert round(original / of_segments, 3) == cache["compressionRatio"]
    assert cache["compressionRatio"] > 2


def test_the_view_of_the_cache_agrees(traffic: Traffic) -> None:
    """v_cache_performance says of each site what its answers say, and its objects of segments."""
    found = {row["site"]: row for row in traffic.views["v_cache_performance"]}
    for site, row in found.items():
        mine = [each for each in traffic.objects if each["key"].startswith(f"{SEGMENTS}{site}/")]
        assert (len(mine), sum(each["size"] for each in mine)) == (
            row["objects"],
            row["stored_bytes"],
        )
        asked = [each for each in traffic.seen if each.site == site and each.route != "direct"]
        assert (len(asked), sum(each.is_hit for each in asked)) == (
            row["requests"],
            row["cache_hits"],
        )
    assert {*SITES, NOWHERE} == set(found)


def test_objects_know_their_hits_and_sizes(traffic: Traffic, upstream: FakeUpstream) -> None:
    """
    The site asked four times for the same has one object with three hits, a 304 among them.

    What its job added is a block: the pages of a site are kept whole, a fourth point among them.
    """
    first = next(each for each in traffic.seen if each.site == PLAIN)
    texts = re.findall(r'"samples":\[(.*?)\],"count"', first.answer.text)
    [row] = [row for row in traffic.views["v_cache_performance"] if row["site"] == PLAIN]
    assert 20 * 288 * 3 == row["samples"]
    assert (3, 3) == (row["object_hits"], len(texts))
    stored = [each for each in traffic.objects if each["key"].split("/")[1] == PLAIN]
    assert [(3, 20 * 288 * 3), (4, 5 * 288 * 4)] == [
        (each["points"], each["samples"]) for each in sorted(stored, key=lambda e: e["uploaded"])
    ]
    assert sum(map(len, texts)) <= row["text_bytes"] < sum(map(len, texts)) * 1.3


def test_jobs_are_counted_by_their_end(traffic: Traffic) -> None:
    """Two completed, one failed, one cancelled, one active."""
    expected = {"total_jobs": 5, "completed": 2, "failed": 1, "active": 1}
    assert expected == traffic.stats["jobs"]


def test_the_views_of_jobs_agree(traffic: Traffic) -> None:
    """v_job_performance by site, v_active_jobs with the one that is."""
    found = {row["site"]: row for row in traffic.views["v_job_performance"]}
    columns = ("total_jobs", "completed", "failed", "cancelled", "active", "samples")
    assert {
        MAIN: (1, 1, 0, 0, 0, 3 * 30 * 288),
        PLAIN: (1, 1, 0, 0, 0, 3 * 25 * 288),
        NOWHERE: (1, 0, 1, 0, 0, 0),
        SLOW: (2, 0, 0, 1, 1, 0),
    } == {site: tuple(row[name] for name in columns) for site, row in found.items()}
    assert [1.0, 0.0] == [found[site]["success_rate"] for site in (MAIN, NOWHERE)]
    [active] = traffic.views["v_active_jobs"]
    assert (traffic.jobs["active"][0], SLOW, 3) == (
        active["job_id"],
        active["site"],
        active["points_count"],
    )


def test_rows_say_what_was_asked_and_sent(traffic: Traffic) -> None:
    """Each request's row has the figures of its own answer."""
    found = {row["request_id"]: row for row in traffic.analytics}
    assert len(traffic.seen) == len(found) == len(traffic.analytics)
    for each in traffic.seen:
        row, answer = found[str(each.answer.headers["X-Request-Id"])], each.answer
        assert (each.site, each.route, answer.status) == (
            row["site"],
            row["route_type"],
            row["status"],
        )
        assert answer.headers.get("X-Cache-Status", "none") == row["cache_status"]
        assert int(answer.status < 400) == row["success"]
        assert traffic.durations[row["request_id"]] == row["duration_ms"]
        # Small answers are compressed by the runtime, on the way out.
        made_here = answer.status == 200
        assert len(answer.wire if made_here else answer.body) == row["bytes"]
        if made_here and row["format"] == "json":
            assert answer.json()["_meta"]["samplesCount"] == row["actual_size"]
            assert answer.json()["_meta"]["estimatedSamples"] == row["estimated_size"]
            assert answer.json()["_meta"]["missingSamples"] == row["missing_size"]
    assert {"site_unknown", "upstream_failed", None} == {row["error"] for row in traffic.analytics}


def test_the_quota_counts_what_went_upstream(traffic: Traffic, upstream: FakeUpstream) -> None:
    """What is used is what the upstream got in this minute, and at most two grants more."""
    said = traffic.stats["upstream"]
    assert (LIMIT, LIMIT) == (said["limit"], said["current"])
    sent = sum(len(upstream.log(site)) for site in (*SITES, NOWHERE))
    assert 0 <= said["used"] <= sent + 2 * GRANT


@dataclass
class Cleaned:
    """
    What maintenance did to a database full of old things.

    Attributes:
        cron_effect: Segments that the first run, by cron, has left.
        runs: What each later run has changed, by step.
        stats: The document of /api/stats at the end.
        objects: All keys of samples in the bucket at the end.
    """

    orphan: str
    cron_effect: int
    runs: list[dict[str, int]]
    stats: dict[str, Any]
    objects: list[str]


@pytest.fixture(scope="module")
def cleaned(server: WorkerServer, traffic: Traffic) -> Cleaned:
    """Let everything but the main site grow old while the Worker is down, then clean up."""
    assert 0 == server.stop()
    orphan = next(each["key"] for each in traffic.objects if each["key"].split("/")[1] == ORPHAN)
    now_ms = max(row["time_ms"] for row in traffic.analytics)
    age(server, orphan, now_ms)
    server.start()
    total = OLD_OBJECTS * SEGMENTS_EACH
    assert "ok" == server.client.get(CRON).json()["outcome"]
    left = rows(server.state, "SELECT count(*) AS n FROM cache_segments")[0]["n"]
    assert left < total
    runs: list[dict[str, int]] = []
    while not runs or any(runs[-1].values()):
        assert len(runs) < 10, runs
        answer = server.client.post("/api/maintenance/run")
        assert 200 == answer.status, answer.text
        steps: Sequence[dict[str, Any]] = answer.json()["steps"]
        assert [] == [step for step in steps if "error" in step]
        runs.append({step["name"]: step["changed"] for step in steps})
    return Cleaned(
        orphan=orphan,
        cron_effect=left,
        runs=runs,
        stats=server.client.get("/api/stats").json(),
        objects=[each["key"] for each in sample_objects(server.client)],
    )


def age(server: WorkerServer, orphan: str, now_ms: int) -> None:
    """Fill the database with what is over, and let an object be forgotten."""
    old_ms = now_ms - 200 * DAY_MS
    with opened(server.state, "queue_jobs", to_change=True) as d1:
        d1.execute(
            "UPDATE cache_segments SET fetched_ms = ?1, expires_ms = ?1 + 1 WHERE site <> ?2",
            (old_ms, MAIN),
        )
        d1.execute(
            "UPDATE cache_metadata SET expires_ms = ?1, orphaned_ms = ?1 WHERE site <> ?2",
            (old_ms, MAIN),
        )
        d1.execute("UPDATE site_blocks SET fetched_ms = ?1 WHERE site <> ?2", (old_ms, MAIN))
        for table in ("cache_metadata", "cache_segments"):
            d1.execute(f"DELETE FROM {table} WHERE object_key = ?", (orphan,))
        numbers = "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {})"
        d1.execute(
            f"{numbers.format(OLD_OBJECTS - 1)} INSERT INTO cache_metadata SELECT "
            "'timeseries/old/x/' || n, 'old', 0, 1, 3, 9, 90, 30, 3, 0, ?1, ?1, ?1 + n, 1 FROM n",
            (old_ms,),
        )
        d1.execute(
            f"{numbers.format(OLD_OBJECTS * SEGMENTS_EACH - 1)} INSERT INTO cache_segments SELECT "
            "'old', 'p' || n, 0, 1, ?1, 'timeseries/old/x/' || (n / ?2), 'e', 0, 10, 30, 3, 0, 0, "
            "0, '[]', ?1 + n, 0, 0, NULL, NULL FROM n",
            (old_ms, SEGMENTS_EACH),
        )
        # What was changed by hand is counted anew.
        d1.execute("UPDATE cache_totals SET counted_ms = 0")
        d1.execute(
            f"{numbers.format(OLD_REQUESTS - 1)} INSERT INTO request_analytics (request_id, "
            "time_ms, site, points_count, route_type, cache_status, format, estimated_size, "
            "actual_size, bytes, upstream_requests, duration_ms, status, success, weight) SELECT "
            "'old', ?1 + n, 'old', 1, 'cached', 'hit', 'json', 1, 1, 1, 0, 1, 200, 1, 1 FROM n",
            (now_ms - 31 * DAY_MS - OLD_REQUESTS,),
        )
        d1.execute(
            "UPDATE queue_jobs SET updated_ms = ?1, completed_ms = ?1 WHERE status = 'completed'",
            (now_ms - 8 * DAY_MS,),
        )
        d1.execute(
            "INSERT INTO fetch_leases (lease_id, site, points, start_ms, end_ms, expires_ms)"
            " VALUES ('dead', 'old', '[]', 0, 1, ?)",
            (old_ms,),
        )
        d1.execute("INSERT INTO cache_purges VALUES ('old', '', 0, 1, ?)", (old_ms,))
    with opened(server.state, "_mf_objects", to_change=True) as r2:
        r2.execute("UPDATE _mf_objects SET uploaded = ?", (now_ms - 2 * HOUR_MS,))


def test_a_large_clean_up_resumes_to_its_end(server: WorkerServer, cleaned: Cleaned) -> None:
    """Nothing old is left, by runs of the cron trigger and of the route together."""
    assert len(cleaned.runs) <= 4
    for table, where in (
        ("cache_segments", "site = 'old'"),
        ("cache_metadata", "site = 'old'"),
        ("request_analytics", "request_id = 'old'"),
        ("fetch_leases", "lease_id = 'dead'"),
        ("cache_purges", "site = 'old'"),
        ("queue_jobs", "status = 'completed'"),
        ("job_chunks", "job_id NOT IN (SELECT job_id FROM queue_jobs)"),
        ("job_points", "job_id NOT IN (SELECT job_id FROM queue_jobs)"),
    ):
        assert [{"n": 0}] == rows(
            server.state, f"SELECT count(*) AS n FROM {table} WHERE {where}"
        ), table


def test_what_is_in_use_stays(server: WorkerServer, traffic: Traffic, cleaned: Cleaned) -> None:
    """The objects of the site that is fresh are all there, no others, and answer as before."""
    assert {MAIN} == {key.split("/")[1] for key in cleaned.objects}
    before = [each["key"] for each in traffic.objects if each["key"].split("/")[1] == MAIN]
    assert before == cleaned.objects
    assert cleaned.orphan not in cleaned.objects
    again = server.client.get(
        "/api/timeseries",
        [
            ("site", MAIN),
            ("route", "cached"),
            ("start_time", START_MS),
            ("end_time", START_MS + 10 * DAY_MS),
            *(("point", name) for name in traffic.points[MAIN][:2]),
        ],
    )
    assert "hit" == again.headers["X-Cache-Status"]
    first = next(each for each in traffic.seen if each.site == MAIN and each.route == "cached")
    assert first.answer.json()["data"] == again.json()["data"]


def test_statistics_follow_the_clean_up(traffic: Traffic, cleaned: Cleaned) -> None:
    """Totals are those of what is left; archived jobs still count."""
    mine = [each for each in traffic.objects if each["key"].split("/")[1] == MAIN]
    cache = cleaned.stats["cache"]
    assert (len(mine), sum(each["size"] for each in mine)) == (
        cache["totalObjects"],
        cache["totalSize"],
    )
    expected = {"total_jobs": 5, "completed": 2, "failed": 1, "active": 0}
    assert expected == cleaned.stats["jobs"]


def test_the_log_tells_of_each_step(server: WorkerServer, cleaned: Cleaned) -> None:
    """A cron run has a line with what each step has changed; so has a run over HTTP."""
    said = [
        json.loads(line) for line in server.log.splitlines() if line.startswith('{"event":"sch')
    ]
    names = list(cleaned.runs[0])
    assert names == [step["name"] for step in said[-1]["steps"]]
    changed = {step["name"]: step["changed"] for step in said[-1]["steps"]}
    assert changed["expired segments"] > 0
    assert any(
        '"path":"/api/maintenance/run"' in line and '"steps":' in line
        for line in server.log.splitlines()
    )
