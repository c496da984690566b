"""Results of jobs in their table: begun once, found when they are finished, purged, dropped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from building_vitals.cache.purges_table import purge_statements
from building_vitals.jobs.results_table import JobResult, JobResults, ResultPlace
from building_vitals.ranges import Range
from fakes.database import FakeDatabase

RANGE = Range(3, 4)
RESULT = JobResult(
    object_key="k",
    object_etag="e",
    answer_etag='W/"a"',
    stored_bytes=1,
    text_bytes=2,
    crc=3,
    glue="]",
    samples=4,
)


@pytest.fixture
def database() -> Iterator[FakeDatabase]:
    """A database with a job of each status, ended at 100, of 500 bytes."""
    with FakeDatabase() as made:
        for status in ("queued", "processing", "retrying", "completed", "failed", "cancelled"):
            made.look(
                "INSERT INTO queue_jobs (job_id, request_hash, owner, site, points_count, start_ms,"
                " end_ms, priority, status, total_chunks, estimated_size, data_size, metadata,"
                " created_ms, updated_ms)"
                " VALUES (?1, ?1, 'o', 'hq', 2, 3, 4, 'low', ?1, 5, 6, 500, '{}', 7, 100)",
                status,
            )
        yield made


async def begin(database: FakeDatabase, job_id: str, key: str = "k", expires_ms: int = 50) -> bool:
    """Note that a result is being made."""
    return await JobResults(database).begin(job_id, "hq", RANGE, key, expires_ms=expires_ms)


async def find(database: FakeDatabase, now_ms: int) -> JobResult | None:
    """Return the result of the completed job."""
    [outcome] = await database.batch([JobResults.find_statement("completed", now_ms)])
    return JobResults.found(outcome.rows)


async def test_only_completed_jobs_have_results_and_one_each(database: FakeDatabase) -> None:
    """Whoever comes second makes none."""
    jobs = [row["job_id"] for row in database.look("SELECT job_id FROM queue_jobs")]
    assert ["completed"] == [job for job in jobs if await begin(database, job)]
    assert not await begin(database, "completed", key="other")


async def test_a_result_is_found_when_it_is_finished(database: FakeDatabase) -> None:
    """Not while it is being made, and not when its time is over."""
    await begin(database, "completed")
    assert None is await find(database, 0)
    await JobResults(database).finish("completed", RESULT, expires_ms=1_000)
    assert RESULT == await find(database, 999)
    assert None is await find(database, 1_000)


@pytest.mark.parametrize("purged", [True, False], ids=["purged", "of another writer"])
async def test_a_note_that_is_gone_is_not_finished(database: FakeDatabase, *, purged: bool) -> None:
    """A purge in the middle wins, and so does whoever wrote the note."""
    await begin(database, "completed", key="k" if purged else "other")
    if purged:
        database.look("UPDATE job_results SET expires_ms = -7")
    await JobResults(database).finish("completed", RESULT, expires_ms=1_000)
    assert None is await find(database, 0)


@pytest.mark.parametrize(
    ("since_ms", "before_ms", "size", "expected"),
    [
        pytest.param(100, 100, 500, ["completed"], id="just so"),
        pytest.param(101, 200, 500, [], id="too old"),
        pytest.param(0, 99, 500, [], id="too young"),
        pytest.param(0, 200, 501, [], id="too small"),
    ],
)
async def test_missing_results(
    database: FakeDatabase, since_ms: int, before_ms: int, size: int, expected: list[str]
) -> None:
    """Large jobs that have completed in a while and of which there is no note."""
    results = JobResults(database)
    found = await results.missing(
        since_ms=since_ms, before_ms=before_ms, data_size_min=size, limit=9
    )
    assert expected == found
    await begin(database, "completed")
    assert [] == await results.missing(since_ms=0, before_ms=200, data_size_min=0, limit=9)


async def test_results_go_by_job_and_object(database: FakeDatabase) -> None:
    """A result that was made again since it was found is not dropped with the old one."""
    results, place = JobResults(database), ResultPlace("completed", "k")
    await begin(database, "completed", expires_ms=50)
    assert [] == await results.expired(before_ms=50, limit=9)
    assert [place] == await results.expired(before_ms=51, limit=9)
    await results.drop([ResultPlace("completed", "older")])
    assert [place] == await results.expired(before_ms=51, limit=9)
    await results.drop([place])
    assert [] == await results.expired(before_ms=51, limit=9)


@pytest.mark.parametrize("is_finished", [True, False])
async def test_a_purged_result_stays_while_it_may_be_read(
    database: FakeDatabase, *, is_finished: bool
) -> None:
    """Purged at 40, however long it had to live; nobody reads one that was never finished."""
    results, place = JobResults(database), ResultPlace("completed", "k")
    await begin(database, "completed", expires_ms=1_000)
    if is_finished:
        await results.finish("completed", RESULT, expires_ms=1_000)
    for now_ms in (40, 45):
        await database.batch(purge_statements("hq", None, RANGE, now_ms=now_ms))
    assert None is await find(database, 0)
    for readable_ms, expected in ((40, [] if is_finished else [place]), (41, [place])):
        assert expected == await results.expired(
            before_ms=41, readable_before_ms=readable_ms, limit=9
        )
