"""
Jobs as values: the states of jobs and chunks, and what leads from one to another.

Separate and pure: the tables' statements carry out what is decided here.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from building_vitals.answers.question import Priority
from building_vitals.errors import InvalidRequest, Problem
from building_vitals.instants import check_instant
from building_vitals.ranges import Range

JobStatus = Literal["queued", "processing", "retrying", "completed", "failed", "cancelled"]
ChunkStatus = Literal["queued", "processing", "completed", "failed"]
Event = Literal["claimed", "retried", "completed", "failed", "cancelled", "put back"]

# A claim on a chunk that is not renewed for so long is anybody's.
CLAIM_MS = 12_000

# What becomes of a chunk. An event that a status does not name changes nothing.
# Retried: put back into the queue after a failed attempt. Put back: with its job, which failed.
CHUNK_TRANSITIONS: dict[ChunkStatus, dict[Event, ChunkStatus]] = {
    "queued": {"claimed": "processing", "completed": "completed", "failed": "failed"},
    "processing": {
        "claimed": "processing",
        "retried": "queued",
        "completed": "completed",
        "failed": "failed",
        "put back": "queued",
    },
    "completed": {},
    "failed": {"put back": "queued"},
}

_COUNTED: dict[Event, JobStatus] = {
    "claimed": "processing",
    "retried": "retrying",
    "completed": "completed",
    "failed": "failed",
}
# What becomes of a job. Its chunks tell the event: all are completed, the check after the last one
# too; one has failed and none is open; one waits after a failed attempt; none does, and one was
# claimed.
JOB_TRANSITIONS: dict[JobStatus, dict[Event, JobStatus]] = {
    "queued": {**_COUNTED, "cancelled": "cancelled"},
    "processing": {**_COUNTED, "cancelled": "cancelled"},
    "retrying": {**_COUNTED, "cancelled": "cancelled"},
    "completed": {},
    "failed": {"put back": "queued"},
    "cancelled": {},
}

JOB_STATUSES: tuple[JobStatus, ...] = tuple(JOB_TRANSITIONS)
ACTIVE = tuple(each for each, row in JOB_TRANSITIONS.items() if "completed" in row)
TERMINAL = tuple(each for each in JOB_STATUSES if each not in ACTIVE)

# Chunks of a job that are made ahead: four consumers (max_concurrency in wrangler.toml) run two
# side by side, and as many wait, so that no consumer waits for a chunk to be made.
CHUNKS_AHEAD = 2 * 4 * 2
CHUNK_OPEN = tuple(each for each, row in CHUNK_TRANSITIONS.items() if "completed" in row)
CHUNK_ENDED = tuple(each for each in CHUNK_TRANSITIONS if each not in CHUNK_OPEN)


def sql_list(statuses: Iterable[JobStatus | ChunkStatus]) -> str:
    """Return statuses as SQL writes them after `IN`."""
    return "({})".format(", ".join(f"'{each}'" for each in statuses))


# The queues, the most urgent first.
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")


class ChunkRef(msgspec.Struct, frozen=True, rename="camel"):
    """What a queue message says: which chunk of which job."""

    job_id: str
    chunk: int


class FollowRef(msgspec.Struct, frozen=True):
    """What a queue message says that is about no chunk: which followed site is to be read."""

    site: str = msgspec.field(name="follow")


class _Metadata(msgspec.Struct):
    """What a job's row keeps as JSON and is read again."""

    form: dict[str, Any] = {}


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """
    A job as its row has it; times are epoch milliseconds.

    Attributes:
        owner: The key that asked for it.
        estimated_size: Samples, by the routing's rule of thumb.
        samples_count: Samples of the chunks that are done.
        data_size: Bytes of their JSON text.
        metadata: JSON: `userId`, and `form`, how the answer was asked for.
    """

    job_id: str
    owner: str
    site: str
    points_count: int
    start_ms: int
    end_ms: int
    priority: Priority
    status: JobStatus
    progress: int
    total_chunks: int
    completed_chunks: int
    estimated_size: int
    samples_count: int
    data_size: int
    retry_count: int
    error: str | None
    error_class: str | None
    created_ms: int
    started_ms: int | None
    completed_ms: int | None
    failed_ms: int | None
    cancelled_ms: int | None
    metadata: str = "{}"

    @property
    def form(self) -> dict[str, Any]:
        """How its answer was asked for, by the names in `question.KEPT`; only what was given."""
        return msgspec.json.decode(self.metadata, type=_Metadata).form

    @property
    def time_range(self) -> Range:
        """The range asked for."""
        return Range(self.start_ms, self.end_ms)

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it unless somebody asks for it."""
        return self.status in TERMINAL


class ChunkSender(Protocol):
    """Puts messages into the queue of a priority."""

    async def send(
        self, refs: Sequence[ChunkRef | FollowRef], priority: str, *, delay_s: int = 0
    ) -> None:
        """
        Send one message each, at most 100: all of them or none.

        Raises:
            Unavailable: the queue can't be reached or refuses.
        """
        ...


def encode_cursor(job: Job) -> str:
    """Return where the list goes on after a job."""
    return base64.urlsafe_b64encode(f"{job.created_ms}:{job.job_id}".encode()).decode()


def decode_cursor(cursor: str) -> tuple[int, str]:
    """
    Return creation time and id of the job a list goes on after.

    Raises:
        InvalidRequest: it is not a cursor of a list of jobs.
    """
    try:
        created, _, job_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        return check_instant(int(created)), job_id
    except ValueError:
        problem = Problem("cursor", "not a cursor; the nextCursor of a page is allowed")
        raise InvalidRequest([problem]) from None
