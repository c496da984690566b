"""Messages in their table: which are due, how far a queue has come, which were given up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from building_vitals.jobs.chunks_table import Result
from building_vitals.jobs.messages_table import QueueProgress
from building_vitals.jobs.model import ChunkRef
from fakes.job_tables import NOW_MS, JobTables

FIRST, LAST = ChunkRef("job", 0), ChunkRef("job", 1)


@pytest.fixture
def tables() -> Iterator[JobTables]:
    """A database without any job."""
    with JobTables() as made:
        yield made


async def due(
    tables: JobTables, queued_ms: int, claimed_ms: int, *, sent_ms: int = 0, limit: int = 9
) -> list[int]:
    """Return the chunks that are due by instants after NOW_MS, of messages sent by one."""
    found = await tables.messages.find_due(
        queued_ms=NOW_MS + queued_ms,
        claimed_ms=NOW_MS + claimed_ms,
        sent_ms={"normal": NOW_MS + sent_ms},
        limit=limit,
    )
    return [each.chunk for each in found]


async def test_chunks_are_due_by_who_has_them(tables: JobTables) -> None:
    """Those nobody has begun and those somebody has, by an instant each, the longest due first."""
    await tables.submit()
    await tables.claim()
    assert [] == await due(tables, 59_999, 4_999)
    assert [1] == await due(tables, 60_000, 4_999)
    assert [0] == await due(tables, 60_000, 5_000, sent_ms=-1)
    assert [0, 1] == await due(tables, 60_000, 5_000)
    assert [0] == await due(tables, 60_000, 5_000, limit=1)
    await tables.messages.mark_resent([(FIRST, NOW_MS + 70_000)], now_ms=NOW_MS)
    assert [1] == await due(tables, 60_000, 60_000)
    await tables.chunks.finish(FIRST, Result(1, 1, 1), now_ms=NOW_MS, due_ms=NOW_MS)
    await tables.messages.mark_resent([(FIRST, NOW_MS)], now_ms=NOW_MS)
    assert [1] == await due(tables, 60_000, 60_000)
    await tables.jobs.cancel("job", now_ms=NOW_MS)
    assert [] == await due(tables, 10**9, 10**9)


async def test_a_message_that_is_sent_on_is_due_later(tables: JobTables) -> None:
    """As if it had been sent for the first time; a chunk that somebody has is left alone."""
    await tables.submit()
    await tables.claim()
    for ref in (FIRST, LAST):
        await tables.messages.defer(
            ref, now_ms=NOW_MS, next_ms=NOW_MS + 100, due_ms=NOW_MS + 90_000
        )
    assert [0] == await due(tables, 89_999, 5_000, sent_ms=100)
    assert [0] == await due(tables, 90_000, 5_000, sent_ms=99)
    assert [0, 1] == await due(tables, 90_000, 5_000, sent_ms=100)


async def test_a_queue_has_come_as_far_as_its_claims(tables: JobTables) -> None:
    """To the latest message of which the chunk was claimed, and served as long as one is held."""
    assert [] == await tables.messages.queues(alive_ms=NOW_MS)
    await tables.submit(now_ms=NOW_MS)
    await tables.submit("later", now_ms=NOW_MS + 50)
    await tables.claim(0, "one", job_id="later", now_ms=NOW_MS + 60)
    await tables.claim(0, "two", now_ms=NOW_MS + 70)
    await tables.claim(0, "late", now_ms=NOW_MS + 80)
    expected = QueueProgress("normal", NOW_MS + 50, NOW_MS + 70, is_served=True)
    assert [expected] == await tables.messages.queues(alive_ms=NOW_MS + 5_069)
    [queue] = await tables.messages.queues(alive_ms=NOW_MS + 5_070)
    assert not queue.is_served


async def test_a_job_without_a_chunk_to_bring_it_on_gets_one(tables: JobTables) -> None:
    """The first, should it never have been made, or the check; others are not touched."""
    await tables.submit("well")
    await tables.submit()
    assert [] == await tables.messages.stalled(limit=9)
    tables.look("DELETE FROM job_chunks WHERE job_id = 'job'")
    assert [("job", "normal")] == await tables.messages.stalled(limit=9)
    assert [0] == await tables.messages.make("job", now_ms=NOW_MS, due_ms=NOW_MS)
    assert [] == await tables.messages.make("job", now_ms=NOW_MS, due_ms=NOW_MS)
    assert [] == await tables.messages.stalled(limit=9)
    await tables.jobs.cancel("job", now_ms=NOW_MS)
    tables.look("DELETE FROM job_chunks WHERE job_id = 'job'")
    assert [] == await tables.messages.stalled(limit=9)


async def test_dead_letters_are_counted_until_the_next_claim(tables: JobTables) -> None:
    """Of the chunk they were about."""
    await tables.submit()

    async def counts() -> list[int]:
        states = [await tables.chunks.look(ref) for ref in (FIRST, LAST)]
        return [state.dead_letters for state in states if state is not None]

    await tables.messages.count_dead_letter(FIRST)
    await tables.messages.count_dead_letter(FIRST)
    assert [2, 0] == await counts()
    await tables.claim()
    assert [0, 0] == await counts()
