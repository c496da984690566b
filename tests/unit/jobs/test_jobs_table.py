"""Jobs in their table: submitted once and within limits, cancelled, put back, listed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from building_vitals.jobs.chunks_table import Result
from building_vitals.jobs.jobs_table import Failure, FailureCount
from building_vitals.jobs.model import ChunkRef
from fakes.job_tables import NOW_MS, JobTables


@pytest.fixture
def tables() -> Iterator[JobTables]:
    """A database without any job."""
    with JobTables() as made:
        yield made


async def fail(tables: JobTables, job_id: str = "job", *, at_ms: int = NOW_MS) -> None:
    """Complete the first chunk of a job and fail the second."""
    await tables.chunks.finish(ChunkRef(job_id, 0), Result(1, 1, 1), now_ms=at_ms, due_ms=at_ms)
    await tables.chunks.fail(
        ChunkRef(job_id, 1), None, now_ms=at_ms, error="no", error_class="upstream"
    )


@pytest.mark.parametrize(
    ("owner", "status", "is_new"),
    [
        pytest.param("key", "queued", False, id="queued"),
        pytest.param("key", "processing", False, id="under way"),
        pytest.param("key", "retrying", False, id="tried again"),
        pytest.param("key", "completed", True, id="completed"),
        pytest.param("key", "failed", True, id="failed"),
        pytest.param("key", "cancelled", True, id="cancelled"),
        pytest.param("other", "queued", True, id="another owner's"),
    ],
)
async def test_an_active_request_is_one_job(
    tables: JobTables, owner: str, status: str, *, is_new: bool
) -> None:
    """The same request of the same owner finds its job as long as that has not ended."""
    await tables.submit("first", request="r", owner=owner)
    tables.look("UPDATE queue_jobs SET status = ?1", status)
    second = await tables.submit("second", request="r")
    assert (("second" if is_new else "first"), is_new) == (second.job_id, second.is_new)
    assert (2 if is_new else 1) * 2 == len(tables.look("SELECT * FROM job_chunks"))
    assert second.job_id == await tables.jobs.find_active("key", "r")
    assert await tables.jobs.find_active("nobody", "r") is None


@pytest.mark.parametrize(
    ("jobs", "samples", "is_queued"),
    [
        pytest.param(2, 800, True, id="just enough"),
        pytest.param(1, 800, False, id="a job too many"),
        pytest.param(2, 799, False, id="a sample too many"),
    ],
)
async def test_owners_have_limits(
    tables: JobTables, jobs: int, samples: int, *, is_queued: bool
) -> None:
    """Over either nothing is inserted and the use is told; ended and others' jobs do not count."""
    await tables.submit("ended")
    await tables.jobs.cancel("ended", now_ms=NOW_MS)
    await tables.submit("others", owner="other")
    await tables.submit("first")
    found = await tables.submit("second", active_jobs_max=jobs, queued_samples_max=samples)
    expected = ("second", 2, 800) if is_queued else (None, 1, 400)
    assert expected == (found.job_id, found.active_jobs, found.queued_samples)
    rows = tables.look("SELECT job_id FROM job_points WHERE job_id = 'second'")
    assert is_queued == bool(rows)


async def test_a_removed_job_leaves_nothing(tables: JobTables) -> None:
    """Other jobs stay as they are."""
    await tables.submit("other")
    await tables.submit()
    assert ("p0", "p1", "p2", "p3") == await tables.jobs.points("job")
    await tables.jobs.remove("job")
    assert None is await tables.jobs.find("job")
    assert () == await tables.jobs.points("job")
    for table in ("queue_jobs", "job_points", "job_plans", "job_chunks"):
        rows = tables.look(f"SELECT DISTINCT job_id FROM {table}")
        assert [{"job_id": "other"}] == rows


async def test_only_active_jobs_are_cancelled(tables: JobTables) -> None:
    """A second time, or after the end, it is too late."""
    await tables.submit()
    assert await tables.jobs.cancel("job", now_ms=NOW_MS)
    assert not await tables.jobs.cancel("job", now_ms=NOW_MS + 1)
    assert NOW_MS == (await tables.job()).cancelled_ms
    assert [{"due_ms": None}] == tables.look("SELECT DISTINCT due_ms FROM job_chunks")


async def test_a_failed_job_is_put_back_with_its_bad_chunks(tables: JobTables) -> None:
    """What was done stays done; a job that has not failed or runs again already stays as it is."""
    await tables.submit(request="r")
    assert None is await tables.jobs.revive("job", now_ms=NOW_MS, due_ms=NOW_MS)
    await fail(tables)
    assert [1] == await tables.jobs.revive("job", now_ms=NOW_MS + 5, due_ms=NOW_MS + 9)
    job = await tables.job()
    assert ("queued", None, None, 1) == (
        job.status,
        job.error,
        job.failed_ms,
        job.completed_chunks,
    )
    await tables.chunks.fail(
        ChunkRef("job", 1), None, now_ms=NOW_MS, error="no", error_class="upstream"
    )
    await tables.submit("again", request="r")
    assert None is await tables.jobs.revive("job", now_ms=NOW_MS, due_ms=NOW_MS)
    assert "failed" == (await tables.job()).status


@pytest.mark.parametrize("status", ["completed", "cancelled"])
async def test_a_job_that_has_not_failed_is_not_put_back(tables: JobTables, status: str) -> None:
    """Its end was wanted, or is all there is."""
    await tables.submit()
    tables.look("UPDATE queue_jobs SET status = ?1", status)
    assert None is await tables.jobs.revive("job", now_ms=NOW_MS, due_ms=NOW_MS)
    assert status == (await tables.job()).status


async def test_failures_are_listed_and_counted(tables: JobTables) -> None:
    """The latest first, as many as asked for; classes with how many of them are recent."""
    for n in range(3):
        await tables.submit(f"j{n}")
        await fail(tables, f"j{n}", at_ms=NOW_MS + n)
    assert [
        Failure(f"j{n}", "hq", 1, "upstream", "no", 0, NOW_MS + n) for n in (2, 1)
    ] == await tables.jobs.failures(2)
    assert [FailureCount("upstream", 3, 2)] == await tables.jobs.failure_counts(NOW_MS + 1)


async def test_pages_go_on_after_a_job(tables: JobTables) -> None:
    """Jobs of one instant follow by id; owner, status and site are filters."""
    for n, owner in enumerate(("key", "key", "other", "key")):
        await tables.submit(f"j{n}", owner=owner, now_ms=NOW_MS + n // 2)
    await tables.jobs.cancel("j0", now_ms=NOW_MS)

    async def page(
        owner: str | None = None,
        after: tuple[int, str] | None = None,
        status: str | None = None,
        site: str | None = None,
    ) -> list[str]:
        jobs = tables.jobs
        found = await jobs.page(owner=owner, after=after, status=status, site=site, limit=3)
        return [job.job_id for job in found]

    assert ["j3", "j2", "j1"] == await page()
    assert ["j0"] == await page(after=(NOW_MS, "j1"))
    assert ["j3", "j1", "j0"] == await page(owner="key")
    assert ["j0"] == await page(status="cancelled")
    assert [] == await page(site="lab")
