"""Tests of the states of jobs and chunks: the tables of transitions, and SQL against them."""

from __future__ import annotations

import ast
import itertools
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from building_vitals.jobs.chunking import JobPlan
from building_vitals.jobs.chunks_table import JobChunks, Result
from building_vitals.jobs.jobs_table import Jobs, NewJob, OwnerLimits
from building_vitals.jobs.model import (
    ACTIVE,
    CHUNK_ENDED,
    CHUNK_OPEN,
    CHUNK_TRANSITIONS,
    JOB_STATUSES,
    JOB_TRANSITIONS,
    TERMINAL,
    ChunkRef,
    ChunkStatus,
    Event,
    JobStatus,
    sql_list,
)
from building_vitals.ranges import Range
from fakes.database import FakeDatabase
from fakes.job_tables import make_known

ROOT = Path(__file__).resolve().parents[3]
EVENTS: tuple[Event, ...] = get_args(Event)
LIFE_MS = 1000


class Desk:
    """A job in the database, and the statements that change it."""

    def __init__(self, database: FakeDatabase) -> None:
        self.database = database
        self.jobs, self.chunks = Jobs(database), JobChunks(database)
        self.now_ms = 1_000_000

    async def submit(self, chunks_count: int) -> None:
        """Insert a job at a known site."""
        make_known(self.database)
        job = NewJob(
            job_id="job",
            request_hash="hash",
            owner="owner",
            site="hq",
            points=tuple(f"p{n}" for n in range(chunks_count)),
            time_range=Range(0, 10),
            priority="normal",
            estimated=1,
            metadata={},
            plan=JobPlan(list(range(chunks_count + 1)), [0, 10], 1.0),
            now_ms=self.now_ms,
            due_ms=self.now_ms,
        )
        await self.jobs.submit(job, OwnerLimits(9, 9, 9))

    def set_up(self, job: JobStatus, chunk: ChunkStatus) -> None:
        """Put the job and its chunk into a state; who has the chunk has let its claim expire."""
        self.database.look("UPDATE queue_jobs SET status = ?1", job)
        self.database.look(
            "UPDATE job_chunks SET status = ?1, attempts = 1, claim = 'claim',"
            " claim_expires_ms = ?2",
            *(chunk, self.now_ms),
        )

    async def apply(self, event: Event, chunk: int = 0) -> None:
        """Run the statements of an event."""
        ref, claim = ChunkRef("job", chunk), "claim"
        now: dict[str, Any] = {"now_ms": self.now_ms}
        match event:
            case "claimed":
                life: dict[str, Any] = {"expires_ms": self.now_ms + LIFE_MS, "due_ms": 0}
                await self.chunks.claim(ref, claim, attempts_max=99, patience_ms=0, **life, **now)
            case "retried":
                why: dict[str, Any] = {"error": "busy", "error_class": "upstream"}
                when: dict[str, Any] = {"next_ms": 0, "due_ms": 0, "is_counted": True}
                await self.chunks.release(ref, claim, **why, **when, **now)
            case "completed":
                await self.finish(ref)
            case "failed":
                # A waiting chunk has no holder: only its dead letter can end it.
                [row] = self.database.look("SELECT status FROM job_chunks WHERE chunk = ?1", chunk)
                holder = claim if row["status"] == "processing" else None
                await self.chunks.fail(ref, holder, error="no", error_class="crash", **now)
            case "cancelled":
                await self.jobs.cancel("job", **now)
            case "put back":
                await self.jobs.revive("job", due_ms=0, **now)

    async def finish(self, ref: ChunkRef) -> None:
        """Finish a chunk, and the check after it if that was the last one."""
        now: dict[str, Any] = {"now_ms": self.now_ms, "due_ms": 0}
        end = await self.chunks.finish(ref, Result(1, 2, 3), **now)
        for check in end.made:
            await self.chunks.finish(ChunkRef(ref.job_id, check), Result(0, 0, 0), **now)

    def job_status(self) -> JobStatus:
        """Return the job's status."""
        status: JobStatus = self.database.look("SELECT status FROM queue_jobs")[0]["status"]
        return status

    def chunk_rows(self) -> list[dict[str, Any]]:
        """Return the chunks."""
        return self.database.look(
            "SELECT status, error, attempts FROM job_chunks WHERE points_count > 0 ORDER BY chunk"
        )


def test_every_status_has_a_row() -> None:
    """The tables name each status and lead to statuses only."""
    assert get_args(JobStatus) == JOB_STATUSES
    assert set(get_args(ChunkStatus)) == set(CHUNK_TRANSITIONS)
    assert {*ACTIVE} | {*TERMINAL} == {*JOB_STATUSES}
    assert {*CHUNK_OPEN} | {*CHUNK_ENDED} == {*CHUNK_TRANSITIONS}
    assert (("queued", "processing", "retrying"), ("completed", "failed", "cancelled")) == (
        ACTIVE,
        TERMINAL,
    )


