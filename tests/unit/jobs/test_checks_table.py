"""The check before a job's end in its table: only its holder changes anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from building_vitals.jobs.checks_table import CheckChunk, CheckState, JobChecks
from building_vitals.jobs.chunks_table import Result
from building_vitals.jobs.model import ChunkRef
from fakes.job_tables import NOW_MS, JobTables

CHECK = ChunkRef("job", 2)


@pytest.fixture
def tables() -> Iterator[JobTables]:
    """A database without any job."""
    with JobTables() as made:
        yield made


async def all_done(tables: JobTables) -> JobChecks:
    """Finish both chunks of a job, and claim the check after them."""
    await tables.submit()
    for chunk in range(2):
        result = Result(10 + chunk, 70, 2)
        ref = ChunkRef("job", chunk)
        await tables.chunks.finish(ref, result, now_ms=NOW_MS, due_ms=NOW_MS)
    assert "me" == (await tables.claim(2)).claim
    return JobChecks(tables)


async def test_a_part_is_chunks_with_their_points(tables: JobTables) -> None:
    """In order, each with its own; past the end there is none."""
    checks = await all_done(tables)
    assert [
        (CheckChunk(0, 0, 3, 0, 60_000), ("p0", "p1", "p2")),
        (CheckChunk(1, 3, 1, 0, 60_000), ("p3",)),
    ] == await checks.part("job", 0, 2)
    assert [(CheckChunk(1, 3, 1, 0, 60_000), ("p3",))] == (await checks.part("job", 1, 9))[:1]
    assert [] == await checks.part("job", 3, 9)


@pytest.mark.parametrize("claim", ["me", "other"])
async def test_only_the_holder_has_chunks_run_again(tables: JobTables, claim: str) -> None:
    """They count no longer, the check goes, and comes again after them."""
    checks = await all_done(tables)
    state = CheckState(2, 1, 3)
    is_mine = claim == "me"
    times: dict[str, Any] = {"now_ms": NOW_MS, "due_ms": NOW_MS + 5_000}
    assert is_mine == await checks.undo(CHECK, claim, state, [1], **times)
    job = await tables.job()
    expected = (1, 10, 70) if is_mine else (2, 21, 140)
    assert expected == (job.completed_chunks, job.samples_count, job.data_size)
    assert (state if is_mine else CheckState(0, 0, 0)) == await checks.state("job")
    rows = tables.look("SELECT status FROM job_chunks ORDER BY chunk")
    statuses = ["completed", "queued"] if is_mine else ["completed", "completed", "processing"]
    assert statuses == [row["status"] for row in rows]
    if is_mine:
        await tables.claim(1)
        end = await tables.chunks.finish(ChunkRef("job", 1), Result(11, 70, 1), **times)
        assert [2] == end.made
        assert (2, 21) == (
            (await tables.job()).completed_chunks,
            (await tables.job()).samples_count,
        )
        [row] = tables.look("SELECT upstream_requests AS n FROM queue_jobs")
        assert 2 + 2 + 1 == row["n"]


async def test_how_far_it_has_come_is_noted_by_the_holder(tables: JobTables) -> None:
    """Of a job that is cancelled nothing is noted."""
    checks = await all_done(tables)
    await checks.note(CHECK, "other", CheckState(1, 1, 1))
    assert CheckState(0, 0, 0) == await checks.state("job")
    await checks.note(CHECK, "me", CheckState(1, 0, 0))
    await tables.jobs.cancel("job", now_ms=NOW_MS)
    await checks.note(CHECK, "me", CheckState(2, 0, 0))
    assert CheckState(1, 0, 0) == await checks.state("job")
