"""The cached route when parts of it fail: stale data, lost objects, random sequences of it all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from building_vitals_client import Client as Python
from building_vitals_client import StaleData
from devtools.toolchain import Toolchain
from fakes.upstream import FakeUpstream
from integration.harness.brittle_worker import RETRIES, BrittleWorker
from integration.harness.client import Answer, Client, until
from integration.harness.oracle import (
    DAY_MS,
    START_MS,
    Question,
    assert_exact,
    assert_problem,
    cache_of,
)
from integration.harness.sequence import RandomSequence
from integration.harness.tampering import tamper
from integration.harness.worker_server import WorkerServer

REQUESTS = 80
SEED = int(os.environ.get("SEQUENCE_SEED", "20250101"))
PER_DAY = 288
# The last by name.
OTHER = "other"
NOTHING = {"samples": [], "count": 0, "error": None}


def until_status(brittle: BrittleWorker, question: Question, status: str) -> Answer:
    """Ask until the cache status is this; what is known expires after a second."""

    def ask() -> Answer | None:
        answer = question.ask(brittle.client)
        return answer if answer.headers["X-Cache-Status"] == status else None

    found = until(ask, what=f"{status} answer")
    assert found is not None
    return found


@pytest.fixture
def question(brittle: BrittleWorker, site: str) -> Question:
    """Two days of two points of the brittle Worker's upstream, of which one day is known."""
    points = brittle.upstream.add_generated(
        site,
        start_ms=START_MS,
        end_ms=START_MS + 2 * DAY_MS,
        interval_s=3600,
        names=[f"{site}/{each}" for each in ("asked", "asked too", OTHER)],
    )[:2]
    known = Question(site, points, START_MS, START_MS + DAY_MS)
    assert "miss" == cache_of(known.ask(brittle.client))[0]
    return known


