"""What changes of chunks do to their job, and which chunks are made next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from building_vitals.instants import DAY_MS
from building_vitals.jobs.chunking import JobPlan
from building_vitals.jobs.chunks_table import Result
from building_vitals.jobs.jobs_table import NewJob, OwnerLimits
from building_vitals.jobs.model import CHUNKS_AHEAD, ChunkRef
from building_vitals.ranges import Range
from fakes.job_plans import chunks_of
from fakes.job_tables import NOW_MS, JobTables, make_known

PLAN = JobPlan([0, 3, 5, 8], [n * DAY_MS for n in (0, 1, 3, 4, 8, 9, 12, 13, 14)], 100.0)
TIMES: dict[str, Any] = {"now_ms": NOW_MS, "due_ms": NOW_MS + 5_000}


class PlannedJob(JobTables):
    """A job of 24 chunks."""

    async def begin(self, *, is_site_known: bool) -> list[int]:
        """Submit it; return the chunks that were made."""
        if is_site_known:
            make_known(self)
        job = NewJob(
            job_id="job",
            request_hash="r",
            owner="key",
            site="hq",
            points=tuple("abcdefgh"),
            time_range=Range(0, 14 * DAY_MS),
            priority="normal",
            estimated=1,
            metadata={},
            plan=PLAN,
            **TIMES,
        )
        return (await self.jobs.submit(job, OwnerLimits(9, 10**9, 10**9))).made

    async def finish(self, chunk: int) -> list[int]:
        """Finish a chunk of one sample; return those that were made."""
        end = await self.chunks.finish(ChunkRef("job", chunk), Result(1, 2, 3), **TIMES)
        return end.made


@pytest.fixture
def tables() -> Iterator[PlannedJob]:
    """A database without any job."""
    with PlannedJob() as made:
        yield made


async def test_chunks_are_made_a_few_ahead_and_all_in_the_end(tables: PlannedJob) -> None:
    """Each that is done makes the next, all are as planned, and the check comes after the last."""
    made = await tables.begin(is_site_known=True)
    assert list(range(CHUNKS_AHEAD)) == made
    for n in range(PLAN.chunks_count):
        following = await tables.finish(n)
        expected = n + CHUNKS_AHEAD
        if n == PLAN.chunks_count - 1:
            assert [PLAN.chunks_count] == following
        else:
            assert [expected][: expected < PLAN.chunks_count] == following
        assert [] == await tables.finish(n)
        [row] = tables.look("SELECT count(*) AS n FROM job_chunks WHERE status <> 'completed'")
        assert row["n"] <= CHUNKS_AHEAD
    rows = tables.look(
        "SELECT chunk, first_point, points_count, start_ms, end_ms, estimated FROM job_chunks"
        " ORDER BY chunk"
    )
    assert [each._asdict() for each in chunks_of(PLAN)] == rows[:-1]
    assert (24, 0, 0, 0, 14 * DAY_MS, 0) == tuple(rows[-1].values())
    [job] = tables.look(
        "SELECT completed_chunks, samples_count, data_size, upstream_requests, progress,"
        " done_estimated, planned_estimated FROM queue_jobs"
    )
    assert (24, 24, 48, 72, 99, PLAN.estimated, PLAN.estimated) == tuple(job.values())


async def test_one_chunk_goes_ahead_at_a_site_nobody_knows(tables: PlannedJob) -> None:
    """The others are made as soon as something has come of it, not before."""
    assert [0] == await tables.begin(is_site_known=False)
    await tables.claim()
    renewal: dict[str, Any] = {"now_ms": NOW_MS, "expires_ms": NOW_MS + 9, "due_ms": NOW_MS}
    for share, expected in ((0.0, []), (0.1, list(range(1, CHUNKS_AHEAD))), (0.2, [])):
        assert expected == await tables.chunks.renew(
            ChunkRef("job", 0), "me", share=share, makes_due_ms=NOW_MS, **renewal
        )


async def test_nothing_is_made_of_a_job_that_fails_or_has_ended(tables: PlannedJob) -> None:
    """One that failed for good keeps others from being made; so does a cancel."""
    await tables.begin(is_site_known=True)
    failure: dict[str, Any] = {"error": "no", "error_class": "upstream"}
    await tables.chunks.fail(ChunkRef("job", 3), None, now_ms=NOW_MS, **failure)
    assert [] == await tables.finish(0)
    await tables.jobs.cancel("job", now_ms=NOW_MS)
    assert [] == await tables.finish(1)


async def test_retries_and_requests_of_open_chunks_count_too(tables: PlannedJob) -> None:
    """Those of chunks that are done are kept, those of the others are added."""
    await tables.begin(is_site_known=True)
    tables.look("UPDATE job_chunks SET attempts = 3, upstream_requests = 5 WHERE chunk < 2")
    await tables.finish(0)
    job = await tables.job()
    [row] = tables.look("SELECT upstream_requests FROM queue_jobs")
    assert (4, 3 + 5 + 5) == (job.retry_count, row["upstream_requests"])


async def test_a_failed_job_goes_on_where_it_was(tables: PlannedJob) -> None:
    """Its open chunks run again, whatever they were at, and make those that come next."""
    await tables.begin(is_site_known=True)
    await tables.claim(1)
    failure: dict[str, Any] = {"error": "no", "error_class": "upstream", "is_hopeless": True}
    await tables.chunks.fail(ChunkRef("job", 3), None, now_ms=NOW_MS, **failure)
    assert "failed" == (await tables.job()).status
    await tables.finish(0)
    revived = await tables.jobs.revive("job", **TIMES)
    assert list(range(1, CHUNKS_AHEAD)) == sorted(revived or [])
    assert (1, 1) == ((await tables.job()).completed_chunks, (await tables.job()).samples_count)
    assert [CHUNKS_AHEAD, CHUNKS_AHEAD + 1] == await tables.finish(3)


async def test_a_job_without_a_plan_comes_to_its_check(tables: PlannedJob) -> None:
    """One that was queued before plans were kept has all its chunks already."""
    await tables.submit(estimates=(300, 100))
    tables.look("DELETE FROM job_plans")
    assert [] == await tables.finish(0)
    assert [2] == await tables.finish(1)
