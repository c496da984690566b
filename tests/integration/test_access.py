"""Who may ask what, for every route, on the real runtime."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from building_vitals.access.api_keys import MISSING, NOT_VALID
from building_vitals.api.routes import ENDPOINTS, ROUTER
from building_vitals_client import Client as Python
from building_vitals_client import NotAllowed, RateLimited
from integration.harness.client import Answer, Client, until
from integration.harness.keyed_worker import (
    DAY_MS,
    OTHER_SITE,
    SITE,
    SLOW_SITE,
    START_MS,
    UNKNOWN_SITE,
    KeyedWorker,
)

READS_MAX, JOBS_MAX = 600, 60
# A period may end while the requests are being sent: then they are counted from the start.
ROUNDS_MAX = 2.2
UNKNOWN_JOB = "job_0123456789abcdef0123456789ab"


def _methods() -> Iterator[tuple[str, str, bool]]:
    for endpoint in ENDPOINTS:
        if endpoint.role == "anybody":
            continue
        part = SITE if "site" in endpoint.path_parameters else UNKNOWN_JOB
        path = re.sub(r"\{\w+\}", part, endpoint.path)
        assert ROUTER.find(path), f"give {endpoint.path} a path to test"
        yield endpoint.method, path, endpoint.role == "admin"


METHODS = list(_methods())
ADMIN_METHODS = [(method, path) for method, path, is_admin in METHODS if is_admin]


def refusal(answer: Answer, status: int) -> str:
    """See that an answer is a refusal in the right form; returns its detail."""
    assert status == answer.status, answer.text
    document = answer.json()
    assert "application/problem+json" == answer.headers["Content-Type"]
    assert document["requestId"] == answer.headers["X-Request-Id"]
    assert document["error"] == document["detail"]
    return str(document["detail"])


@pytest.fixture(scope="module")
def leaver(keyed: KeyedWorker) -> str:
    """A key that the command has made while the Worker runs, that has worked, and is revoked."""
    made = keyed.command("create", "--name", "leaver", "--sites", SITE)
    assert 0 == made.returncode, made.stderr
    key = made.stdout.strip()
    client = Client(keyed.server.url, {"Authorization": f"Bearer {key}"})
    assert 200 == client.get("/api/timeseries", keyed.question()).status
    revoked = keyed.command("revoke", "--name", "leaver")
    assert 0 == revoked.returncode, revoked.stderr
    return key


def test_the_command_makes_and_revokes_keys(keyed: KeyedWorker, leaver: str) -> None:
    """A key made by the command works at once; the list shows it revoked, and never a hash."""
    listed = keyed.command("list").stdout
    line = next(line for line in listed.splitlines() if " leaver " in line)
    fields = line.split()
    assert ["leaver", "reader", SITE, "-"] == [*fields[1:4], fields[5]]
    assert fields[6].endswith("Z")
    assert leaver not in listed
    assert not re.search(r"[0-9a-f]{40}", listed)
    again = keyed.command("revoke", "--name", "leaver")
    assert (1, "") == (again.returncode, again.stdout)


def test_health_and_description_need_no_key(keyed: KeyedWorker) -> None:
    """The open paths answer anybody, and health tells the mode."""
    document = keyed.client(None).get("/api/health").json()
    assert ("keys", "ok") == (document["authMode"], document["checks"]["keys"])
    assert "3.1.0" == keyed.client(None).get("/openapi.json").json()["openapi"]
    start = [line for line in keyed.server.log.splitlines() if '"event":"start"' in line]
    assert "keys" == json.loads(start[0])["authMode"]


@pytest.mark.parametrize("name", [None, "unknown", "revoked", "expired"])
def test_every_route_wants_a_valid_key(keyed: KeyedWorker, name: str | None) -> None:
    """Without a valid key every route answers 401 in one text, whatever else is wrong."""
    client = keyed.client(name)
    for method, path, _ in METHODS:
        answer = client.request(method, path)
        assert (MISSING if name is None else NOT_VALID) == refusal(answer, 401), (method, path)
        assert "Bearer" == answer.headers["WWW-Authenticate"]


def test_two_different_keys_are_no_key(keyed: KeyedWorker) -> None:
    """Two headers with one key are one key; with two different ones they are none."""
    both = {"Authorization": f"Bearer {keyed.keys['reader']}"}
    client = keyed.client("reader")
    assert 200 == client.get("/api/timeseries", keyed.question(), headers=both).status
    both = {"Authorization": f"Bearer {keyed.keys['admin']}"}
    refused = client.get("/api/timeseries", keyed.question(), headers=both)
    assert "two different" in refusal(refused, 401)


@pytest.mark.parametrize(
    ("method", "path"), ADMIN_METHODS, ids=[" ".join(each) for each in ADMIN_METHODS]
)
def test_what_is_for_administrators(keyed: KeyedWorker, method: str, path: str) -> None:
    """A reader is refused before anything is looked at; an admin gets through."""
    refused = keyed.client("reader").request(method, path)
    assert "an API key with the role admin is required" == refusal(refused, 403)
    assert keyed.client("admin").request(method, path).status not in {401, 403, 500}


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_other_sites_are_refused(keyed: KeyedWorker, method: str) -> None:
    """A site that is not listed is refused in one text, whether it exists or not, unasked."""
    client = keyed.client("reader")
    details = []
    for site in (OTHER_SITE, "keyed-imagined"):
        question = keyed.question(site) | {"route": "direct"}
        keyed.upstream.clear_log(site)
        if method == "POST":
            answer = client.post("/api/timeseries", question | {"points": [question["points"]]})
        else:
            answer = client.request(method, "/api/timeseries", question)
        assert 403 == answer.status
        assert [] == keyed.upstream.log(site)
        if method != "HEAD":
            details.append(refusal(answer, 403).replace(site, "?"))
    assert len(set(details)) <= 1


def test_lists_show_the_callers_sites(keyed: KeyedWorker) -> None:
    """A reader sees its own sites and their points; of others it learns nothing, unasked."""

    def names(who: str) -> set[str]:
        return {item["name"] for item in keyed.client(who).get("/api/sites").json()["items"]}

    assert {SITE, OTHER_SITE} <= names("admin")
    assert {SITE} == names("reader") == names("second")
    assert {OTHER_SITE} == names("stranger")
    points = keyed.client("reader").get(f"/api/sites/{SITE}/points").json()["items"]
    assert keyed.points[SITE] == sorted(item["name"] for item in points)
    details = set()
    for site in (OTHER_SITE, "keyed-imagined"):
        keyed.upstream.clear_log(site)
        answer = keyed.client("reader").get(f"/api/sites/{site}/points")
        details.add(refusal(answer, 403).replace(site, "?"))
        assert [] == keyed.upstream.log(site)
    assert 1 == len(details)


def test_site_that_is_listed_may_be_unknown(keyed: KeyedWorker) -> None:
    """Of its own sites a reader learns whether they exist."""
    assert 404 == keyed.ask("reader", UNKNOWN_SITE, route="direct").status


def test_tags_tell_nothing(keyed: KeyedWorker) -> None:
    """Who knows an answer's tag but may not read the site gets 403, never 304."""
    known = keyed.ask("reader")
    tag = known.headers["ETag"]
    same = keyed.client("second").get(
        "/api/timeseries", keyed.question(), headers={"If-None-Match": tag}
    )
    assert (304, b"") == (same.status, same.wire)
    for name, status in (("stranger", 403), ("revoked", 401), (None, 401)):
        refused = keyed.client(name).get(
            "/api/timeseries", keyed.question(), headers={"If-None-Match": tag}
        )
        assert status == refused.status
        assert "ETag" not in refused.headers