@pytest.mark.parametrize("kind", ["503", "429", "cut", "400", "html", "no_cursor"])
def test_expired_data_stand_in_for_a_failed_upstream(
    brittle: BrittleWorker, question: Question, kind: str
) -> None:
    """While the upstream fails, what is known but expired is answered, and called stale."""
    brittle.upstream.faults.always(question.site, kind)
    answer = until_status(brittle, question, "stale")
    assert_exact(brittle.upstream, question, answer)
    status, fetched, count, cached, requests = cache_of(answer)
    assert ("stale", 0, 48) == (status, count, cached)
    assert [] == fetched
    assert requests in (0, 1, RETRIES + 1)
    assert "true" == answer.headers["X-Cache-Hit"]
    # It may be corrected any moment: nobody is to keep it.
    assert "ETag" not in answer.headers
    assert "no-store" == answer.headers["Cache-Control"]
    part = question._replace(start_ms=START_MS + DAY_MS // 2, points=question.points[:1])
    assert_exact(brittle.upstream, part, until_status(brittle, part, "stale"))
    brittle.upstream.faults.clear(question.site)
    # The failure is remembered for some seconds, but concerns no small part of what failed.
    small = question._replace(end_ms=START_MS + DAY_MS // 8, points=question.points[1:])
    again = small.ask(brittle.client)
    assert_exact(brittle.upstream, small, again)
    assert ("miss", "ETag" in again.headers) == (again.headers["X-Cache-Status"], True)


def test_upstream_that_is_down_gives_stale_data(brittle: BrittleWorker, question: Question) -> None:
    """Also when nobody answers at the upstream's address."""
    brittle.upstream.stop()
    try:
        answer = until_status(brittle, question, "stale")
    finally:
        brittle.upstream.start()
    assert_exact(brittle.upstream, question, answer)
    # The failure is remembered for some seconds, no longer.
    assert_exact(brittle.upstream, question, until_status(brittle, question, "miss"))


def test_the_python_client_warns_of_stale_data(brittle: BrittleWorker, question: Question) -> None:
    """It returns what was kept, with the ranges that are missing."""
    site, points, start_ms, end_ms = question[:4]
    brittle.upstream.faults.always(site, "503")
    until_status(brittle, question, "stale")
    with Python(brittle.server.url) as client, pytest.warns(StaleData, match="the upstream failed"):
        found = client.timeseries(site, points, start_ms, end_ms + DAY_MS, route="cached")
    assert found.is_stale
    ((first, last),) = found.missing
    assert (end_ms, end_ms + DAY_MS) == tuple(each.timestamp() * 1000 for each in (first, last))
    known = question.ask(brittle.client).json()["data"]
    assert {name: each["samples"] for name, each in known.items()} == {
        name: [list(each) for each in rows] for name, rows in found.samples.items()
    }


def test_what_was_never_known_is_missing(brittle: BrittleWorker, question: Question) -> None:
    """What is known is answered, with what could not be had; nothing known is an error."""
    more = question._replace(end_ms=question.end_ms + DAY_MS)
    brittle.upstream.faults.always(question.site, "503")
    until_status(brittle, question, "stale")
    known = question.ask(brittle.client).json()["data"]
    stranger = f"{question.site}/{OTHER}"
    other = question._replace(points=[*question.points, stranger])
    for asked, missing, data in (
        (more, [question.end_ms, more.end_ms], known),
        (other, [question.start_ms, question.end_ms], {**known, stranger: NOTHING}),
    ):
        answer = asked.ask(brittle.client)
        assert (200, "stale") == (answer.status, answer.headers["X-Cache-Status"])
        document = answer.json()
        assert [missing] == document["_meta"]["cache"]["missing"]
        assert data == document["data"]
    alone = question._replace(points=[stranger])
    assert 503 == assert_problem(alone.ask(brittle.client), 502)["upstreamStatus"]
    brittle.upstream.faults.clear(question.site)

    def whole() -> Answer | None:
        answer = more.ask(brittle.client)
        return None if answer.headers["X-Cache-Status"] == "stale" else answer

    assert_exact(brittle.upstream, more, until(whole, what="answer with what was missing"))


def test_a_site_that_is_gone_is_404(brittle: BrittleWorker, question: Question) -> None:
    """That there is no such site is an answer, no failure: nothing stale is given."""
    brittle.upstream.remove_site(question.site)

    def is_gone() -> bool:
        return question.ask(brittle.client).status == 404

    until(is_gone, what="404")
    assert_problem(question.ask(brittle.client), 404)


def test_late_samples_come_after_the_expiry(brittle: BrittleWorker, site: str) -> None:
    """Samples that arrive late are in the answer once what is known has expired."""
    upstream = brittle.upstream
    upstream.set_points(site, {"full": [(START_MS, "1.0")], "empty": []})
    question = Question(site, ["full", "empty"], START_MS, START_MS + DAY_MS)
    assert_exact(upstream, question, question.ask(brittle.client))
    upstream.add_samples(site, "empty", [(START_MS + 5, "7.50")])
    upstream.add_samples(site, "full", [(START_MS, "2.0"), (START_MS + 9, "3.0")])

    def is_late_there() -> bool:
        document = question.ask(brittle.client).json()
        return bool(document["data"]["empty"]["count"] == 1)

    until(is_late_there, what="late sample")
    assert_exact(upstream, question, question.ask(brittle.client))


def test_stale_data_are_kept_through_failed_refreshes(
    brittle: BrittleWorker, question: Question
) -> None:
    """A refresh that fails half way takes nothing away from what there was."""
    # Three pages are needed; the third never comes.
    points = brittle.upstream.add_generated(
        f"{question.site}-b",
        start_ms=START_MS,
        end_ms=START_MS + DAY_MS,
        points=10,
        interval_s=3600,
    )
    wide = Question(f"{question.site}-b", points, START_MS, START_MS + DAY_MS)
    assert_exact(brittle.upstream, wide, wide.ask(brittle.client))
    for _ in range(2):
        brittle.upstream.faults.times(wide.site, "500", RETRIES + 1, skip=2)
        answer = until_status(brittle, wide, "stale")
        assert_exact(brittle.upstream, wide, answer)
        brittle.upstream.faults.clear(wide.site)
        # Once the failure is forgotten.
        assert_exact(brittle.upstream, wide, until_status(brittle, wide, "miss"))


def test_lost_objects_are_fetched_again(
    upstream: FakeUpstream, tools: Toolchain, tmp_path: Path, site: str
) -> None:
    """Objects deleted, overwritten, cut or emptied behind its back are gaps; answers are right."""
    variables = {"UPSTREAM_RETRY_DELAY": "10", "SLIVER_BYTES": "0"}
    options: dict[str, Any] = {
        "upstream": upstream.url,
        "token": upstream.token,
        "variables": variables,
    }
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 12 * DAY_MS, points=4
    )
    days = [
        Question(site, points, START_MS + day * DAY_MS, START_MS + (day + 1) * DAY_MS)
        for day in range(6)
    ]
    with WorkerServer(tmp_path, **options) as server:
        sequence = RandomSequence(server.client, upstream, f"{site}-random", seed=SEED, worst=0)
        sequence.run(10)
        for day in days:
            assert "miss" == cache_of(day.ask(server.client))[0]
        of_days = until(lambda: keys_of(server.client, site, 6), what="six objects")
        others = keys_of(server.client, f"{site}-random", 1)
    kinds = [None, b"", b"x" * 100, b"\0" * 20_000, b"[1,2]" * 2000]
    changes = dict(zip(of_days, [*kinds, None], strict=True))
    kept = of_days[4]
    del changes[kept]
    changes |= {key: kinds[at % len(kinds)] for at, key in enumerate(others[::2])}
    assert None not in tamper(tools, tmp_path / "home", server.state, changes)
    upstream.clear_log(site)
    with WorkerServer(tmp_path, **options, port=server.port) as again:
        for key, day in zip(of_days, days, strict=True):
            answer = day.ask(again.client)
            assert_exact(upstream, day, answer)
            found = cache_of(answer)
            if key == kept:
                assert ("hit", [], 0, 4 * PER_DAY, 0) == found
            else:
                assert [[day.start_ms, day.end_ms]] == found[1]
                assert (4 * PER_DAY, 0, 1) == found[2:]
        for day in days:
            answer = day.ask(again.client)
            assert_exact(upstream, day, answer)
            assert "hit" == answer.headers["X-Cache-Status"]
        assert 5 * 4 * PER_DAY == upstream.samples_sent(site)
        sequence.use(again.client)
        sequence.run(25)
        sequence.finish()
        assert 0 == sequence.seen["error"]
        assert '"event":"fault"' not in "".join(
            line for line in again.log.splitlines() if "lost objects" not in line
        )
    again.assert_clean_log()


def keys_of(client: Client, site: str, least: int) -> list[str]:
    """Return a site's objects in the order they were made, once there are so many."""
    answer = client.get("/api/cache/objects", {"prefix": f"timeseries/{site}/", "limit": 1000})
    objects = answer.json()["objects"]
    return sorted(each["key"] for each in objects) if len(objects) >= least else []


def test_random_sequence(client: Client, upstream: FakeUpstream, site: str) -> None:
    """Overlapping requests in every format, purges, single faults: always the upstream's data."""
    sequence = RandomSequence(client, upstream, site, seed=SEED, worst=1)
    sequence.run(REQUESTS)
    sequence.finish()
    assert 0 == sequence.seen["error"]
    assert min(sequence.seen[each] for each in ("hit", "partial", "miss")) > 5, sequence.seen


def test_random_sequence_with_expiry_and_lasting_faults(brittle: BrittleWorker, site: str) -> None:
    """The same where all expires after a second and faults outlast patience: right, or honest."""
    sequence = RandomSequence(
        brittle.client, brittle.upstream, site, seed=SEED + 1, worst=3 * RETRIES
    )
    sequence.run(REQUESTS)
    sequence.finish()
    assert sequence.seen["error"] + sequence.seen["stale"] > 0
    assert min(sequence.seen[each] for each in ("hit", "partial", "miss")) > 0, sequence.seen
    assert sequence.seen["error"] < REQUESTS / 3