@pytest.mark.parametrize(("status", "event"), [*itertools.product(JOB_STATUSES, EVENTS)])
async def test_statements_move_jobs_as_the_table_says(status: JobStatus, event: Event) -> None:
    """Whatever happens to its only chunk or to itself, a job goes where the table sends it."""
    with FakeDatabase() as database:
        desk = Desk(database)
        await desk.submit(1)
        desk.set_up(status, "failed" if event == "put back" else "processing")
        await desk.apply(event)
        assert JOB_TRANSITIONS[status].get(event, status) == desk.job_status()


@pytest.mark.parametrize(("status", "event"), [*itertools.product(CHUNK_TRANSITIONS, EVENTS)])
async def test_statements_move_chunks_as_the_table_says(status: ChunkStatus, event: Event) -> None:
    """A chunk of an active job, or of a failed one that is put back, goes where its table says."""
    with FakeDatabase() as database:
        desk = Desk(database)
        await desk.submit(1)
        desk.set_up("failed" if event == "put back" else "processing", status)
        await desk.apply(event)
        assert CHUNK_TRANSITIONS[status].get(event, status) == desk.chunk_rows()[0]["status"]


@pytest.mark.parametrize(("status", "event"), [*itertools.product(TERMINAL, EVENTS)])
async def test_chunks_of_an_ended_job_are_left_alone(status: JobStatus, event: Event) -> None:
    """Only what was fetched in the meantime still counts, and a failed job can be put back."""
    with FakeDatabase() as database:
        desk = Desk(database)
        await desk.submit(1)
        desk.set_up(status, "processing")
        await desk.apply(event)
        expected = {"completed": "completed", "put back": "queued"}.get(event, "processing")
        expected = "processing" if event == "put back" and status != "failed" else expected
        assert expected == desk.chunk_rows()[0]["status"]


def counted(rows: list[dict[str, Any]]) -> Event | None:
    """Return the event that a job's chunks tell of."""
    states = [row["status"] for row in rows]
    if set(states) == {"completed"}:
        return "completed"
    if not set(states) & set(CHUNK_OPEN):
        return "failed"
    if any(row["status"] == "queued" and row["error"] for row in rows):
        return "retried"
    is_begun = any(row["status"] != "queued" or row["attempts"] for row in rows)
    return "claimed" if is_begun else None


@pytest.mark.parametrize("seed", range(40))
async def test_a_job_follows_from_its_chunks(seed: int) -> None:
    """Of several chunks, too, the table says what becomes of their job."""
    rng = random.Random(seed)
    with FakeDatabase() as database:
        desk = Desk(database)
        await desk.submit(3)
        for _ in range(30):
            before = desk.job_status()
            event = rng.choice(EVENTS) if rng.random() < 0.9 else "cancelled"
            await desk.apply(event, rng.randrange(3))
            if event not in ("cancelled", "put back"):
                found = counted(desk.chunk_rows())
                event = found if found is not None else event
                if found is None:
                    assert before == desk.job_status()
                    continue
            assert JOB_TRANSITIONS[before].get(event, before) == desk.job_status()
            desk.now_ms += rng.choice([1, 2 * LIFE_MS])


def test_lists_of_statuses_as_sql_writes_them() -> None:
    """In brackets and quotes, in the order of the table, as the schema writes them too."""
    assert "('queued', 'processing', 'retrying')" == sql_list(ACTIVE)


def status_lists(text: str) -> Iterator[str]:
    """Yield each list of two statuses or more that a text holds, white space evened out."""
    words = "|".join({*JOB_STATUSES, *CHUNK_TRANSITIONS})
    one = rf"""['"](?:{words})['"]"""
    for match in re.finditer(rf"[(\[]\s*{one}(?:\s*,\s*{one})+\s*[)\]]", text):
        yield re.sub(r"\s+", " ", match[0])


@pytest.mark.parametrize(
    "path", sorted((ROOT / "src").rglob("*_table.py")), ids=lambda path: str(path.stem)
)
def test_no_table_lists_statuses_by_hand(path: Path) -> None:
    """They come from the constants, so that a new status is one line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    found = [each for text in texts if isinstance(text, str) for each in status_lists(text)]
    assert [] == found


def test_the_schema_agrees() -> None:
    """Its partial indexes and views, which SQL alone can say, list what the constants list."""
    text = (ROOT / "schema.sql").read_text(encoding="utf-8")
    ran = sql_list(each for each in TERMINAL if each != "cancelled")
    assert {sql_list(ACTIVE), ran} == set(status_lists(text))
    assert 5 == text.count(f"status IN {sql_list(ACTIVE)}") + text.count(f"status IN {ran}")