def test_cache_is_shared_between_keys_of_a_site(keyed: KeyedWorker) -> None:
    """What one key has had fetched is a hit for another that may read the same site."""
    more: dict[str, Any] = {"start_time": START_MS + DAY_MS, "end_time": START_MS + 2 * DAY_MS}
    assert "miss" == keyed.ask("reader", **more).headers["X-Cache-Status"]
    assert "hit" == keyed.ask("second", **more).headers["X-Cache-Status"]


def test_other_peoples_jobs_are_not_there(keyed: KeyedWorker) -> None:
    """A job is its owner's and the administrators'; to others it is as if it did not exist."""
    queued = keyed.ask("reader", route="queued", end_time=START_MS + 3 * DAY_MS)
    assert 202 == queued.status, queued.text
    job_id = queued.json()["jobId"]
    for name in ("reader", "admin"):
        assert job_id == keyed.client(name).get(f"/api/jobs/{job_id}").json()["jobId"]
        listed = keyed.client(name).get("/api/jobs").json()["jobs"]
        assert job_id in [job["jobId"] for job in listed]
    other = keyed.client("second")
    for method, path in (("GET", ""), ("GET", "/data"), ("GET", "/events"), ("DELETE", "")):
        real = refusal(other.request(method, f"/api/jobs/{job_id}{path}"), 404)
        none = refusal(other.request(method, f"/api/jobs/{UNKNOWN_JOB}{path}"), 404)
        assert none.replace(UNKNOWN_JOB, "?") == real.replace(job_id, "?")
    assert [] == other.get("/api/jobs").json()["jobs"]
    own = keyed.ask("second", route="queued", end_time=START_MS + 3 * DAY_MS)
    assert job_id != own.json().get("jobId")
    until(
        lambda: keyed.client("reader").get(f"/api/jobs/{job_id}").json()["status"] == "completed",
        what="completed job",
    )
    assert 200 == keyed.client("reader").get(f"/api/jobs/{job_id}/data").status
    refusal(other.get(f"/api/jobs/{job_id}/data"), 404)


