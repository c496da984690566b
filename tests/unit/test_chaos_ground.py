"""The upstream's data change as the truth says that they do."""

from __future__ import annotations

from itertools import pairwise

import pytest

from chaos.abandoning import part_of, split
from chaos.ground import ALPHA, JOBS, LIVE, START_MS, Ground, new_value, now_ms
from chaos.jobs import faults_of
from chaos.oracle import ABSENT, Truth
from chaos.profiles import PROFILES, policy_of, profiles_of
from chaos.record import Record
from fakes.upstream import FakeUpstream, LoggedRequest

DAY_MS = 86_400_000


@pytest.fixture
def upstream() -> FakeUpstream:
    """A fake that serves nobody."""
    return FakeUpstream()


@pytest.fixture
def truth() -> Truth:
    """Nothing yet."""
    return Truth()


@pytest.fixture
def ground(upstream: FakeUpstream, truth: Truth) -> Ground:
    """The sites of seed 3."""
    return Ground(upstream, truth, 3)


def assert_same(upstream: FakeUpstream, truth: Truth, site: str) -> None:
    """See that the fake has what the truth's newest versions are."""
    for name, history in truth.points[site].items():
        sent = dict(upstream.samples(site, name, 0, 10**15)) if truth_has(truth, site, name) else {}
        assert history.newest() == sent


def truth_has(truth: Truth, site: str, name: str) -> bool:
    """Return whether a point is there now."""
    return bool(truth.existence[site, name].newest())


def test_the_truth_and_the_upstream_change_together(
    upstream: FakeUpstream, truth: Truth, ground: Ground
) -> None:
    """After each kind of change both have the same samples."""
    for site in (ALPHA.name, JOBS.name, LIVE.name):
        assert_same(upstream, truth, site)
    ground.correct(ALPHA.name, ALPHA.points[:3], START_MS, START_MS + DAY_MS)
    ground.add_late(ALPHA.name, ALPHA.points[2:4], START_MS + 3_000)
    assert_same(upstream, truth, ALPHA.name)
    ground.appear(ALPHA.name, "alpha/new")
    ground.vanish(ALPHA.name, ALPHA.points[5])
    assert_same(upstream, truth, ALPHA.name)
    assert upstream.has_point(ALPHA.name, "alpha/new")
    assert not upstream.has_point(ALPHA.name, ALPHA.points[5])
    ground.add_late(ALPHA.name, (ALPHA.points[5],), START_MS)
    assert not upstream.has_point(ALPHA.name, ALPHA.points[5])


def test_a_correction_shows_in_every_value(truth: Truth, ground: Ground) -> None:
    """No value of a sample is like one before it, so that an answer shows which it saw."""
    before = now_ms()
    for _ in range(2):
        ground.correct(ALPHA.name, ALPHA.points[:4], START_MS, START_MS + DAY_MS)
    changed = 0
    for name in ALPHA.points[:4]:
        history = truth.history(ALPHA.name, name)
        for ms in history.times(START_MS, START_MS + DAY_MS):
            values = [version.value for version in history.versions(ms)]
            assert all(older != newer for older, newer in pairwise(values))
            present = [value for value in values if value is not ABSENT]
            assert len(set(present)) == len(present)
            changed += sum(each.began_ms >= before for each in history.versions(ms))
    assert changed > 100


def test_values_are_of_all_kinds(truth: Truth, ground: Ground) -> None:
    """Numbers, texts and nulls occur, and the same seed gives the same."""
    values = {
        type(value)
        for name in ALPHA.points
        for value in truth.history(ALPHA.name, name).newest().values()
    }
    assert {str, type(None)} == values
    assert new_value("p", 5, 1) == new_value("p", 5, 1)
    other = Truth()
    Ground(FakeUpstream(), other, 3)
    name = ALPHA.points[0]
    assert truth.history("alpha", name).newest() == other.history("alpha", name).newest()


def test_profiles_follow_the_seed() -> None:
    """Each way to set up the Worker comes before one comes again; its vars say what it allows."""
    found = profiles_of(5)
    assert len(PROFILES) == len({each.variables["UPSTREAM_CALLS"] for each in found})
    assert found == profiles_of(5)
    policy = policy_of(PROFILES[0])
    assert (2.0, 5_000, 30_000, 120_000, 180_000) == (
        policy.trust_ratio,
        policy.trust_max_ms,
        policy.grace_ms,
        policy.unread_ms,
        policy.list_ms,
    )


JOB = {
    "status": "completed",
    "progress": 100,
    "totalChunks": 2,
    "completedChunks": 2,
    "dataUrl": "/api/jobs/j/data",
}


@pytest.mark.parametrize(
    ("changed", "progress", "ended"),
    [
        ({"status": "lost"}, 0, None),
        ({"status": "processing", "progress": 49}, 50, None),
        ({"status": "processing"}, 100, "cancelled"),
        ({"completedChunks": 3}, 0, None),
        ({"progress": 99}, 0, None),
        ({"dataUrl": None}, 0, None),
    ],
)
def test_an_odd_job_is_caught(
    changed: dict[str, object], progress: float, ended: str | None
) -> None:
    """Progress never falls, an end is final, a completed job has its data."""
    assert [] == list(faults_of(JOB, 100, "completed"))
    assert list(faults_of({**JOB, **changed}, progress, ended))


def test_requests_of_one_chunk_are_told_from_others() -> None:
    """A page is of the chunk that ends where it ends, a call by point of that of its points."""

    def logged(time_ms: int, names: tuple[str, ...] | None, end: str) -> LoggedRequest:
        return LoggedRequest("s", "", "GET", "/", {"end_time": end}, {}, b"", names, time_ms)

    pages = [logged(1, None, "a"), logged(2, None, "a"), logged(9, None, "b")]
    begun, late = split(pages, 2)
    assert [1, 2] == [each.time_ms for each in begun]
    assert {part_of(each) for each in begun}.isdisjoint(part_of(each) for each in late)
    assert part_of(logged(1, ("p",), "a")) == part_of(logged(5, ("p",), "b"))


def test_a_rule_that_is_set_aside_is_counted_alone() -> None:
    """It shows in the report, and does not make the run a failure; any other is told at once."""
    told: list[str] = []
    record = Record(1, frozenset({"going_back"}), told.append)
    record.note(5, "going_back", "GET /", "x")
    assert record.is_clean
    assert "not held against it: going_back 1" in record.lines(1.0)
    record.note(6, "samples", "GET /", "wrong")
    assert not record.is_clean
    lines = record.lines(1.0)
    assert ["DIFFERENCE [samples] seed 1, operation 6: GET /: wrong"] == told
    assert told[0] in lines
    assert "1 differences: samples 1" == lines[-1]
