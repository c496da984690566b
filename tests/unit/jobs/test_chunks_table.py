"""Chunks in their table: who may work on one, and what its end does to the job."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from building_vitals.instants import SKEW_MS
from building_vitals.jobs.chunks_table import ChunkOutcome, Result
from building_vitals.jobs.model import CLAIM_MS, ChunkRef
from fakes.job_tables import NOW_MS, JobTables

FIRST, LAST = ChunkRef("job", 0), ChunkRef("job", 1)
LATER_MS = NOW_MS + 10_000


@pytest.fixture
def tables() -> Iterator[JobTables]:
    """A database without any job."""
    with JobTables() as made:
        yield made


async def release(tables: JobTables, *, is_counted: bool, claim: str = "me") -> None:
    """Put the first chunk back for a second, after a failure."""
    await tables.chunks.release(
        FIRST,
        claim,
        now_ms=NOW_MS,
        next_ms=NOW_MS + 1_000,
        due_ms=NOW_MS + 61_000,
        is_counted=is_counted,
        error="upstream answered 503",
        error_class="upstream",
    )


async def test_a_claim_is_one_consumers(tables: JobTables) -> None:
    """It gets the points of its chunk; the next one gets nothing until the claim has expired."""
    await tables.submit()
    mine = await tables.claim(1)
    assert ("me", ("p3",), 1, LATER_MS) == (
        mine.claim,
        mine.points,
        mine.attempts,
        mine.claim_expires_ms,
    )
    for now_ms, owner, points, attempts in (
        (LATER_MS - 1, "me", None, 1),
        (LATER_MS, "other", ("p3",), 2),
    ):
        state = await tables.claim(1, "other", now_ms=now_ms)
        assert (owner, points, attempts) == (state.claim, state.points, state.attempts)


async def test_a_claim_of_the_future_is_nobodys(tables: JobTables) -> None:
    """The clock was set back by minutes, and who had the claim has died: the next one gets it."""
    await tables.submit()
    mine = await tables.claim(1)
    ends_ms = mine.claim_expires_ms
    a_little, much = ends_ms - CLAIM_MS - SKEW_MS, ends_ms - CLAIM_MS - SKEW_MS - 1
    assert [False, True, True, False] == [
        mine.is_claimed(at_ms) for at_ms in (ends_ms, ends_ms - 1, a_little, much)
    ]
    tables.look("UPDATE job_chunks SET next_ms = 0")
    assert "me" == (await tables.claim(1, "other", now_ms=a_little)).claim
    assert "other" == (await tables.claim(1, "other", now_ms=much)).claim


async def test_a_chunk_has_so_many_attempts(tables: JobTables) -> None:
    """After them nobody gets it, though its claim has expired."""
    await tables.submit()
    for n in range(3):
        state = await tables.claim(0, f"c{n}", now_ms=NOW_MS + 10_000 * n, attempts_max=2)
        assert (n < 2) == (state.claim == f"c{n}")
    assert 2 == state.attempts


async def test_unknown_chunks_have_no_state(tables: JobTables) -> None:
    """Neither that of a job nobody knows, nor one that a job does not have."""
    await tables.submit()
    for ref in (ChunkRef("other", 0), ChunkRef("job", 2)):
        assert None is await tables.chunks.look(ref)


@pytest.mark.parametrize(
    ("priority", "status", "age_ms", "is_claimed"),
    [
        pytest.param("high", "queued", 0, False, id="a high one waits"),
        pytest.param("normal", "processing", 0, False, id="a normal one is under way"),
        pytest.param("normal", "retrying", 0, False, id="a normal one is tried again"),
        pytest.param("low", "processing", 0, True, id="only low ones"),
        pytest.param("high", "completed", 0, True, id="a high one has ended"),
        pytest.param("high", "queued", 1_000, True, id="it has waited long enough"),
        pytest.param("high", "queued", 999, False, id="it has waited nearly long enough"),
    ],
)
async def test_low_jobs_let_others_go_first(
    tables: JobTables, priority: str, status: str, age_ms: int, *, is_claimed: bool
) -> None:
    """As long as their patience lasts, and only those that are more urgent and active."""
    await tables.submit("other", priority=priority)
    tables.look("UPDATE queue_jobs SET status = ?1", status)
    await tables.submit(priority="low")
    state = await tables.claim(now_ms=NOW_MS + age_ms)
    assert is_claimed == (state.claim == "me")


async def test_a_released_chunk_waits_for_its_time(tables: JobTables) -> None:
    """The job says why; an attempt that does not count is given back."""
    await tables.submit()
    await tables.claim()
    await release(tables, is_counted=True)
    job = await tables.job()
    assert ("retrying", "upstream answered 503", "upstream") == (
        job.status,
        job.error,
        job.error_class,
    )
    assert None is (await tables.claim(0, "early", now_ms=NOW_MS + 999)).claim
    assert 2 == (await tables.claim(0, "me", now_ms=NOW_MS + 1_000)).attempts
    await release(tables, is_counted=False)
    state = await tables.chunks.look(FIRST)
    assert state is not None
    assert 1 == state.attempts


async def test_only_the_holder_changes_a_chunk(tables: JobTables) -> None:
    """Whose claim has passed to another neither renews, nor releases, nor fails it."""
    await tables.submit()
    await tables.claim()
    await release(tables, is_counted=True, claim="other")
    await tables.chunks.fail(FIRST, "other", now_ms=NOW_MS, error="x", error_class="crash")
    times: dict[str, Any] = {"now_ms": NOW_MS, "expires_ms": NOW_MS + 1, "due_ms": NOW_MS}
    assert None is await tables.chunks.renew(FIRST, "other", share=0.9, **times)
    assert not await tables.chunks.goes_on(FIRST, "other")
    state = await tables.chunks.look(FIRST)
    assert state is not None
    assert ("processing", "me", 0) == (state.status, state.claim, state.progress)
    assert [] == await tables.chunks.renew(FIRST, "me", share=0.5, **times)
    assert await tables.chunks.goes_on(FIRST, "me")


async def test_progress_is_weighted_by_size_and_never_falls(tables: JobTables) -> None:
    """Half of 300 samples of 400 are 37 of 100; an earlier share changes nothing."""
    await tables.submit()
    await tables.claim()
    for share, kept, expected in ((0.5, 0.5, 37), (0.2, 0.5, 37), (0.9, 0.9, 67)):
        await tables.chunks.renew(FIRST, "me", now_ms=1, expires_ms=2, due_ms=3, share=share)
        state = await tables.chunks.look(FIRST)
        assert state is not None
        assert (kept, expected) == (state.progress, (await tables.job()).progress)


async def finish(tables: JobTables, chunk: int, *sizes: int, now_ms: int = NOW_MS) -> ChunkOutcome:
    """Finish a chunk with samples, bytes and requests."""
    ref = ChunkRef("job", chunk)
    return await tables.chunks.finish(ref, Result(*sizes), now_ms=now_ms, due_ms=now_ms + 5_000)


async def test_the_check_after_the_last_chunk_completes_the_job(tables: JobTables) -> None:
    """Sums are exact, and to finish twice counts once, whoever holds the claim."""
    await tables.submit()
    await tables.claim()
    nothing = ChunkOutcome([], None)
    assert nothing == await finish(tables, 0, 10, 70, 2)
    assert nothing == await finish(tables, 0, 99, 99, 9)
    assert ("processing", 75, 1) == (
        (await tables.job()).status,
        (await tables.job()).progress,
        (await tables.job()).completed_chunks,
    )
    assert ChunkOutcome([2], None) == await finish(tables, 1, 1, 7, 1, now_ms=NOW_MS + 5)
    assert nothing == await finish(tables, 1, 1, 7, 1, now_ms=NOW_MS + 6)
    assert ("processing", 99) == ((await tables.job()).status, (await tables.job()).progress)
    ended = ChunkOutcome([], "completed")
    assert ended == await finish(tables, 2, 0, 0, 0, now_ms=NOW_MS + 7)
    assert nothing == await finish(tables, 2, 0, 0, 0, now_ms=NOW_MS + 8)
    job = await tables.job()
    assert ("completed", 100, 2, 11, 77, NOW_MS + 7) == (
        job.status,
        job.progress,
        job.completed_chunks,
        job.samples_count,
        job.data_size,
        job.completed_ms,
    )


async def test_a_failure_without_hope_ends_the_job_at_once(tables: JobTables) -> None:
    """Its other chunks are left as they are, and the job has ended once."""
    await tables.submit()
    await tables.claim()
    failure: dict[str, Any] = {"error": "no such site", "error_class": "bad_request"}
    fail = partial(tables.chunks.fail, FIRST, "me", now_ms=NOW_MS, is_hopeless=True, **failure)
    assert "failed" == await fail()
    assert None is await fail()
    assert ("failed", "no such site") == ((await tables.job()).status, (await tables.job()).error)
    assert None is (await tables.claim(1)).claim


async def test_a_job_fails_when_nothing_more_can_come(tables: JobTables) -> None:
    """One bad chunk lets the others end first; until then the job goes on, and each chunk knows."""
    await tables.submit()
    await tables.claim()
    await tables.chunks.fail(FIRST, "me", now_ms=NOW_MS, error="no", error_class="upstream")
    other = await tables.claim(1)
    assert ("processing", True) == (other.job_status, other.is_doomed)
    await tables.chunks.finish(LAST, Result(1, 7, 1), now_ms=NOW_MS + 5, due_ms=NOW_MS)
    job = await tables.job()
    assert ("failed", "no", "upstream", NOW_MS + 5) == (
        job.status,
        job.error,
        job.error_class,
        job.failed_ms,
    )


@pytest.mark.parametrize(
    ("now_ms", "expected"),
    [
        pytest.param(LATER_MS - 1, "processing", id="somebody works on it"),
        pytest.param(LATER_MS, "failed", id="its claim has expired"),
    ],
)
async def test_a_chunk_fails_without_a_holder(
    tables: JobTables, now_ms: int, expected: str
) -> None:
    """What the queue has given up ends, unless somebody has it in hand."""
    await tables.submit()
    await tables.claim()
    await tables.chunks.fail(FIRST, None, now_ms=now_ms, error="x", error_class="crash")
    state = await tables.chunks.look(FIRST)
    assert state is not None
    assert expected == state.status


async def test_a_cancelled_job_is_left_alone(tables: JobTables) -> None:
    """Nothing is claimed, renewed or failed any more, and the job stays cancelled."""
    await tables.submit()
    await tables.claim()
    await tables.jobs.cancel("job", now_ms=NOW_MS)
    assert not await tables.chunks.goes_on(FIRST, "me")
    assert None is await tables.chunks.renew(FIRST, "me", now_ms=1, expires_ms=2, due_ms=3, share=1)
    await tables.chunks.fail(FIRST, "me", now_ms=NOW_MS, error="x", error_class="crash")
    assert None is (await tables.claim(1)).claim
    assert ("cancelled", None) == ((await tables.job()).status, (await tables.job()).error)


async def test_requests_of_attempts_that_failed_are_counted(tables: JobTables) -> None:
    """Those of all attempts, whether they went back, failed or finished."""
    await tables.submit()
    failure: dict[str, Any] = {"error": "x", "error_class": "upstream", "now_ms": NOW_MS}
    await tables.claim()
    await tables.chunks.release(
        FIRST,
        "me",
        next_ms=NOW_MS,
        due_ms=NOW_MS,
        is_counted=False,
        upstream_requests=3,
        **failure,
    )
    await tables.claim()
    await tables.chunks.finish(FIRST, Result(1, 1, 4), now_ms=NOW_MS, due_ms=NOW_MS)
    await tables.claim(1)
    await tables.chunks.fail(LAST, "me", upstream_requests=5, **failure)
    rows = tables.look("SELECT upstream_requests FROM queue_jobs")
    assert [{"upstream_requests": 12}] == rows


async def test_an_attempt_that_is_spared_does_not_count(tables: JobTables) -> None:
    """The renewal that says so gives it back, and never more than there is."""
    await tables.submit()
    await tables.claim()
    times: dict[str, Any] = {"now_ms": NOW_MS, "expires_ms": NOW_MS + 1, "due_ms": NOW_MS}
    for is_spared, attempts in ((False, 1), (True, 0), (True, 0)):
        await tables.chunks.renew(FIRST, "me", share=0.5, is_spared=is_spared, **times)
        state = await tables.chunks.look(FIRST)
        assert state is not None
        assert attempts == state.attempts