def _send(client: Client, path: str, count: int, statuses: list[int]) -> None:
    for _ in range(count):
        if 429 in statuses:
            return
        statuses.append(client.get(path).status)


def test_reads_are_limited_by_key(keyed: KeyedWorker) -> None:
    """Past 600 requests in a minute a key gets 429; others, health and refusals do not."""
    client, statuses = keyed.client("busy"), list[int]()
    count = round(READS_MAX * ROUNDS_MAX / 4)
    threads = [
        threading.Thread(target=_send, args=(client, "/api/timeseries", count, statuses))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {400, 429} == set(statuses)
    # Not where the first 429 stands: answers of four threads are noted in any order.
    assert statuses.count(400) >= READS_MAX
    limited = client.get("/api/timeseries", keyed.question())
    assert "too many requests" in refusal(limited, 429)
    assert "60" == limited.headers["Retry-After"]
    assert 429 == client.get("/api/jobs").status
    with Python(keyed.server.url, keyed.keys["busy"], patience_s=50) as limited_client:
        with pytest.raises(RateLimited, match="too many requests") as caught:
            limited_client.jobs()
        assert 60 == caught.value.retry_after_s
    assert 200 == keyed.ask("second").status
    assert 200 == client.get("/api/health").status
    assert 401 == keyed.client("unknown").get("/api/timeseries").status


def test_the_python_client_has_its_keys_rights(keyed: KeyedWorker) -> None:
    """It sends its key; without one it may nothing, and a reader is no administrator."""
    with Python(keyed.server.url, keyed.keys["reader"]) as client:
        found = client.me()
        assert ("reader", keyed.ids["reader"]) == (found.role, found.key_id)
        assert SITE in found.sites
        with pytest.raises(NotAllowed):
            client.stats()
        with pytest.raises(NotAllowed):
            client.timeseries(OTHER_SITE, "p", START_MS)
    with Python(keyed.server.url, "") as client, pytest.raises(NotAllowed):
        client.me()


def test_submissions_are_limited_by_key(keyed: KeyedWorker) -> None:
    """Past 60 submissions in a minute a key gets 429 for jobs, and still reads."""
    client, upstream = keyed.client("hasty"), keyed.upstream
    upstream.add_generated(SLOW_SITE, start_ms=START_MS, end_ms=START_MS + DAY_MS, names=["a"])
    # While the job waits for its data, asking for it again is one more submission of the same.
    upstream.faults.always(SLOW_SITE, "hang")
    question = keyed.question(SLOW_SITE, points="a", route="queued")
    jobs, answer = set(), None
    try:
        for _ in range(round(JOBS_MAX * ROUNDS_MAX)):
            answer = client.get("/api/timeseries", question)
            if answer.status == 429:
                break
            assert 202 == answer.status, answer.text
            jobs.add(answer.json()["jobId"])
        assert answer is not None
        assert "too many job submissions" in refusal(answer, 429)
        assert "60" == answer.headers["Retry-After"]
        assert 1 == len(jobs)
        assert 200 == client.get("/api/timeseries", keyed.question()).status
    finally:
        for job in jobs:
            client.delete(f"/api/jobs/{job}")
        upstream.faults.clear(SLOW_SITE)


def test_revocation_holds_within_a_minute(keyed: KeyedWorker, leaver: str) -> None:
    """A revoked key that an isolate remembers is refused a minute later at most."""
    client = Client(keyed.server.url, {"X-API-Key": leaver})
    until(
        lambda: client.get("/api/timeseries", keyed.question()).status == 401,
        60,
        what="refusal of the revoked key",
    )
